"""Clear errors for a forgotten ``async``, and for an ``await`` where it does not belong."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, NoReturn, Self, TypeVar

from common.model.errors import UsageError

_T = TypeVar("_T")


class AsyncIteration:
    """Base class of asynchronous iterators: ``for`` and ``await`` raise `UsageError` with the right usage."""

    _usage: ClassVar[str] = "async for job in …"

    if (
        not TYPE_CHECKING
    ):  # hidden from type checkers, which report this themselves and would take it for an awaitable

        def __iter__(self) -> NoReturn:
            raise UsageError(f"use 'async for' in place of 'for': {self._usage}")

        def __await__(self) -> NoReturn:
            raise UsageError(f"use 'async for' in place of 'await': {self._usage}")


class AsyncContext:
    """Base class of asynchronous context managers: ``with`` raises `UsageError` with the right usage.

    ``await`` only warns, and returns the object itself: some hosts await every result that can be awaited, as
    anyio's ``BlockingPortal.call(OntapJobs, …)`` does.
    """

    if not TYPE_CHECKING:

        def __enter__(self) -> NoReturn:
            raise UsageError("use 'async with' in place of 'with'")

        def __exit__(self, *_: object) -> None:
            raise AssertionError("nothing was entered")

        def __await__(self) -> Generator[None, None, Self]:
            warnings.warn("use 'async with' in place of 'await'", RuntimeWarning, stacklevel=2)
            return self
            yield


class AsyncOnly(AsyncContext, AbstractAsyncContextManager[_T]):
    """Wraps an async context manager of ``contextlib`` to add the checks of `AsyncContext`."""

    def __init__(self, manager: AbstractAsyncContextManager[_T]) -> None:
        self._manager = manager

    async def __aenter__(self) -> _T:
        return await self._manager.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._manager.__aexit__(kind, error, trace)
