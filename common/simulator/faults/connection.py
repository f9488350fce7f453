"""Faults of the wire: a reply that comes late, in part, or not at all, and connections that are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import attrs

from common.simulator.faults.base import Ask, Fault, flag, not_negative, whole
from common.simulator.messages import Request, Response
from common.simulator.outage import Lost

if TYPE_CHECKING:
    from common.simulator.simulator import Simulator


@attrs.frozen
class Delay(Fault):
    """A reply that comes late, by seconds on the simulator's clock; the system acts at once."""

    seconds: float = attrs.field(validator=not_negative)

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Hold the answer back."""
        response = await ask(request)
        await system.clock.sleep(self.seconds)
        return response


@attrs.frozen
class Hang(Fault):
    """No reply at all, until the client gives up; with ``acts`` the system does what it was asked to do."""

    acts: bool = attrs.field(default=False, validator=flag)

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Never answer."""
        if self.acts:
            await ask(request)
        while True:
            await anyio.sleep_forever()


@attrs.frozen
class CutBody(Fault):
    """The system's answer, whose connection closes after so many bytes of the body: never all of it."""

    after_bytes: int = attrs.field(default=0, validator=whole)

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Announce more than is sent."""
        response = await ask(request)
        kept = min(self.after_bytes, len(response.body))
        announced = max(len(response.body), kept + 1)
        return attrs.evolve(response.replacing({"Content-Length": str(announced)}), cut=kept)


@attrs.frozen
class Reset(Fault):
    """A connection that is reset in place of a reply; with ``acts`` the system has done its work."""

    acts: bool = attrs.field(default=False, validator=flag)

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Lose the connection."""
        if self.acts:
            await ask(request)
        raise Lost("reset")


@attrs.frozen
class Refuse(Fault):
    """No connection to the system, from this request on, for seconds on its clock or until it is reset.

    On a real socket the very request that meets it had its connection already: that one is reset. The
    listening socket is closed meanwhile, unless the clock is stepped by hand: then connections are reset
    once a request comes in, so that ``/_sim/`` can be reached to step it.
    """

    seconds: float = attrs.field(validator=not_negative)

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Lose the connection, and take none."""
        raise Lost("refused", system.shut(self.seconds))
