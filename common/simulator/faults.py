"""What can go wrong on the way to a system with jobs, and within it; each kind is one class.

A fault stands before the system: it sees the request, may ask the system or not, and may change what the
system says. A test's own kind derives from `Fault`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Mapping
from email.utils import format_datetime
from types import MappingProxyType
from typing import TYPE_CHECKING
from typing import Any

import anyio
import attrs

from common.simulator.lost import Lost
from common.simulator.matching import ids_in
from common.simulator.messages import Quirks
from common.simulator.messages import Request
from common.simulator.messages import Response

if TYPE_CHECKING:
    from common.simulator.base import Simulator

Ask = Callable[[Request], Awaitable[Response]]
"""Asks the system itself, or the next fault before it."""

PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1><hr>proxy</body></html>"


def _seconds(fault: Fault, attribute: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ValueError(f"{attribute.name} of {type(fault).__name__} must be 0 or more, not {value!r}")


def _whole(fault: Fault, attribute: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{attribute.name} of {type(fault).__name__} must be 0, 1, 2, …, not {value!r}")


def _status(fault: Fault, attribute: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        raise ValueError(f"{attribute.name} of {type(fault).__name__} must be from 200 to 599, not {value!r}")


def _none() -> Mapping[str, str]:
    return {}


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


@attrs.frozen
class Status(Fault):
    """A status with headers and a body (text, bytes, or data that becomes JSON).

    With ``acts`` the system does what it was asked to do, and only its reply is lost to this one.
    """

    status: int = attrs.field(validator=_status)
    headers: Mapping[str, str] = attrs.field(factory=_none)
    body: Any = None
    acts: bool = False

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Answer so."""
        if self.acts:
            await ask(request)
        kind, body = _encoded(self.body)
        return Response(self.status, self.headers, body).adding(kind)


@attrs.frozen
class RetryAfter(Fault):
    """A 503 (or another status) with ``Retry-After`` in seconds, or with ``date`` as a date."""

    seconds: float = attrs.field(validator=_seconds)
    date: bool = False
    status: int = attrs.field(default=503, validator=_status)
    body: Any = None

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Answer so."""
        now = system.clock.now()
        whole = math.ceil(self.seconds)
        text = format_datetime(system.wall(now + self.seconds), usegmt=True) if self.date else str(whole)
        kind, body = _encoded(self.body)
        return Response(self.status, {"Retry-After": text}, body).adding(kind)


@attrs.frozen
class Html(Fault):
    """A page of a proxy's, in place of the system's answer; ``acts`` as in `Status`."""

    status: int = attrs.field(default=504, validator=_status)
    acts: bool = False

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Answer so."""
        page = PAGE.format(f"{self.status} by a proxy")
        reply = Status(self.status, {"Content-Type": "text/html"}, page, self.acts)
        return await reply.meet(system, ask, request)


@attrs.frozen
class ContentType(Fault):
    """The system's own answer under another content type, such as JSON as ``text/plain``."""

    type: str

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Change the header."""
        return (await ask(request)).replacing({"Content-Type": self.type})


@attrs.frozen
class Delay(Fault):
    """A reply that comes late, by seconds on the simulator's clock; the system acts at once."""

    seconds: float = attrs.field(validator=_seconds)

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Hold the answer back."""
        response = await ask(request)
        await system.clock.sleep(self.seconds)
        return response


@attrs.frozen
class Hang(Fault):
    """No reply at all, until the client gives up; with ``acts`` the system does what it was asked to do."""

    acts: bool = False

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Never answer."""
        if self.acts:
            await ask(request)
        while True:
            await anyio.sleep_forever()


@attrs.frozen
class CutBody(Fault):
    """The system's answer, whose connection closes after so many bytes of the body: never all of it."""

    after_bytes: int = attrs.field(default=0, validator=_whole)

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Announce more than is sent."""
        response = await ask(request)
        kept = min(self.after_bytes, len(response.body))
        announced = max(len(response.body), kept + 1)
        return attrs.evolve(response.replacing({"Content-Length": str(announced)}), cut=kept)


@attrs.frozen
class Reset(Fault):
    """A connection that is reset in place of a reply; with ``acts`` the system has done its work."""

    acts: bool = False

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Lose the connection."""
        if self.acts:
            await ask(request)
        raise Lost("reset")


@attrs.frozen
class Refuse(Fault):
    """No connection to the system, from this request on, for seconds on the simulator's clock.

    On a real socket the very request that meets it had its connection already: that one is reset. The
    listening socket is closed meanwhile, unless the clock is stepped by hand: then connections are reset
    once a request comes in, so that ``/_sim/`` can be reached to step it.
    """

    seconds: float = attrs.field(validator=_seconds)

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Lose the connection, and take none."""
        system.down_until = system.clock.now() + self.seconds
        real = system.clock.real(self.seconds)
        raise Lost("refused", 0.0 if math.isinf(real) else real)


@attrs.frozen
class Stale(Fault):
    """What the system would have said to a GET so many seconds ago, such as a page out of a cache."""

    seconds: float = attrs.field(validator=_seconds)

    def fits(self, system: Simulator, request: Request) -> bool:
        """Whether it is a GET."""
        return request.method == "GET"

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Ask as if it were then."""
        return await ask(attrs.evolve(request, at=request.at - self.seconds))


@attrs.frozen
class ShortPage(Fault):
    """A page of a list that ends early, after so many records or none, though more follow."""

    records: int = attrs.field(default=0, validator=_whole)

    def check(self, system: Simulator) -> None:
        """Raise `ValueError` where lists have no pages."""
        system.need("pages")

    def fits(self, system: Simulator, request: Request) -> bool:
        """Whether it is for a list."""
        return system.is_list(request)

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Ask for less."""
        return await ask(attrs.evolve(request, quirks=attrs.evolve(request.quirks, page=self.records)))


@attrs.frozen
class IgnoreFilter(Fault):
    """A filter of a list that is not applied; without a name, the one that asks for jobs by id."""

    name: str | None = None

    def check(self, system: Simulator) -> None:
        """Raise `ValueError` where lists have no filters, or none by id."""
        system.need("filters")
        if self.name is None and system.id_filter is None:
            raise ValueError(f"{type(system).__name__} has no filter by id: name the one to be ignored")

    def fits(self, system: Simulator, request: Request) -> bool:
        """Whether it is for a list, with this filter."""
        return system.is_list(request) and (self.name or system.id_filter) in request.query

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Ask without it."""
        ignores = request.quirks.ignores | {str(self.name or system.id_filter)}
        quirks: Quirks = attrs.evolve(request.quirks, ignores=ignores)
        return await ask(attrs.evolve(request, quirks=quirks))


@attrs.frozen
class ExpireTokens(Fault):
    """Every token that was handed out expires, and the one that this request brings along too."""

    def check(self, system: Simulator) -> None:
        """Raise `ValueError` where no tokens are looked at."""
        system.need("tokens")

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Let them expire, and ask."""
        system.expire_tokens(request.headers.get("authorization", ""))
        return await ask(request)


@attrs.frozen
class Forget(Fault):
    """A job that the system forgets before its time; without an id, those that the request is about."""

    job: str | None = None

    def fits(self, system: Simulator, request: Request) -> bool:
        """Whether there is such a job."""
        wanted = ids_in(request) if self.job is None else {self.job}
        return not wanted.isdisjoint(system.jobs)

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Forget, and ask."""
        for id in ids_in(request) if self.job is None else {self.job}:
            system.jobs.pop(id, None)
        return await ask(request)


KINDS: Mapping[str, type[Fault]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            *(Status, RetryAfter, Html, ContentType, Delay, Hang, CutBody, Reset, Refuse),
            *(Stale, ShortPage, IgnoreFilter, ExpireTokens, Forget),
        )
    }
)
"""Every kind by name."""


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
