"""An injected fault: how often it shows, after what and how likely, and which requests met it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random

import attrs

from common.simulator.faults import Ask, Fault
from common.simulator.faults.base import LONGEST
from common.simulator.faults.match import Match
from common.simulator.messages import Request, Response
from common.simulator.system import System


@attrs.frozen
class Trigger:
    """When a fault shows among the requests that match.

    At most ``times`` (None: any number), not in the first ``after`` requests, not within ``after_seconds``
    on the simulator's clock, and else with ``probability``. Raise `ValueError` for values out of range.
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
        parts = ["any number of times" if self.times is None else f"{self.times}x"]
        parts += [f"after {self.after} requests"] if self.after else []
        parts += [f"after {self.after_seconds:g} s"] if self.after_seconds else []
        parts += [f"p={self.probability:g}"] if self.probability < 1 else []
        return ", ".join(parts)


@attrs.define(eq=False)
class Injection:
    """Faults that a test injected.

    ``met`` are the requests that met them. ``matched`` is how many requests matched while the faults could
    still show: those that ``after`` or ``probability`` spared count too.
    """

    id: int
    match: Match
    faults: tuple[Fault, ...]
    trigger: Trigger
    random: Random = attrs.field(repr=False)
    start: float | None = None
    matched: int = 0
    met: list[Request] = attrs.field(factory=list[Request], repr=False)

    def triggered_by(self, system: System, request: Request) -> bool:
        """Count a request, and return whether it meets the faults."""
        self.start = request.at if self.start is None else self.start
        trigger = self.trigger
        if (
            (trigger.times is not None and len(self.met) >= trigger.times)
            or request.at < self.start + trigger.after_seconds
            or not self.match.matches(request)
            or not all(fault.applies_to(system, request) for fault in self.faults)
        ):
            return False
        self.matched += 1
        if self.matched <= trigger.after or self.match.nth not in {None, self.matched}:
            return False
        if trigger.probability < 1 and self.random.random() >= trigger.probability:
            return False
        self.met.append(request)
        return True

    async def apply(self, system: System, request: Request) -> Response:
        """Return the response to a request that meets these faults; the first is the outermost."""
        ask: Ask = system.respond
        for fault in reversed(self.faults):
            ask = partial(fault.apply, system, ask)
        return await ask(request)

    def __str__(self) -> str:
        return f"{' and '.join(map(str, self.faults))} on {self.match} ({self.trigger})"


def first_triggered(injections: Sequence[Injection], system: System, request: Request) -> Injection | None:
    """Return the first injection that a request triggers; those behind it do not count the request."""
    return next((each for each in injections if each.triggered_by(system, request)), None)


def unmet(injections: Sequence[Injection]) -> list[str]:
    """Return a sentence for each injection that no request has met.

    One with a probability is left out if a request matched beyond its first ``after``: that it did not meet
    the faults is chance.
    """
    return [
        f"an injected fault was never met: {each}; {_requests(each.matched)} matched"
        for each in injections
        if not each.met and not (each.trigger.probability < 1 and each.matched > each.trigger.after)
    ]


def _requests(count: int) -> str:
    return f"{count or 'no'} request{'' if count == 1 else 's'}"
