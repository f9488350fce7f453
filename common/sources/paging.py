"""Iterating over a list of jobs page by page: no page is asked for before it is needed."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Self

from common.model.async_only import AsyncIteration
from common.model.job import Job

Fetch = Callable[[str], Awaitable[tuple[Iterable[Job], str | None]]]
"""One page's jobs, and where the next one is."""


class Pages(AsyncIteration, AsyncIterator[Job]):
    """The jobs of all pages. Not a generator: it may be left at any time, and leaves nothing behind."""

    def __init__(self, fetch: Fetch, first: str) -> None:
        self._fetch = fetch
        self._next: str | None = first
        self._jobs: deque[Job] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Job:
        while not self._jobs:
            if self._next is None:
                raise StopAsyncIteration
            jobs, following = await self._fetch(self._next)
            self._jobs.extend(jobs)
            self._next = following
        return self._jobs.popleft()

    async def aclose(self) -> None:
        """Ask for no more pages."""
        self._next = None
        self._jobs.clear()


class Chain(AsyncIteration, AsyncIterator[Job]):
    """The jobs of several lists, one list after another."""

    def __init__(self, lists: Iterable[AsyncIterator[Job]]) -> None:
        self._lists = deque(lists)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Job:
        while self._lists:
            try:
                return await anext(self._lists[0])
            except StopAsyncIteration:
                self._lists.popleft()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Ask for no more pages of any list."""
        self._lists.clear()
