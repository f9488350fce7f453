"""What all kinds of trouble have in common: where a fault stands, and which of its values make sense.

A fault stands before the system: it sees the request, may ask the system or not, and may change what the
system says. A test's own kind derives from `Fault`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from common.simulator.messages import Request, Response

if TYPE_CHECKING:
    from common.simulator.simulator import Simulator

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LINE = re.compile(r"[^\x00\r\n]*")
LONGEST = sys.float_info.max
"""Seconds: whole numbers can be greater, and no clock can count them."""
Ask = Callable[[Request], Awaitable[Response]]
"""Asks the system itself, or the next fault before it."""


@attrs.frozen
class Fault:
    """One kind of trouble; this very one is none."""

    def check(self, system: Simulator) -> None:
        """Raise `ValueError` where the system can't have this kind of trouble."""

    def fits(self, system: Simulator, request: Request) -> bool:
        """Tell whether it can show in this request at all."""
        return True

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Return the answer to a request that met this fault, or raise `Lost`."""
        return await ask(request)

    def __str__(self) -> str:
        said: list[str] = []
        for field in attrs.fields(type(self)):
            value, default = getattr(self, field.name), field.default
            make = getattr(default, "factory", None)
            default = default if make is None else make()
            if default is attrs.NOTHING:
                said.append(repr(value))
            elif value != default:
                said.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(said)})"


def not_negative(fault: Fault, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise `ValueError` for what is no time to wait."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LONGEST:
        raise ValueError(f"{attribute.name} of {type(fault).__name__} must be 0 or more, not {value!r}")


def whole(fault: Fault, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise `ValueError` for what counts nothing."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{attribute.name} of {type(fault).__name__} must be 0, 1, 2, …, not {value!r}")


def status_code(fault: Fault, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise `ValueError` for what is no status of a reply."""
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        raise ValueError(f"{attribute.name} of {type(fault).__name__} must be from 200 to 599, not {value!r}")


def flag(fault: Fault, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise `ValueError` for what is neither true nor false."""
    if value is not True and value is not False:
        raise ValueError(f"{attribute.name} of {type(fault).__name__} must be true or false, not {value!r}")


def text(fault: Fault, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise `ValueError` for what is no text of one line."""
    if not isinstance(value, str) or not _LINE.fullmatch(value):
        raise ValueError(f"{attribute.name} of {type(fault).__name__} must be text, not {value!r:.60}")


def headers(fault: Fault, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise `ValueError` for what no reply can have as its headers."""
    pairs = value.items() if isinstance(value, Mapping) else None
    if pairs is None:
        raise ValueError(
            f"{attribute.name} of {type(fault).__name__} must be texts by name, not {value!r:.60}"
        )
    for name, said in pairs:
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ValueError(f"a header cannot be called {name!r:.60}")
        if not isinstance(said, str) or not _LINE.fullmatch(said):
            raise ValueError(f"a header must be text on one line, not {said!r:.60}")
        if name.lower() in {"content-length", "transfer-encoding"}:
            raise ValueError(f"{name} is as long as the body: CutBody is the fault that says otherwise")


def with_body(status: int) -> None:
    """Raise `ValueError` for a status whose replies have no body."""
    if status in {204, 205, 304}:
        raise ValueError(f"a reply with status {status} has no body")
