"""Iterating over a list of jobs page by page: no page is asked for before it is needed."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Self

import attrs

from common.model.async_only import AsyncIteration
from common.model.errors import DecodeError
from common.model.job import Job
from common.model.tracebacks import without_frames
from common.response.job_list import as_one


@attrs.frozen(eq=False)
class FetchedPage:
    """One page: its jobs, an error for each record that could not be read, and where the next page is."""

    jobs: Iterable[Job]
    failures: Sequence[DecodeError] = ()
    next: str | None = None


Fetch = Callable[[str], Awaitable[FetchedPage]]
"""Requests the page at a path."""


class Pages(AsyncIteration, AsyncIterator[Job]):
    """The jobs of all pages. Not a generator, so that it needs no closing when it is left early.

    Records that cannot be read do not hide others: the `DecodeError` about them is raised after the last job.
    """

    def __init__(self, fetch: Fetch, first: str) -> None:
        self._fetch = fetch
        self._next: str | None = first
        self._jobs: deque[Job] = deque()
        self._failures: list[DecodeError] = []

    def __aiter__(self) -> Self:
        return self

    @without_frames  # a page may repeat what the server was sent
    async def __anext__(self) -> Job:
        while not self._jobs:
            if self._next is None:
                raise _end(self._failures)
            page = await self._fetch(self._next)
            self._jobs.extend(page.jobs)
            self._failures.extend(page.failures)
            self._next = page.next
        return self._jobs.popleft()

    @property
    def exhausted(self) -> bool:
        """Whether every job was returned."""
        return not self._jobs and self._next is None

    async def aclose(self) -> None:
        """Ask for no more pages."""
        self._next = None
        self._jobs.clear()
        self._failures.clear()


class Chain(AsyncIteration, AsyncIterator[Job]):
    """The jobs of several lists, one list after another. It treats unreadable records as `Pages` does."""

    def __init__(self, lists: Iterable[AsyncIterator[Job]]) -> None:
        self._lists = deque(lists)
        self._failures: list[DecodeError] = []

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Job:
        while self._lists:
            jobs = self._lists[0]
            try:
                return await anext(jobs)
            except StopAsyncIteration:
                self._lists.popleft()
            except DecodeError as error:
                if not (isinstance(jobs, Pages | Chain) and jobs.exhausted):
                    raise
                self._lists.popleft()
                self._failures.append(error)
        raise _end(self._failures)

    @property
    def exhausted(self) -> bool:
        """Whether every job was returned."""
        return not self._lists

    async def aclose(self) -> None:
        """Ask for no more pages of any list."""
        self._lists.clear()
        self._failures.clear()


def _end(failures: list[DecodeError]) -> Exception:
    """Return what ends an iteration: the error about the records that could not be read, once."""
    if not failures:
        return StopAsyncIteration()
    error = as_one(failures)
    failures.clear()
    return error
