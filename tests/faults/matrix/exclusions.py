"""The cases of the fault matrix that cannot occur, and why: for these no outcome is expected."""

from __future__ import annotations

import attrs

from bluexp_jobs.wire import PROVIDER as BLUEXP
from cfjobs.wire import PROVIDER as CF
from ontapjobs.wire import PROVIDER as ONTAP
from tests.faults.matrix.expectations import MANY, POLLING


@attrs.frozen
class Exclusion:
    """Cases that cannot occur. An empty set stands for all faults, phases or targets."""

    reason: str
    faults: frozenset[str] = frozenset()
    phases: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()

    def covers(self, fault: str, phase: str, target: str) -> bool:
        return (
            fault in (self.faults or {fault})
            and phase in (self.phases or {phase})
            and target in (self.targets or {target})
        )


UNSUPPORTED = "the source raises Unsupported, and sends nothing"
NO_SUCH_FEATURE = "the system lacks the feature that the fault affects, and inject() raises"
DOES_NOT_APPLY = "the fault applies to no request of this phase"
SAME_AS_ONE = "the same as with one job"

LIST_FAULTS = frozenset({"short page", "empty page", "ignored filter"})

EXCLUSIONS = (
    Exclusion(UNSUPPORTED, phases=frozenset({"act", "re-read"}), targets=frozenset({BLUEXP, CF})),
    Exclusion(UNSUPPORTED, phases=frozenset({"list"}), targets=frozenset({CF})),
    Exclusion(SAME_AS_ONE, phases=frozenset({"act", "re-read", "list", "start"}), targets=frozenset({MANY})),
    Exclusion(
        NO_SUCH_FEATURE, faults=frozenset({"short page", "empty page"}), targets=frozenset({BLUEXP, CF})
    ),
    Exclusion(NO_SUCH_FEATURE, faults=frozenset({"ignored filter"}), targets=frozenset({CF})),
    Exclusion(DOES_NOT_APPLY, LIST_FAULTS, POLLING, frozenset({ONTAP, BLUEXP})),
    Exclusion(DOES_NOT_APPLY, LIST_FAULTS, frozenset({"act", "re-read", "start"})),
    Exclusion(
        DOES_NOT_APPLY,
        frozenset({"stale by 3 s", "job missing in an old answer"}),
        frozenset({"act", "start"}),
    ),
    Exclusion(DOES_NOT_APPLY, frozenset({"job lost"}), frozenset({"start"})),
)
"""The first exclusion that covers a case gives its reason."""
