"""Faults that put another response in the place of the system's own."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from email.utils import format_datetime
from typing import Any

import attrs

from common.simulator.faults.base import Ask, Fault, flag, headers, not_negative, status_code, text, with_body
from common.simulator.messages import Request, Response
from common.simulator.system import System

PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1><hr>proxy</body></html>"
"""The body of a proxy's error page, for its heading."""
_ESCAPE = re.compile(rb"\\.")


@attrs.frozen
class Status(Fault):
    """A status with headers and a body (text, bytes, or data that becomes JSON).

    With ``acts`` the request takes effect, and only the response is replaced.
    """

    status: int = attrs.field(validator=status_code)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], validator=headers)
    body: Any = None
    acts: bool = attrs.field(default=False, validator=flag)

    def __attrs_post_init__(self) -> None:
        if self.body is not None:
            with_body(self.status)

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Return this response."""
        if self.acts:
            await ask(request)
        kind, body = _encoded(self.body)
        return Response(self.status, self.headers, body).adding(kind)


@attrs.frozen
class RetryAfter(Fault):
    """A 503 (or another status) with ``Retry-After`` in seconds, or with ``date`` as a date."""

    seconds: float = attrs.field(validator=not_negative)
    date: bool = attrs.field(default=False, validator=flag)
    status: int = attrs.field(default=503, validator=status_code)
    body: Any = None

    def __attrs_post_init__(self) -> None:
        if self.body is not None:
            with_body(self.status)

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Return this response."""
        now = system.clock.now()
        whole = math.ceil(self.seconds)
        text = format_datetime(system.wall(now + self.seconds), usegmt=True) if self.date else str(whole)
        kind, body = _encoded(self.body)
        return Response(self.status, {"Retry-After": text}, body).adding(kind)


@attrs.frozen
class Html(Fault):
    """The error page of a proxy instead of the response; ``acts`` as in `Status`."""

    status: int = attrs.field(default=504, validator=status_code)
    acts: bool = attrs.field(default=False, validator=flag)

    def __attrs_post_init__(self) -> None:
        with_body(self.status)

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Return this response."""
        page = PAGE.format(f"{self.status} by a proxy")
        status = Status(self.status, {"Content-Type": "text/html"}, page, self.acts)
        return await status.apply(system, ask, request)


@attrs.frozen
class ContentType(Fault):
    """The response with another content type, such as JSON as ``text/plain``."""

    type: str = attrs.field(validator=text)

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Return the system's response with this header."""
        return (await ask(request)).replacing({"Content-Type": self.type})


@attrs.frozen
class Latin1(Fault):
    """The response in Latin-1, although JSON must be UTF-8.

    With ``raw_lines``, line ends in texts are not escaped either, which JSON forbids too.
    """

    raw_lines: bool = attrs.field(default=False, validator=flag)

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Return the system's response, encoded anew; a character that Latin-1 lacks becomes "?"."""
        response = await ask(request)
        body = response.body.decode("utf-8", "replace").encode("latin-1", "replace")
        if self.raw_lines:
            body = _ESCAPE.sub(lambda match: b"\n" if match[0] == rb"\n" else match[0], body)
        return attrs.evolve(response, body=body)


def _encoded(body: Any) -> tuple[dict[str, str], bytes]:
    match body:
        case None:
            return {}, b""
        case bytes():
            return {"Content-Type": "application/octet-stream"}, body
        case str():
            return {"Content-Type": "text/plain; charset=utf-8"}, body.encode()
        case _:
            return {"Content-Type": "application/json"}, json.dumps(body, ensure_ascii=False).encode()
