"""What a write hands over: its jobs, as a provider finds them in the reply and as a caller gets them."""

from __future__ import annotations

import attrs

from common.model import Job
from common.model import JobRef


@attrs.frozen
class Adopted:
    """What a write handed over: ``refs`` of all its jobs, ``jobs`` that its reply already tells the state of.

    ``warnings`` are the write's own. A write that started no job gives an empty one.
    """

    refs: tuple[JobRef, ...] = ()
    jobs: tuple[Job, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def waitable(self) -> tuple[JobRef | Job, ...]:
        """What to wait for, one for each of ``refs``: the job itself if it has ended, which costs no request.

        ``await wait_all(source, adopted.waitable)`` is right for any write, also for one without a job.
        """
        ended = {job.ref: job for job in self.jobs if job.state.terminal}
        return tuple(ended.get(ref, ref) for ref in self.refs)


@attrs.frozen
class Handover:
    """What a provider's ``wire`` found in the reply to a write: all ids, and the jobs that came whole."""

    ids: tuple[str, ...] = ()
    jobs: tuple[Job, ...] = ()
    warnings: tuple[str, ...] = ()
