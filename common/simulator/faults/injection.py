"""When an injected fault shows: how often, after what, how likely; and which requests met it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import attrs

from common.simulator.faults import Ask, Fault
from common.simulator.faults.base import LONGEST
from common.simulator.faults.match import Match
from common.simulator.messages import Request, Response

if TYPE_CHECKING:
    from common.simulator.simulator import Simulator


@attrs.frozen
class Terms:
    """When a fault shows among the requests that match.

    At most ``times`` (None: any number), not in the first ``after`` of them, not within ``after_seconds``
    on the simulator's clock, and else with ``probability``. Raises `ValueError` for what makes no sense.
    """

    times: int | None = 1
    after: int = 0
    after_seconds: float = 0.0
    probability: float = 1.0

    def __attrs_post_init__(self) -> None:
        if self.times is not None and (type(self.times) is not int or self.times < 1):
            raise ValueError(f"times is 1 or more, or None for any number, not {self.times}")
        if type(self.after) is not int or self.after < 0 or not 0 <= self.after_seconds <= LONGEST:
            raise ValueError("after and after_seconds are 0 or more")
        if not 0 < self.probability <= 1:
            raise ValueError(f"a probability is above 0 and at most 1, not {self.probability}")

    def __str__(self) -> str:
        said = ["any number of times" if self.times is None else f"{self.times}x"]
        said += [f"after {self.after} requests"] if self.after else []
        said += [f"after {self.after_seconds:g} s"] if self.after_seconds else []
        said += [f"p={self.probability:g}"] if self.probability < 1 else []
        return ", ".join(said)


@attrs.define(eq=False)
class Injection:
    """Faults that a test injected. ``met`` are the requests that met them; ``matched`` counts those alike."""

    id: int
    match: Match
    faults: tuple[Fault, ...]
    terms: Terms
    random: Random = attrs.field(repr=False)
    start: float | None = None
    matched: int = 0
    met: list[Request] = attrs.field(factory=list[Request], repr=False)

    def takes(self, system: Simulator, request: Request) -> bool:
        """Count a request, and tell whether it meets the faults."""
        self.start = request.at if self.start is None else self.start
        terms = self.terms
        if (
            (terms.times is not None and len(self.met) >= terms.times)
            or request.at < self.start + terms.after_seconds
            or not self.match.fits(request)
            or not all(fault.fits(system, request) for fault in self.faults)
        ):
            return False
        self.matched += 1
        if self.matched <= terms.after or self.match.nth not in {None, self.matched}:
            return False
        if terms.probability < 1 and self.random.random() >= terms.probability:
            return False
        self.met.append(request)
        return True

    async def meet(self, system: Simulator, request: Request) -> Response:
        """Return the answer to a request that meets these faults; the first is the outermost."""
        ask: Ask = system.respond
        for fault in reversed(self.faults):
            ask = partial(fault.meet, system, ask)
        return await ask(request)

    def __str__(self) -> str:
        return f"{' and '.join(map(str, self.faults))} on {self.match} ({self.terms})"


def taken_by(injections: Sequence[Injection], system: Simulator, request: Request) -> Injection | None:
    """Return the first injection that takes a request; those behind it don't see it."""
    return next((each for each in injections if each.takes(system, request)), None)


def complaints(injections: Sequence[Injection]) -> list[str]:
    """Return a sentence for each injection that no request ever met."""
    return [
        f"an injected fault was never met: {each}; {_requests(each.matched)} matched"
        for each in injections
        if not each.met
    ]


def _requests(count: int) -> str:
    return f"{count or 'no'} request{'' if count == 1 else 's'}"
