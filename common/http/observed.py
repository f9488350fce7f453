"""Tell observers of each request. Exceptions of theirs are logged and not raised."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from urllib.parse import urlsplit

import anyio

from common.http.backend import HttpFailure, HttpRequest, HttpResult
from common.http.log import Send, logger
from common.telemetry.requests import RequestEvent, RequestObserver


def observed(send: Send, observers: Sequence[RequestObserver]) -> Send:
    """Return a function that sends a request and tells the observers what became of it."""
    return partial(_send_observed, send, observers)


def trace_headers(observers: Sequence[RequestObserver]) -> dict[str, str]:
    """Return the headers that the observers add to a request."""
    headers: dict[str, str] = {}
    for each in observers:
        try:
            headers.update(each.trace_headers())
        except Exception:
            logger.exception("the observer failed on the headers of a request")
    return headers


async def _send_observed(
    send: Send, observers: Sequence[RequestObserver], request: HttpRequest
) -> HttpResult | HttpFailure:
    began, status, error = anyio.current_time(), None, None
    try:
        result = await send(request)
        if isinstance(result, HttpResult):
            status = result.response.status
        else:
            error = type(result.error).__name__
    except BaseException as raised:  # a body that is too large, or a cancellation
        error = type(raised).__name__
        raise
    finally:
        seconds = anyio.current_time() - began
        url = urlsplit(request.url)
        origin = f"{url.scheme}://{url.netloc.rpartition('@')[2]}"
        event = RequestEvent(request.method, origin, seconds, status, error)
        for each in observers:
            try:
                each.request_ended(event)
            except Exception:
                logger.exception("the observer failed on a request")
    return result
