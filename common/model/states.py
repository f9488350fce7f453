"""The eight states that every provider's vocabulary is folded into, and the verbs that act on a job."""

from __future__ import annotations

import enum
from collections.abc import Mapping


class JobState(enum.StrEnum):
    """Where a job stands. The state alone decides success, never a code or a message."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    """Ended with a part of the work undone: BlueXP's WARNING, or a success with a failed item."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """The server sent a word that this version does not know, or none. Neither an end nor a success."""

    @property
    def terminal(self) -> bool:
        """True for the states that a job never leaves."""
        return self in TERMINAL


TERMINAL = frozenset({JobState.SUCCEEDED, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED})
"""The states that end a job: SUCCEEDED, PARTIAL, FAILED and CANCELLED."""


def read_state(
    word: str | None, table: Mapping[str, JobState], more: Mapping[str, JobState] | None
) -> JobState:
    """The state behind a server's word, in any letter case; UNKNOWN for none and for one in no table."""
    if word is None:
        return JobState.UNKNOWN
    folded = word.lower()
    for own, state in more.items() if more else ():
        if own.lower() == folded:
            return state
    return table.get(folded, JobState.UNKNOWN)


class Action(enum.StrEnum):
    """What can be asked of a job."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


class Capability(enum.StrEnum):
    """What a source's server offers beyond reading one job."""

    LIST = "list"
    BATCH = "batch"
    """One request can answer for many ids."""
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
