"""The eight states to which every provider's states are mapped, and the actions on a job."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from common.set_module import set_module


class JobState(enum.StrEnum):
    """The state of a job. It alone decides success, never a code or a message."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    """Ended with part of the work not done: BlueXP's WARNING, or a success with a failed item."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """The server sent a state that this version does not know, or none. Neither terminal nor a success."""

    @property
    def terminal(self) -> bool:
        """Whether a job never leaves the state."""
        return self in TERMINAL


TERMINAL = frozenset({JobState.SUCCEEDED, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED})
"""The states that end a job: SUCCEEDED, PARTIAL, FAILED and CANCELLED."""


def read_state(
    word: str | None, table: Mapping[str, JobState], custom: Mapping[str, JobState] | None
) -> JobState:
    """Return the state for a server's word; UNKNOWN for None and for an unknown word.

    Letter case does not matter, nor the difference between space, hyphen and underscore. ``custom`` are the
    caller's additions, which take precedence over the provider's ``table``.
    """
    if word is None:
        return JobState.UNKNOWN
    folded = fold_word(word)
    for name, state in custom.items() if custom else ():
        if fold_word(name) == folded:
            return state
    return table.get(folded, JobState.UNKNOWN)


def fold_word(word: str) -> str:
    """Return the form in which words for states are compared."""
    return word.casefold().translate(_SEPARATORS)


_SEPARATORS = str.maketrans(" -", "__")


class Action(enum.StrEnum):
    """An action on a job."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


class Capability(enum.StrEnum):
    """What a source's server supports beyond reading one job."""

    LIST = "list"
    BATCH = "batch"
    """One request can read many jobs."""
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


set_module(JobState, Action, Capability)
