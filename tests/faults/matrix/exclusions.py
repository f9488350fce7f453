"""Where a fault cannot occur, and why: what the table has no outcome for."""

from __future__ import annotations

import attrs

from bluexp_jobs.wire import PROVIDER as BLUEXP
from cfjobs.wire import PROVIDER as CF
from ontapjobs.wire import PROVIDER as ONTAP
from tests.faults.matrix.expectations import MANY, POLLING


@attrs.frozen
class Never:
    """Where a fault cannot occur. An empty set stands for all kinds, phases or columns."""

    why: str
    kinds: frozenset[str] = frozenset()
    phases: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()

    def covers(self, kind: str, phase: str, column: str) -> bool:
        return (
            kind in (self.kinds or {kind})
            and phase in (self.phases or {phase})
            and column in (self.columns or {column})
        )


UNSUPPORTED = "raises Unsupported, and sends nothing"
NO_SUCH_FEATURE = "the system lacks what could go wrong, and inject() says so"
DOES_NOT_FIT = "no request of this phase can meet it"
SAME_AS_ONE = "the same as with one job"

OF_LISTS = frozenset({"short page", "empty page", "ignored filter"})

NEVER = (
    Never(UNSUPPORTED, phases=frozenset({"act", "re-read"}), columns=frozenset({BLUEXP, CF})),
    Never(UNSUPPORTED, phases=frozenset({"list"}), columns=frozenset({CF})),
    Never(SAME_AS_ONE, phases=frozenset({"act", "re-read", "list", "start"}), columns=frozenset({MANY})),
    Never(NO_SUCH_FEATURE, kinds=frozenset({"short page", "empty page"}), columns=frozenset({BLUEXP, CF})),
    Never(NO_SUCH_FEATURE, kinds=frozenset({"ignored filter"}), columns=frozenset({CF})),
    Never(DOES_NOT_FIT, OF_LISTS, POLLING, frozenset({ONTAP, BLUEXP})),
    Never(DOES_NOT_FIT, OF_LISTS, frozenset({"act", "re-read", "start"})),
    Never(DOES_NOT_FIT, frozenset({"stale by 3 s"}), frozenset({"act", "start"})),
    Never(DOES_NOT_FIT, frozenset({"a job vanishes"}), frozenset({"start"})),
)
"""The first that covers a case says why."""
