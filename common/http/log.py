"""Log each request at DEBUG: one line for it and one for its headers, with secrets redacted.

No body is ever logged. The HTTP libraries have loggers of their own, and httpcore's show the headers of each
response, ``Set-Cookie`` too: while a request of ours is under way, their lines are redacted as well.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable, Set
from contextvars import ContextVar
from functools import partial
from logging import DEBUG, INFO
from typing import Protocol

from common.http.backend import HttpBackend, HttpFailure, HttpRequest, HttpResult
from common.response.redaction import redacted, redacted_url

logger: logging.Logger = logging.getLogger("jobsource.http")

Send = Callable[[HttpRequest], Awaitable[HttpResult | HttpFailure]]

MAX_ID_LENGTH = 100
"""How many characters of a request id are logged."""

_LIBRARIES = tuple(
    logging.getLogger(f"{library}{part}")
    for version in ("", "2")
    for library, parts in (
        (f"httpcore{version}", (".http11", ".http2", ".connection", ".proxy", ".socks")),
        (f"httpx{version}", ("",)),
    )
    for part in parts
)
_LEVELS = tuple(
    (logging.getLogger(name), level)
    for version in ("", "2")
    for name, level in ((f"httpcore{version}.http11", DEBUG), (f"httpx{version}", INFO))
)
"""The loggers that show what a server sent, and from which level: httpx, at INFO, the reason phrase."""
_REQUEST_ID = re.compile(r"(request|response|correlation)[-_]?id")
_PAIR = re.compile(
    r"""\((?P<name>b'[^']*'|b"[^"]*"), (?P<value>b'(?:[^'\\]|\\.)*'|b"(?:[^"\\]|\\.)*")\)""", re.DOTALL
)
"""A header as httpcore's loggers write it: the repr of a pair of bytes."""
_active: ContextVar[_Redaction | None] = ContextVar("jobsource_redaction", default=None)
"""The redaction of the request that runs in the current context, if it is one of ours."""


class Redact(Protocol):
    """Removes from a text, or its first ``limit`` characters, the known secrets and those in ``also``."""

    def __call__(self, text: str, limit: int | None = None, *, also: Set[str] = frozenset()) -> str:
        """Return what may be shown."""
        ...


class _Redaction:
    """Removes from a text all secrets of one request, including those that its HTTP library added."""

    def __init__(self, redact: Redact, request: HttpRequest) -> None:
        self._redact = redact
        self._request = request

    def __call__(self, text: str, limit: int | None = None) -> str:
        return self._redact(text, limit, also=self._request.secrets)


def logged(client: HttpBackend, redact: Redact) -> Send:
    """Return a function that sends a request, and logs it if our logger is enabled for DEBUG.

    ``redact`` removes from a text the secrets that the client knows.
    """
    if logger.isEnabledFor(DEBUG) or any(library.isEnabledFor(level) for library, level in _LEVELS):
        return partial(_send_logged, client.send, redact)
    return client.send


async def _send_logged(send: Send, known: Redact, request: HttpRequest) -> HttpResult | HttpFailure:
    for each in _LIBRARIES:
        each.addFilter(_redact_record)  # adds it once only
    redact = _Redaction(known, request)
    token, began = _active.set(redact), time.perf_counter()
    outcome: HttpResult | HttpFailure | str = ""
    try:
        result = outcome = await send(request)
    except BaseException as error:  # a body that is too large, or a cancellation
        outcome = type(error).__name__
        raise
    finally:
        _active.reset(token)
        if logger.isEnabledFor(DEBUG):
            milliseconds = round((time.perf_counter() - began) * 1000)
            line = f"{request.method} {redacted_url(request.url)}: {_summary(outcome, redact)}"
            logger.debug("%s, %s ms", redact(line), milliseconds)
            logger.debug("%s", redact(_headers(request, outcome)))
    return result


def _summary(outcome: HttpResult | HttpFailure | str, redact: _Redaction) -> str:
    if isinstance(outcome, HttpResult):
        response = outcome.response
        ids = [value for name, value in response.headers if _REQUEST_ID.search(name)]
        id = f", request {redact(ids[0], MAX_ID_LENGTH)!r}" if ids else ""
        return f"{response.status}, {len(response.body)} bytes{id}"
    reason = type(outcome.error).__name__ if isinstance(outcome, HttpFailure) else outcome
    return f"no complete response ({reason})"


def _headers(request: HttpRequest, outcome: object) -> str:
    # Those that were sent, if known, since an HTTP library adds some of its own.
    headers = outcome.sent_headers if isinstance(outcome, HttpResult) else request.headers
    return f"sent {', '.join(f'{name}: {redacted(name, value)}' for name, value in headers.items())}"


def _redact_record(record: logging.LogRecord) -> bool:
    redact = _active.get()
    if redact is not None:
        record.msg, record.args = redact(_PAIR.sub(_redact_pair, record.getMessage())), ()
    return True


def _redact_pair(pair: re.Match[str]) -> str:
    name, value = pair["name"][2:-1], pair["value"][2:-1]
    return f"(b'{name}', b'{redacted(name, value)}')"
