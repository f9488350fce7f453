"""How the fault matrix states the outcomes of a fault: a row, with an expected outcome for each phase."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from common import WaitTimeout
from common.model.errors import SourceError
from common.simulator import Fault
from tests.faults.matrix.cases import Outcome

MANY = "ontap-many"
POLLING = frozenset({"first poll", "mid-wait", "last poll"})


@attrs.frozen
class Expected:
    """The outcome of one case."""

    outcome: Outcome
    requests: int = 1
    """The most requests from the first that meets the fault on, which is included."""
    seconds: float = 60.0
    """The most seconds to the outcome; a `WaitTimeout` comes after exactly 60."""
    cause: type[SourceError] | None = None
    """What a `WaitTimeout` gives as its cause."""


@attrs.frozen
class ExpectedPolls:
    """The outcomes of a wait whose first poll meets the fault, its poll at 5 s, or its last poll at 10 s."""

    first: Expected
    mid: Expected
    last: Expected

    def of(self, phase: str) -> Expected:
        return {"first poll": self.first, "mid-wait": self.mid, "last poll": self.last}[phase]


def ends(
    outcome: Outcome, requests: tuple[int, int, int], seconds: tuple[float, float, float]
) -> ExpectedPolls:
    return ExpectedPolls(*(Expected(outcome, *limits) for limits in zip(requests, seconds, strict=True)))


def times_out(cause: type[SourceError], requests: int) -> ExpectedPolls:
    """Backoff doubles, less up to half for jitter: at most 13 attempts in 60 s."""
    expected = Expected(WaitTimeout, requests, 60.0, cause)
    return ExpectedPolls(expected, expected, expected)


def at_once(outcome: Outcome, requests: int) -> ExpectedPolls:
    return ends(outcome, (requests, requests, requests), (0, 5, 10))


@attrs.frozen
class Row:
    """The outcomes of some faults, injected once or permanently; None if the case cannot occur."""

    faults: Mapping[str, Fault | int]
    """All have the same outcomes. A number is a status with an error body of the provider."""
    once: ExpectedPolls | None
    permanent: ExpectedPolls | None
    act: Expected | None
    re_read: Expected | None
    list: Expected | None
    start: Expected | None
    if_permanent: Mapping[str, Expected] = attrs.field(factory=dict[str, Expected])
    """What replaces the last four if the fault is permanent, where that makes a difference."""
    once_many: ExpectedPolls | None = None
    """For three jobs of ONTAP that are polled in one request, where that makes a difference."""
    permanent_many: ExpectedPolls | None = None
    provider_faults: Mapping[str, Fault] = attrs.field(factory=dict[str, Fault])
    """What replaces the fault for one provider."""

    def expected(self, phase: str, target: str, *, permanent: bool) -> Expected | None:
        if phase in POLLING:
            many = (self.permanent_many if permanent else self.once_many) if target == MANY else None
            polls = many or (self.permanent if permanent else self.once)
            return None if polls is None else polls.of(phase)
        calls = {"act": self.act, "re-read": self.re_read, "list": self.list, "start": self.start}
        return {**calls, **(self.if_permanent if permanent else {})}[phase]
