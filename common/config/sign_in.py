"""Check that a system answers, and that it accepts the credentials."""

from __future__ import annotations

from contextlib import suppress

from common.model.errors import JobNotFound
from common.sources.base import BaseSource

NO_JOB = "00000000-0000-0000-0000-000000000000"
"""An id that no job has: a system says so only to those who are signed in."""


async def check_sign_in(source: BaseSource) -> None:
    """Look for a job that does not exist. Raise what ``source.get`` raises, except `JobNotFound`."""
    with suppress(JobNotFound):
        await source.get(NO_JOB)
