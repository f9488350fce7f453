"""Read ONTAP's lists page by page, with a limit for lists without an end."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from common.model.errors import DecodeError
from common.model.states import JobState
from common.response.http_response import HttpResponse
from common.response.repair import REPLACEMENT
from common.sources.driver import DriverHttp
from common.sources.large_responses import decode
from common.sources.paging import FetchedPage, Pages
from ontapjobs.paths.gateway import api_path
from ontapjobs.paths.links import JOBS
from ontapjobs.wire import parse_count, parse_page

MAX_PAGES = 10_000
"""A list with more pages than this is taken for one without an end."""
NEXT = "$._links.next.href"
"""Where a page names the next one, for errors about that."""


def next_page_path(href: str, endpoint: str) -> str:
    """Return the path of the next page, with its query, as ONTAP has it.

    Raise `DecodeError` if it is on another server, or not below the path of the endpoint.
    """
    if REPLACEMENT in href:
        raise DecodeError("the link to the next page has characters that cannot be read", path=NEXT)
    path = api_path(href, endpoint)
    if path is None:
        raise DecodeError("the next page is on another server; it is not followed", path=NEXT)
    return path


class PageWalk:
    """The pages of a list that were read. Each is asked for once, and a list must have an end."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._read: set[str] = set()
        self._last = ""

    def next_path(self, href: str) -> str | None:
        """Return the path of the page at a link; None where that is the page just read.

        Raise `DecodeError` for a page of another server, one that was read before, and one too many.
        """
        path = next_page_path(href, self._endpoint)
        if path == self._last:
            return None  # the last page of some releases names itself
        if path in self._read:
            raise DecodeError("the list does not end: the same page came twice", path=NEXT)
        if len(self._read) >= MAX_PAGES:
            raise DecodeError(f"the list has more than {MAX_PAGES} pages", path=NEXT)
        return path

    def mark_read(self, path: str) -> None:
        """Note that a page was read. One that failed may be asked for again."""
        self._read.add(path)
        self._last = path


def list_jobs(http: DriverHttp, path: str, *, endpoint: str, states: Mapping[str, JobState]) -> Pages:
    """Return the jobs of the list at ``path``, page after page as they are asked for."""
    walk = PageWalk(endpoint)

    async def fetch(href: str) -> FetchedPage:
        path = walk.next_path(href)
        if path is None:
            return FetchedPage(())
        response = await get_list(http, path)
        read = partial(parse_page, response.body, endpoint=endpoint, states=states)
        page = await decode(response, read, f"GET {JOBS}")
        walk.mark_read(path)
        return FetchedPage(page.jobs, page.failures, page.next)

    return Pages(fetch, path)


async def count_records(http: DriverHttp, path: str, *, endpoint: str, has_records: bool) -> int | None:
    """Return how many records all pages of the list at ``path`` have, None where one does not tell.

    A page with their number only can also end early, at ``return_timeout``, and name a next one.
    """
    walk = PageWalk(endpoint)
    total, href = 0, path
    while (page := walk.next_path(href)) is not None:
        response = await get_list(http, page)
        read = partial(parse_count, response.body, has_records=has_records)
        count, following = await decode(response, read, f"GET {JOBS}")
        if count is None:
            return None
        total += count
        walk.mark_read(page)
        if following is None:
            break
        href = following
    return total


async def get_list(http: DriverHttp, path: str) -> HttpResponse:
    """Send one request for a list and return its response. Raise `SourceError`."""
    response = await http.send("GET", path)
    if response.status != 200:
        raise http.request_failure(response, f"GET {JOBS}")
    return response
