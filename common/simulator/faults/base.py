"""The base class of faults, and the validators of their fields.

A fault stands between the client and the system: it sees the request, may pass it on to the system or not,
and may change the system's response. A test's own kind of fault derives from `Fault`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs

from common.simulator.messages import Request, Response
from common.simulator.system import System

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LINE = re.compile(r"[^\x00\r\n]*")
LONGEST = sys.float_info.max
"""Seconds: whole numbers can be greater, and no clock can count them."""
Ask = Callable[[Request], Awaitable[Response]]
"""Pass a request on to the system, or to the next fault before it, and return the response."""


@attrs.frozen
class Fault:
    """Base class of faults; the base itself changes nothing."""

    def check(self, system: System) -> None:
        """Raise `ValueError` where this system cannot have this fault."""

    def applies_to(self, system: System, request: Request) -> bool:
        """Whether this fault can show in this request at all."""
        return True

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Return the response to a request that meets this fault, or raise `ConnectionLost`."""
        return await ask(request)

    def __str__(self) -> str:
        arguments: list[str] = []
        for field in attrs.fields(type(self)):
            value, default = getattr(self, field.name), field.default
            make = getattr(default, "factory", None)
            default = default if make is None else make()
            if default is attrs.NOTHING:
                arguments.append(repr(value))
            elif value != default:
                arguments.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(arguments)})"


def not_negative(fault: Fault, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise `ValueError` unless the value is a number of seconds, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LONGEST:
        raise ValueError(f"{attribute.name} of {type(fault).__name__} must be 0 or more, not {value!r}")


def whole(fault: Fault, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise `ValueError` unless the value is a whole number, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{attribute.name} of {type(fault).__name__} must be 0, 1, 2, …, not {value!r}")


def status_code(fault: Fault, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise `ValueError` unless the value is the status of a final response, from 200 to 599."""
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        raise ValueError(f"{attribute.name} of {type(fault).__name__} must be from 200 to 599, not {value!r}")


def flag(fault: Fault, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise `ValueError` unless the value is true or false."""
    if value is not True and value is not False:
        raise ValueError(f"{attribute.name} of {type(fault).__name__} must be true or false, not {value!r}")


def text(fault: Fault, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise `ValueError` unless the value is text on one line."""
    if not isinstance(value, str) or not _LINE.fullmatch(value):
        raise ValueError(f"{attribute.name} of {type(fault).__name__} must be text, not {value!r:.60}")


def headers(fault: Fault, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise `ValueError` unless the value is headers that a response can have."""
    pairs = value.items() if isinstance(value, Mapping) else None
    if pairs is None:
        raise ValueError(
            f"{attribute.name} of {type(fault).__name__} must be texts by name, not {value!r:.60}"
        )
    for name, content in pairs:
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ValueError(f"a header cannot be called {name!r:.60}")
        if not isinstance(content, str) or not _LINE.fullmatch(content):
            raise ValueError(f"a header must be text on one line, not {content!r:.60}")
        if name.lower() in {"content-length", "transfer-encoding"}:
            raise ValueError(f"{name} always fits the body: for a body that is shorter use CutBody")


def with_body(status: int) -> None:
    """Raise `ValueError` for a status whose responses have no body."""
    if status in {204, 205, 304}:
        raise ValueError(f"a reply with status {status} has no body")
