"""Read the states that ``--state`` and ``--until`` name."""

from __future__ import annotations

from common.cli.errors import did_you_mean
from common.model.errors import UsageError
from common.model.states import JobState


def read_states(text: str, option: str) -> list[JobState]:
    """Return the states of ``running,queued``, in any letter case. Raise `UsageError` for another word."""
    words = [word.strip().lower() for word in text.split(",")]
    states: list[JobState] = []
    for word in words:
        try:
            states.append(JobState(word))
        except ValueError:
            names = [state.value for state in JobState]
            raise UsageError(
                f"{option}: no state {word[:40]!r}; there are {', '.join(names)}{did_you_mean(word, names)}"
            ) from None
    return states
