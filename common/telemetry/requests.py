"""What an observer may be told of HTTP requests, beside the events of waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import attrs

from common.telemetry.events import Observer, Several


@attrs.frozen
class RequestEvent:
    """One HTTP request that has ended. It contains no secret, for it has neither path nor headers."""

    method: str
    origin: str
    """Where it was sent, such as ``https://cluster1:8443``: for a sign-in it may be another server."""
    seconds: float
    """How long it took."""
    status: int | None = None
    """The status of the response; None if no complete response came."""
    error: str | None = None
    """The name of the exception's class if no complete response came, otherwise None."""


@runtime_checkable
class RequestObserver(Protocol):
    """An observer that is also told of each request: any observer that has these methods."""

    def trace_headers(self) -> Mapping[str, str]:
        """Return headers to add to a request of the source; they are not added to a sign-in."""
        ...

    def request_ended(self, event: RequestEvent) -> None:
        """Called after each request, sign-ins included."""
        ...


def request_observers(observer: Observer | None) -> tuple[RequestObserver, ...]:
    """Return those of a source's observers that are told of requests."""
    if observer is None:
        return ()
    each: tuple[object, ...] = observer.observers if isinstance(observer, Several) else (observer,)
    return tuple(one for one in each if isinstance(one, RequestObserver))
