"""A complete HTTP response, and how its status, headers and links are read."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import attrs

from common.model.endpoints import origin
from common.model.errors import UsageError
from common.model.refs import decode_segment

EXCERPT = 500
"""How many characters of a body an exception shows."""
EXCERPT_SOURCE = 64 * 1024
"""Bytes at the beginning of a body from which an excerpt is made."""
MAX_MESSAGE = 4000
"""How many characters of a server's message an exception shows."""

Redact = Callable[[str, int | None], str]
"""A function that redacts the first characters of a text; all of them if the number is None."""


@attrs.frozen(repr=False)
class HttpResponse:
    """A complete response. Header names are in lower case; a header may occur more than once."""

    status: int
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    redact: Redact | None = attrs.field(default=None, eq=False, repr=False)
    """Removes the secrets of the request from an `excerpt`."""
    redirected_to: str | None = None
    """The origin that a redirect leads to, where it is not the request's own (see `redirect_origin`)."""

    def __repr__(self) -> str:
        # Headers and bodies may hold cookies and tokens.
        return f"<HttpResponse {self.status}, {len(self.body)} bytes>"

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        """Return the first value of a header, by its name in lower case, or None."""
        return next((value for key, value in self.headers if key == name), None)

    def header_values(self, name: str) -> tuple[str, ...]:
        """Return every value of a header, in order."""
        return tuple(value for key, value in self.headers if key == name)

    @property
    def is_redirect(self) -> bool:
        """Whether the response is a redirect with a ``Location``."""
        return self.status in _REDIRECTS and bool(self.header("location"))

    @property
    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 become U+FFFD."""
        return self.body.decode("utf-8", "replace")

    @property
    def excerpt(self) -> str:
        """The first `EXCERPT` characters of the body, on one line, after `redact`."""
        text, limit = self.body[:EXCERPT_SOURCE].decode("utf-8", "replace"), EXCERPT * 2
        text = text[:limit] if self.redact is None else self.redact(text, limit)
        return " ".join(text.split())[:EXCERPT]

    @property
    def date(self) -> datetime | None:
        """The time of the response by the server's clock, or None."""
        return http_date(self.header("date"))

    @property
    def retry_after(self) -> float | None:
        """The seconds of ``Retry-After``, in either of its forms, or None."""
        return retry_after(self.header("retry-after"), self.date)


_REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})


def redirect_origin(response: HttpResponse, url: str) -> str | None:
    """Return the origin that a redirect of the request to ``url`` leads to, None if it is no other origin.

    It is for messages: the rest of a ``Location`` may be secret, such as the ticket of a sign-in.
    """
    if not response.is_redirect:
        return None
    location = response.header("location") or ""
    try:
        target, here = urlsplit(urljoin(url, location.strip())), urlsplit(url)
        if target.scheme not in ("http", "https"):
            return "an address without http or https"
        there = origin(f"{target.scheme}://{target.netloc.rpartition('@')[2]}")
        return None if there == origin(f"{here.scheme}://{here.netloc}") else there
    except (ValueError, UsageError):
        return None  # it is no valid URL


@functools.lru_cache(maxsize=16)  # the value changes once a second
def http_date(text: str | None) -> datetime | None:
    """Return the date in a header as an aware datetime in UTC, None for text that is not a date."""
    if not text:
        return None
    from email.utils import parsedate_to_datetime  # lazily: a process that only decodes does not need it

    try:
        parsed = parsedate_to_datetime(text)
        aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after(text: str | None, date: datetime | None) -> float | None:
    """Return ``Retry-After`` in seconds, None for what is neither of its forms (RFC 9110, 10.2.3).

    A date counts from ``date``, the response's own, and from this machine's clock where that is None.
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until = http_date(text)
    if until is None:
        return None
    return max(0.0, (until - (date or datetime.now(UTC))).total_seconds())


def response_of(
    response: object | None = None,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
    body: bytes | str | object = b"",
) -> HttpResponse:
    """Return the `HttpResponse` of another library's response (httpx, requests), or of its parts.

    Raise `UsageError` for any other object, and for a streamed response that was not read.
    """
    if isinstance(response, HttpResponse):
        return response
    if response is not None:
        status_code: object = getattr(response, "status_code", None)
        if not isinstance(status_code, int):
            raise UsageError(
                "adopt() takes an httpx or requests response, or status=, headers= and body= of any other"
            )
        raw: Any = getattr(response, "headers", {})
        pairs = raw.multi_items() if hasattr(raw, "multi_items") else raw.items()
        try:
            content = bytes(getattr(response, "content", b"") or b"")
        except RuntimeError:  # httpx.ResponseNotRead, and its like
            raise UsageError(
                "adopt() needs the body of a streamed response: read it first (await response.aread())"
            ) from None
        return HttpResponse(status_code, _lower(pairs), content)
    if not isinstance(status, int) or isinstance(status, bool):
        raise UsageError("adopt() needs a response, or at least its status= (and headers= and body=)")
    pairs = list(headers.items() if isinstance(headers, Mapping) else _pairs(headers))
    if isinstance(body, str):
        body = body.encode()
    elif isinstance(body, bytearray | memoryview):
        body = bytes(body)
    elif not isinstance(body, bytes):
        try:
            body = json.dumps(body).encode()
        except (TypeError, ValueError):
            raise UsageError("body= must be bytes, text, or the decoded JSON of the response") from None
    return HttpResponse(status, _lower(pairs), body)


def request_header(response: object, name: str | None) -> str | None:
    """Return a header of the request of another library's response, None if that is not known."""
    if name is None or response is None:
        return None
    try:
        headers: Any = getattr(getattr(response, "request", None), "headers", None)
        value = None if headers is None else headers.get(name)
    except (RuntimeError, AttributeError, TypeError):  # httpx: no request has been set
        return None
    return _header(value) if isinstance(value, str | bytes) else None


def _lower(pairs: Iterable[tuple[Any, Any]]) -> tuple[tuple[str, str], ...]:
    return tuple((_header(name).lower(), _header(value)) for name, value in pairs)


def _pairs(headers: Any) -> Iterable[tuple[Any, Any]]:
    try:
        return [(name, value) for name, value in headers or ()]
    except (TypeError, ValueError):
        raise UsageError("headers= must be a mapping, or pairs of name and value") from None


def _header(text: Any) -> str:
    return text.decode("latin-1") if isinstance(text, bytes) else str(text)


def last_segment(href: str | None, *, parent: str) -> str | None:
    """Return the id that ends a URL if the segment before it is ``parent``, else None. Ignore the host."""
    try:
        path = urlsplit(href or "").path
    except ValueError:
        return None
    head, _, last = path.rstrip("/").rpartition("/")
    if not last or head.rpartition("/")[2] != parent:
        return None
    try:
        return decode_segment(last)
    except UnicodeDecodeError:
        return None
