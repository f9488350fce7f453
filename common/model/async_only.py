"""One sentence for those who forget ``async`` or put ``await`` where it does not belong."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, NoReturn, Self, TypeVar

from common.model.errors import UsageError

_T = TypeVar("_T")


class AsyncIteration:
    """Base of what is iterated over with ``async for``: ``for`` and ``await`` say so."""

    _usage: ClassVar[str] = "async for job in …"

    if not TYPE_CHECKING:  # a type checker says it by itself, and must not take this for an awaitable

        def __iter__(self) -> NoReturn:
            raise UsageError(f"use 'async for' in place of 'for': {self._usage}")

        def __await__(self) -> NoReturn:
            raise UsageError(f"use 'async for' in place of 'await': {self._usage}")


class AsyncContext:
    """Base of what is entered with ``async with``: ``with`` and ``await`` say so.

    To be awaited is only a warning, and gives the object itself: a host may await whatever a function returns
    that can be, as anyio's ``BlockingPortal.call(OntapJobs, …)`` does.
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
    """An async context manager of ``contextlib`` that says so where it is entered with ``with``."""

    def __init__(self, manager: AbstractAsyncContextManager[_T]) -> None:
        self._manager = manager

    async def __aenter__(self) -> _T:
        return await self._manager.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._manager.__aexit__(kind, error, trace)
