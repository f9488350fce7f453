"""Faults of the connection: a response that comes late, in part, or not at all, and lost connections."""

from __future__ import annotations

import anyio
import attrs

from common.simulator.faults.base import Ask, Fault, flag, not_negative, whole
from common.simulator.messages import Request, Response
from common.simulator.outage import ConnectionLost
from common.simulator.system import System


@attrs.frozen
class Delay(Fault):
    """A response that is late by seconds on the simulator's clock; the request takes effect at once."""

    seconds: float = attrs.field(validator=not_negative)

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Return the system's response after the delay."""
        response = await ask(request)
        await system.clock.sleep(self.seconds)
        return response


@attrs.frozen
class Hang(Fault):
    """No response until the client gives up; with ``acts`` the request takes effect."""

    acts: bool = attrs.field(default=False, validator=flag)

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Never return."""
        if self.acts:
            await ask(request)
        while True:
            await anyio.sleep_forever()


@attrs.frozen
class CutBody(Fault):
    """A response whose connection closes within the body, after ``after_bytes``."""

    after_bytes: int = attrs.field(default=0, validator=whole)

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Return a response that announces more bytes than it sends."""
        response = await ask(request)
        kept = min(self.after_bytes, len(response.body))
        announced = max(len(response.body), kept + 1)
        return attrs.evolve(response.replacing({"Content-Length": str(announced)}), cut=kept)


@attrs.frozen
class Reset(Fault):
    """A connection reset instead of a response; with ``acts`` the request takes effect first."""

    acts: bool = attrs.field(default=False, validator=flag)

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Raise `ConnectionLost`."""
        if self.acts:
            await ask(request)
        raise ConnectionLost("reset")


@attrs.frozen
class Refuse(Fault):
    """No connections from this request on, for seconds on the simulator's clock or until a reset.

    On a real socket the request that meets this fault already has its connection: that one is reset. The
    listening socket is closed meanwhile, unless the clock is stepped by hand: then connections are reset
    once a request comes in, so that ``/_sim/`` can be reached to step the clock.
    """

    seconds: float = attrs.field(validator=not_negative)

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Start the outage, and raise `ConnectionLost`."""
        raise ConnectionLost("refused", system.start_outage(self.seconds))
