"""Remove the frames below a function from the tracebacks of its exceptions.

Error trackers, ``rich`` and pytest show the variables of every frame of a traceback, and of the exceptions
that are chained to it. Below the functions marked with `without_frames` these are requests, headers, bodies
and passwords, in our own frames as in those of the HTTP library. This applies to cancellations too: a
``TimeoutError`` of ``asyncio.timeout`` is chained to one.
"""

from __future__ import annotations

import functools
import inspect
import sys
import traceback
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from common.model.errors import JobsError, JobsFailed

_P = ParamSpec("_P")
_T = TypeVar("_T")
_UNNOTED = (JobsError, JobsFailed, StopAsyncIteration)


def without_frames(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Return the function, whose exceptions then have neither its frames nor its arguments.

    Only other `JobsError` objects stay chained to a `JobsError`. Any other exception, a mistake in a program,
    keeps the lines that it was raised through as a note. An exception that the caller was already handling is
    not changed.
    """
    decorated = _awaited if inspect.iscoroutinefunction(function) else _called
    return cast("Callable[_P, _T]", decorated(function))


def _called(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        handled = sys.exception()
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            del args, kwargs  # this frame may be in the traceback as well
            _hide_frames(error, handled)
            raise

    return call


def _awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        pending = function(*args, **kwargs)
        del args, kwargs
        handled = sys.exception()
        try:
            return await pending
        except BaseException as error:
            _hide_frames(error, handled)
            raise

    return call


def stacklevel(callers: int) -> int:
    """Return the ``stacklevel=`` of a warning for so many levels up: 1 is the function that warns.

    The frames that `without_frames` adds are not counted.
    """
    here = inspect.currentframe()
    frame = here and here.f_back
    level = 0
    while frame is not None and callers > 0:
        level += 1
        if frame.f_code.co_filename != __file__:
            callers -= 1
        frame = frame.f_back
    return level


def _hide_frames(error: BaseException, handled: BaseException | None) -> None:
    """Take the traceback from an exception and from those chained to it, up to the one ``handled`` before."""
    seen: set[int] = set()
    pending = [error]
    while pending:
        each = pending.pop()
        if each is handled or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, Exception) and not isinstance(each, _UNNOTED) and each.__traceback__ is not None:
            # A mistake in a program, perhaps in the user's own function: its place must not be lost.
            each.add_note("Raised within:\n" + "".join(traceback.format_tb(each.__traceback__)).rstrip())
        each.__traceback__ = None
        cause, context, suppressed = each.__cause__, each.__context__, each.__suppress_context__
        if cause is not None and not _may_be_chained(each, cause):
            each.__cause__ = None
        if context is not None and context is not handled and not _may_be_chained(each, context):
            each.__context__ = handled
        each.__suppress_context__ = suppressed
        pending += [link for link in (each.__cause__, each.__context__) if link is not None]
        if isinstance(each, BaseExceptionGroup):
            pending += each.exceptions


def _may_be_chained(error: BaseException, link: BaseException) -> bool:
    """Whether ``link`` may stay chained to ``error``: not if it can hold a request, or the text of a body."""
    if isinstance(error, JobsError):
        return isinstance(link, JobsError)
    # anyio looks for its own cancellation among those that a CancelledError is chained to.
    return isinstance(error, Exception) or not isinstance(link, Exception)
