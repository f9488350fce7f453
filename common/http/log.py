"""What the log says of each request at DEBUG: one line, and one of its headers, without what is secret.

No body is ever logged. The HTTP libraries have loggers of their own, and httpcore's show the headers of each
reply, ``Set-Cookie`` and all: while a request of ours is under way, their lines are cleaned as well.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from logging import DEBUG

from common.http.backend import HttpBackend, HttpFailure, HttpRequest, HttpResult
from common.response.redaction import redacted, redacted_url

logger: logging.Logger = logging.getLogger("jobsource.http")

Exchange = Callable[[HttpRequest], Awaitable[HttpResult | HttpFailure]]
Redact = Callable[[str], str]

LONGEST_ID = 100
"""Characters of a request id that are logged."""

_LIBRARIES = tuple(
    logging.getLogger(f"{library}{part}")
    for version in ("", "2")
    for library, parts in (
        (f"httpcore{version}", (".http11", ".http2", ".connection", ".proxy", ".socks")),
        (f"httpx{version}", ("",)),
    )
    for part in parts
)
_httpcore, _httpcore2 = (logging.getLogger(f"{name}.http11") for name in ("httpcore", "httpcore2"))
_REQUEST_ID = re.compile(r"(request|response|correlation)[-_]?id")
_PAIR = re.compile(
    r"""\((?P<name>b'[^']*'|b"[^"]*"), (?P<value>b'(?:[^'\\]|\\.)*'|b"(?:[^"\\]|\\.)*")\)""", re.DOTALL
)
"""A header as httpcore's loggers write it: the repr of a pair of bytes."""
_ours: ContextVar[Redact | None] = ContextVar("jobsource_clean", default=None)


def logged(client: HttpBackend, clean: Redact) -> Exchange:
    """How to send a request: as it is, or with a line in the log where somebody reads it at DEBUG.

    ``clean`` takes out of a text the secrets that the client knows.
    """
    if logger.isEnabledFor(DEBUG) or _httpcore.isEnabledFor(DEBUG) or _httpcore2.isEnabledFor(DEBUG):
        return partial(_watch, client.send, clean)
    return client.send


async def _watch(exchange: Exchange, clean: Redact, request: HttpRequest) -> HttpResult | HttpFailure:
    for each in _LIBRARIES:
        each.addFilter(_cleaned)  # which adds it once
    token, begun = _ours.set(clean), time.perf_counter()
    outcome: HttpResult | HttpFailure | str = ""
    try:
        answer = outcome = await exchange(request)
    except BaseException as error:  # too large, or cancelled
        outcome = type(error).__name__
        raise
    finally:
        _ours.reset(token)
        if logger.isEnabledFor(DEBUG):
            taken = round((time.perf_counter() - begun) * 1000)
            line = f"{request.method} {redacted_url(request.url)}: {_summary(outcome)}, {taken} ms"
            logger.debug("%s", clean(line))
            logger.debug("%s", clean(_headers(request, outcome)))
    return answer


def _summary(outcome: HttpResult | HttpFailure | str) -> str:
    if isinstance(outcome, HttpResult):
        reply = outcome.response
        ids = [value for name, value in reply.headers if _REQUEST_ID.search(name)]
        id = f", request {ids[0][:LONGEST_ID]!r}" if ids else ""
        return f"{reply.status}, {len(reply.body)} bytes{id}"
    return f"no whole reply ({type(outcome.error).__name__ if isinstance(outcome, HttpFailure) else outcome})"


def _headers(request: HttpRequest, outcome: object) -> str:
    # As they went out, where that is known: an HTTP library adds some of its own.
    headers = outcome.sent if isinstance(outcome, HttpResult) else request.headers
    return f"sent {', '.join(f'{name}: {redacted(name, value)}' for name, value in headers.items())}"


def _cleaned(record: logging.LogRecord) -> bool:
    clean = _ours.get()
    if clean is not None:
        record.msg, record.args = clean(_PAIR.sub(_without_secret, record.getMessage())), ()
    return True


def _without_secret(pair: re.Match[str]) -> str:
    name, value = pair["name"][2:-1], pair["value"][2:-1]
    return f"(b'{name}', b'{redacted(name, value)}')"
