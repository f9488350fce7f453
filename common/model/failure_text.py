"""The texts about a job in errors: how it was last seen, and why it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.model.job import Job


MAX_WORD = 100
"""How many characters of a server's word for a state are shown."""
MAX_MESSAGE = 4000
"""How many characters of a job's message are shown beside its state; the job has all of it."""


def last_words(job: Job | None) -> str:
    """Return how a job was last seen: its state, the server's own word for it, and the message."""
    if job is None:
        return "never"
    return f"{state_words(job)} ({_cut(job.message, MAX_MESSAGE)})" if job.message else state_words(job)


def state_words(job: Job) -> str:
    """Return a job's state, and the server's own word if it differs: ``FAILED 'dead'``."""
    native, name = job.native_state, job.state.name
    same = native is None or native.casefold() == name.casefold()
    return name if same else f"{name} {native_word(job)}"


def native_word(job: Job) -> str:
    """Return the server's own word for a job's state, quoted."""
    return repr(_cut(job.native_state, MAX_WORD) if job.native_state else job.native_state)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def failure_text(job: Job) -> str:
    """Return which job failed, and every reason that the server gave."""
    head = f"{job.ref} {job.state.name}"
    if job.resolved:
        head += " (according to resolve_gone)"
    if job.operation:
        head += f" ({job.operation})"
    reasons = [str(error) for error in job.errors]
    if not reasons:
        reasons = [job.message] if job.message else ["the server gave no reason"]
    return f"{head}: {'; '.join(reasons)}"
