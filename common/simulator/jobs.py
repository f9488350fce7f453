"""What a simulator keeps of a job, and what a test says about the jobs that writes start."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import attrs

from common.simulator.life import Moment
from common.simulator.life import Script
from common.simulator.life import ScriptedLife
from common.simulator.messages import Request
from common.simulator.messages import Response


def _no_fields() -> Mapping[str, Any]:
    return {}


@attrs.define(eq=False)
class ScriptedJob:
    """A simulated job: its id, its life, its first fields, and the actions that it refuses."""

    id: str
    life: ScriptedLife
    fields: Mapping[str, Any] = attrs.field(factory=_no_fields)
    refuses: frozenset[str] = frozenset()

    def at(self, now: float) -> Moment | None:
        """Return state and fields at this time, or None before it began and once its script has run out."""
        if self.life.start is not None and now < self.life.start:
            return None
        moment = self.life.at(now)
        if moment is None:
            return None
        return Moment(moment.step, moment.since, {**self.fields, **moment.fields})


@attrs.frozen
class NewJob:
    """The job that a write starts: its script, its fields (keywords of ``add_job``), its id.

    ``warnings`` are the write's own, for the servers that send some beside the job. Raises `ValueError` for
    a script that makes no sense.
    """

    script: Script
    fields: Mapping[str, Any] = attrs.field(factory=_no_fields)
    id: str | None = None
    warnings: tuple[str, ...] = attrs.field(default=(), converter=tuple[str, ...])

    def __attrs_post_init__(self) -> None:
        ScriptedLife.of(self.script)


OnWrite = NewJob | Callable[[Request], NewJob | Response]
"""What a write starts: always such a job, or what the function says of the request.

A `Response` from the function is answered as it is, and no job starts.
"""
