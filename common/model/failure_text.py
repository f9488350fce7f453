"""The texts about a job in errors: how it was last seen, and why it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.model.job import Job


def last_words(job: Job | None) -> str:
    """Return how a job was last seen: its state, the server's own word for it, and the message."""
    if job is None:
        return "never"
    return f"{state_words(job)} ({job.message})" if job.message else state_words(job)


def state_words(job: Job) -> str:
    """Return a job's state, and the server's own word if it differs: ``FAILED 'dead'``."""
    native, name = job.native_state, job.state.name
    return name if native is None or native.casefold() == name.casefold() else f"{name} {native!r}"


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
