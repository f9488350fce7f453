"""Scripted jobs: which state a job is in at a given time. Pure functions of time, without a clock."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

import attrs

from common.simulator.messages import Request, Response


@attrs.frozen
class Step:
    """One state of a scripted job, its seconds (None: for ever), and the fields that change with it.

    The state is a word of the system's own, checked where the job is added; None leaves it out of the record.
    """

    state: str | None
    seconds: float | None = None
    changes: Mapping[str, Any] = attrs.field(factory=dict[str, Any])

    @classmethod
    def of(cls, step: StepLike) -> Step:
        """Return a step from its tuple. Raise `ValueError` for seconds that no clock can count."""
        if not isinstance(step, Step) and (not isinstance(step, list | tuple) or len(step) not in {2, 3}):
            raise ValueError(f"a step is (state, seconds) or (state, seconds, {{fields}}), not {step!r:.60}")
        result = step if isinstance(step, Step) else cls(step[0], step[1], step[2] if len(step) > 2 else {})
        by_name = isinstance(result.changes, Mapping)
        if not by_name:
            raise ValueError(f"what changes in a step are fields by name: {result!r:.60}")
        seconds = 0 if result.seconds is None else result.seconds
        if not isinstance(seconds, int | float) or not 0 <= seconds <= sys.float_info.max:
            raise ValueError(f"a step's seconds are 0 or more, or None for ever: {result}")
        return result


def fold(word: str) -> str:
    """Return a word for a state without letter case, and with underscores for spaces and hyphens."""
    return word.lower().replace(" ", "_").replace("-", "_")


class Words(Container[str | None]):
    """Words for states, in any spelling that `fold` makes the same."""

    def __init__(self, *words: str) -> None:
        self._folded = frozenset(map(fold, words))

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and fold(word) in self._folded


StepLike = tuple[str | None, float | None] | tuple[str | None, float | None, Mapping[str, Any]] | Step
Script = Sequence[StepLike]
"""The steps of a job: ``(state, seconds)`` or ``(state, seconds, {fields that change})``."""


@attrs.frozen
class Moment:
    """A job at one time: its step, when the step began (None before the script has), and its fields."""

    step: Step
    since: float | None
    fields: Mapping[str, Any]

    @property
    def state(self) -> str | None:
        """The state in the provider's vocabulary."""
        return self.step.state


@attrs.frozen
class ScriptedLife:
    """The steps of a job, and the time at which they began (None: not yet).

    After its last step the job is gone; a last step without seconds lasts for ever. `held` are the steps that
    continue after a pause; a `sealed` life cannot be changed any more.
    """

    steps: tuple[Step, ...]
    start: float | None = None
    held: tuple[Step, ...] = ()
    sealed: bool = False

    @classmethod
    def of(cls, script: Script) -> ScriptedLife:
        """Return a life that has not begun. Raise `ValueError` for a script that makes no sense."""
        steps = tuple(Step.of(step) for step in script)
        if not steps:
            raise ValueError("a job's script needs at least one step")
        if any(step.seconds is None for step in steps[:-1]):
            raise ValueError("only the last step of a script may last for ever (seconds None)")
        return cls(steps)

    def begun(self, now: float) -> ScriptedLife:
        """Return the life begun now; itself if it has begun already."""
        return self if self.start is not None else attrs.evolve(self, start=now)

    def at(self, now: float) -> Moment | None:
        """Return the job at this time, or None once the script has run out."""
        fields: dict[str, Any] = {}
        for step, begin, end in self._spans(now):
            fields.update(step.changes)
            if end is None or now < end:
                return Moment(step, begin if self.start is not None else None, fields)
        return None

    def entered(self, states: Container[str | None]) -> float | None:
        """Return when the first step with one of these states begins, or None if there is none."""
        if self.start is None:
            return None
        spans = self._spans(self.start)
        return next((begin for step, begin, _ in spans if step.state in states), None)

    def left(self, states: Container[str | None]) -> float | None:
        """Return when the first step with another state begins, or None if there is none."""
        if self.start is None:
            return None
        spans = self._spans(self.start)
        return next((begin for step, begin, _ in spans if step.state not in states), None)

    def hold(self, now: float, via: Step, paused: Step) -> ScriptedLife:
        """Return the life paused: ``via`` for its seconds, then ``paused``; the rest of the steps is held."""
        if self.held or self.sealed:
            return self
        past, rest = self._split(now)
        return attrs.evolve(self, steps=(*past, via, paused), held=rest)

    def release(self, now: float) -> ScriptedLife:
        """Return the life continued from where it was paused."""
        if not self.held:
            return self
        past, _ = self._split(now)
        return attrs.evolve(self, steps=(*past, *self.held), held=())

    def finish(self, now: float, via: Step, ending: Step) -> ScriptedLife:
        """Return the life ended early: ``via`` for its seconds, then ``ending``, and sealed."""
        if self.sealed:
            return self
        past, _ = self._split(now)
        return attrs.evolve(self, steps=(*past, via, ending), held=(), sealed=True)

    def _spans(self, now: float) -> Iterator[tuple[Step, float, float | None]]:
        begin = now if self.start is None else self.start
        for step in self.steps:
            end = None if step.seconds is None else begin + step.seconds
            yield step, begin, end
            if end is None:
                return
            begin = end

    def _split(self, now: float) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """Return the steps before a time and those after it; the step at that time is cut in two."""
        past: list[Step] = []
        for number, (step, begin, end) in enumerate(self._spans(now)):
            if end is not None and end <= now:
                past.append(step)
                continue
            past.append(attrs.evolve(step, seconds=max(0.0, now - begin)))
            remaining = attrs.evolve(step, seconds=None if end is None else end - now)
            return tuple(past), (remaining, *self.steps[number + 1 :])
        return tuple(past), ()


@attrs.define(eq=False)
class ScriptedJob:
    """A simulated job: its id, its life, its fields at first, and the actions that it refuses."""

    id: str
    life: ScriptedLife
    fields: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    refuses: frozenset[str] = frozenset()

    def at(self, now: float) -> Moment | None:
        """Return the job at this time; None before it began and once its script has run out."""
        if self.life.start is not None and now < self.life.start:
            return None
        moment = self.life.at(now)
        if moment is None:
            return None
        return Moment(moment.step, moment.since, {**self.fields, **moment.fields})


@attrs.frozen
class NewJob:
    """The job that a write starts: script, fields (keywords of ``add_job``), and id (None: a new one).

    ``warnings`` are the write's own, for systems that send some beside the job. Raise `ValueError` for a
    script that makes no sense.
    """

    script: Script
    fields: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    id: str | None = None
    warnings: tuple[str, ...] = attrs.field(default=(), converter=tuple[str, ...])

    def __attrs_post_init__(self) -> None:
        ScriptedLife.of(self.script)


OnWrite = NewJob | Callable[[Request], NewJob | Response]
"""The job that each write starts, or a function of the request that returns it.

A `Response` from the function is sent as it is, and no job starts.
"""
