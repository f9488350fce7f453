"""A job of a scripted source: its script as tests write it, and the job at a given time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from common.model.errors import JobNotFound, UsageError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import Action, JobState
from common.response.failures import ErrorBody, api_error
from common.response.http_response import HttpResponse
from common.simulator.script import ScriptedLife, Step

Look = JobState | str | Job
"""What a job is during a step: a state, its text, or the whole job."""
JobStep = Look | tuple[Look, float | None] | tuple[Look, float | None, Mapping[str, Any]]
"""``(state, seconds)``, ``(state, seconds, {fields that change})``, or a bare state or `Job` for ever."""
JobScript = Look | Sequence[JobStep]
"""The steps of a job, or what it is for ever."""
Failure = Exception | int
"""What a request fails with: an exception, or the HTTP status that a source turns into one."""

_FIELDS = frozenset(attrs.fields_dict(Job)) - {"ref", "state"}
_JOB = "a whole job"
"""The key under which the changes of a step hold its whole `Job`."""


@attrs.define(eq=False)
class ScriptedJobState:
    """One scripted job: its script, its fields, its failures, and the actions that it refuses."""

    life: ScriptedLife
    fields: Mapping[str, Any]
    errors: Mapping[int, Failure]
    refuses: Mapping[Action, Exception]
    requests: int = 0

    @classmethod
    def of(
        cls,
        script: JobScript,
        fields: Mapping[str, Any],
        errors: Mapping[int, Failure],
        refuses: Mapping[Action, Exception],
    ) -> ScriptedJobState:
        """Return a job that has not begun. Raise `UsageError` for arguments that make no sense."""
        steps = [script] if isinstance(script, str | Job) else script
        if not isinstance(steps, Sequence) or any(isinstance(step, int | float) for step in steps):
            raise UsageError(f"a script is a state, a Job, or a list of (state, seconds), not {script!r:.60}")
        _check_fields(fields)
        _check_failures(errors)
        try:
            life = ScriptedLife.of([_step(step) for step in steps])
            return cls(life, fields, errors, {Action(action): error for action, error in refuses.items()})
        except ValueError as error:
            raise UsageError(str(error)) from None

    def begin(self, now: float) -> None:
        """Begin the script, unless it has begun."""
        self.life = self.life.begun(now)

    def next_error(self, ref: JobRef) -> Exception | None:
        """Count a request for this job, and return what it fails with; None where it succeeds."""
        self.requests += 1
        failure = self.errors.get(self.requests)
        if failure == 404:
            return JobNotFound(f"no such job, as the script of {ref.id!r} says", ref=ref)
        if isinstance(failure, int):
            return api_error(
                HttpResponse(failure), ErrorBody(message="so says the script"), request=f"GET {ref.id}"
            )
        return failure

    def act(self, action: Action, now: float) -> None:
        """Carry out an action, at once."""
        at_once, paused = Step(JobState.RUNNING, 0.0), Step(JobState.PAUSED)
        if action is Action.PAUSE:
            self.life = self.life.hold(now, at_once, paused)
        elif action is Action.RESUME:
            self.life = self.life.release(now)
        else:
            self.life = self.life.finish(now, at_once, Step(JobState.CANCELLED))

    def job(self, ref: JobRef, now: float) -> Job | None:
        """Return the job at this time; None once its script has run out."""
        moment = self.life.at(now)
        if moment is None:
            return None
        whole: Job | None = moment.step.changes.get(_JOB)
        changes = {name: value for name, value in moment.fields.items() if name != _JOB}
        if whole is not None:
            return attrs.evolve(whole, ref=ref)
        state = JobState(str(moment.state))
        fields: dict[str, Any] = {"native_state": str(state), **self.fields, **changes}
        return Job(ref, state, **fields)


def _step(step: JobStep) -> Step:
    look, seconds, changes = _parts(step)
    _check_fields(changes)
    if isinstance(look, Job):
        return Step.of((look.state, seconds, {**changes, _JOB: attrs.evolve(look, **changes)}))
    if look not in list(JobState):
        states = ", ".join(JobState)
        raise UsageError(f"{look!r} is no state of a job: a script names a JobState ({states})")
    return Step.of((JobState(look), seconds, changes))


def _parts(step: JobStep) -> tuple[Look, float | None, Mapping[str, Any]]:
    if isinstance(step, str | Job):
        return step, None, {}
    if len(step) not in {2, 3} or not isinstance(step[-1], Mapping if len(step) == 3 else object):
        raise UsageError(f"a step is (state, seconds) or (state, seconds, {{fields}}), not {step!r:.60}")
    return step if len(step) == 3 else (*step, {})


def _check_failures(errors: Mapping[int, Failure]) -> None:
    for number, failure in errors.items():
        if not isinstance(number, int) or number < 1:
            raise UsageError(f"errors= names requests by number, counted from 1, not {number!r}")
        if not isinstance(failure, Exception) and not (isinstance(failure, int) and 400 <= failure <= 599):
            raise UsageError(
                f"a request fails with an exception or a status from 400 to 599, not {failure!r}"
            )


def _check_fields(fields: Mapping[str, Any]) -> None:
    if strange := sorted(set(fields) - _FIELDS):
        raise UsageError(
            f"a Job has no field {strange[0]!r} that a script could set: {', '.join(sorted(_FIELDS))}"
        )
