"""ONTAP's lists page by page: where the next page is, and when a list has no end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from common.model.errors import DecodeError
from common.model.job import Job
from common.model.states import JobState
from common.response.http_response import HttpResponse
from common.sources.driver import DriverHttp
from common.sources.paging import Pages
from ontapjobs.gateway import api_path
from ontapjobs.links import JOBS
from ontapjobs.wire import parse_page

MAX_PAGES = 10_000
"""A list with more pages than this is taken for one without an end."""
NEXT = "$._links.next.href"
"""Where a page names the next one, for errors about that."""


def next_page_path(href: str, endpoint: str) -> str:
    """Return the path of the next page, with its query, as ONTAP has it.

    Raise `DecodeError` if it is on another server, or not below the path of the endpoint.
    """
    path = api_path(href, endpoint)
    if path is None:
        raise DecodeError("the next page is on another server; it is not followed", path=NEXT)
    return path


def list_jobs(http: DriverHttp, path: str, *, endpoint: str, states: Mapping[str, JobState]) -> Pages:
    """Return the jobs of the list at ``path``, page after page as they are asked for."""
    seen: list[str] = []

    async def fetch(href: str) -> tuple[Iterable[Job], str | None]:
        path = next_page_path(href, endpoint)
        if seen and path == seen[-1]:
            return (), None  # the last page of some releases names itself
        if path in seen:
            raise DecodeError("the list goes round in circles: a page came twice", path=NEXT)
        if len(seen) >= MAX_PAGES:
            raise DecodeError(f"the list has more than {MAX_PAGES} pages", path=NEXT)
        response = await get_list(http, path)
        page = parse_page(response.body, endpoint=endpoint, states=states)
        seen.append(path)  # only now, for a page that failed may be asked for again
        return page.jobs, page.next

    return Pages(fetch, path)


async def get_list(http: DriverHttp, path: str) -> HttpResponse:
    """Send one request for a list and return its response. Raise `SourceError`."""
    response = await http.send("GET", path)
    if response.status != 200:
        raise http.request_failure(response, f"GET {JOBS}")
    return response
