"""The simulated system behind a simulator: its jobs, its clock, and its response to a request.

Faults, and their injection, depend on this part of a simulator only.
"""

from __future__ import annotations

import abc
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict
from uuid import UUID

from common.simulator.clock import Clock
from common.simulator.messages import Request, Response
from common.simulator.mount import Mount, check_prefix
from common.simulator.outage import Outage
from common.simulator.script import NewJob, OnWrite, Script, ScriptedJob, ScriptedLife, Step, Words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

Feature = Literal["filters", "pages", "tokens"]


class SimulatorOptions(TypedDict, total=False):
    """The options of every simulator; `System` says what they mean."""

    on_write: OnWrite | None
    clock: Clock | None
    seed: int | None
    journal_limit: int | None
    states: Collection[str]
    prefix: str


class System(abc.ABC):
    """A simulated system with jobs; a subclass implements its responses.

    ``on_write`` is the job that a write starts, or a function that returns it; it may be replaced at any
    time. ``clock`` is the system's clock (default: the event loop's). ``seed`` makes ids, and which requests
    meet a fault with a probability, repeatable. ``journal_limit`` is how many requests the journal keeps, the
    latest ones (default: all). ``states`` are words for states that its jobs may have beside the system's own
    (`vocabulary`), to test unknown words; the attribute is a set, to which words may be added at any time.
    ``prefix`` is a path below which it is served, as by a gateway or a proxy, with links that match; requests
    elsewhere get a 404. Raise `ValueError` for a ``journal_limit`` below 0, and for an invalid prefix.

    `jobs` holds the jobs by id; one that is deleted is unknown to the system. `journal` has every request in
    the order received, also those whose response is outstanding or was lost.
    """

    default_job: ClassVar[NewJob] = NewJob([("running", None)])
    """The job that a write starts unless ``on_write`` is given."""
    vocabulary: ClassVar[tuple[str, ...]] = ()
    """The system's words for states, as it writes them; if empty, its jobs may have any."""
    option_help: ClassVar[MappingProxyType[str, str]] = MappingProxyType(
        {
            "journal_limit": "the most requests that the journal keeps; null: all",
            "states": "words for states that jobs may have beside the system's own",
            "prefix": "a path below which it is served, as behind a gateway or a proxy",
        }
    )
    """A line for each option of this class, which ``python -m common.simulator --help`` shows."""
    features: ClassVar[frozenset[Feature]] = frozenset()
    """The features of this system's lists and sign-in that a fault can break."""
    id_filter: ClassVar[str | None] = None
    """The name of the list filter that selects jobs by id; None where there is none."""

    def __init__(
        self,
        *,
        on_write: OnWrite | None = None,
        clock: Clock | None = None,
        seed: int | None = None,
        journal_limit: int | None = None,
        states: Collection[str] = (),
        prefix: str = "",
    ) -> None:
        if journal_limit is not None and journal_limit < 0:
            raise ValueError(f"journal_limit is 0 or more, or None for no limit, not {journal_limit}")
        self.journal_limit = journal_limit
        prefix = check_prefix(prefix)
        self.mount: Mount = Mount(prefix, self.replaced_root(prefix))
        self.states: set[str] = {states} if isinstance(states, str) else set(states)
        self.on_write = on_write or self.default_job
        self.clock: Clock = clock or Clock()
        self.jobs: dict[str, ScriptedJob] = {}
        self.journal: list[Request] = []
        self._outage: Outage | None = None
        self._first_on_write = self.on_write
        self._seed = seed
        self._random = Random(seed)
        self._not_begun: list[ScriptedJob] = []

    @classmethod
    def replaced_root(cls, prefix: str) -> str:
        """Return the beginning of this system's own paths that a prefix stands for; "" for none."""
        del prefix
        return ""

    @property
    def client_settings(self) -> Mapping[str, str]:
        """The keys beside the endpoint by which `common.connect` reaches it: any token will do."""
        return {"token": "any"}

    @property
    def on_write(self) -> OnWrite:
        """The job that a write starts, or a function that returns it.

        Setting it raises `ValueError` for a job with a state that this system does not have.
        """
        return self._on_write

    @on_write.setter
    def on_write(self, on_write: OnWrite) -> None:
        if isinstance(on_write, NewJob):
            self._check_states(ScriptedLife.of(on_write.script).steps)
        self._on_write = on_write

    @abc.abstractmethod
    async def respond(self, request: Request) -> Response:
        """Return the system's answer to a request."""

    def add_job(self, script: Script, *, id: str | None = None, **fields: Any) -> str:
        """Add a job that follows ``script`` from now on, and return its id.

        A step is ``(state, seconds)`` or ``(state, seconds, changes)``: the state, a word of the system's
        `vocabulary` or of `states` (None: none is sent), the seconds on the simulator's clock, and the fields
        that change from that step on. Seconds may be None, for ever, in the last step; after a last step with
        seconds the job is gone. Outside an event loop, the script begins with the first request. Raise
        `ValueError` for a script that makes no sense, a state that the system does not have, and an id that
        is taken.
        """
        return self._put(script, id, fields).id

    def is_list(self, request: Request) -> bool:
        """Whether this request asks for a list of jobs."""
        return False

    def job_for_write(self, request: Request) -> NewJob | Response:
        """Return the job that this write starts, or the response that is sent instead."""
        return self.on_write(request) if callable(self.on_write) else self.on_write

    def what_starts(self, request: Request) -> NewJob | Response:
        """Return what `job_for_write` returns: its former name."""
        return self.job_for_write(request)

    def new_id(self) -> str:
        """Return a fresh UUID."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def wall(self, at: float) -> datetime:
        """Return the date, in UTC, of a time on the simulator's clock (a request's ``at``)."""
        return self.clock.wall(at)

    def require(self, feature: Feature) -> None:
        """Raise `ValueError` where this system lacks a feature."""
        if feature not in self.features:
            raise ValueError(f"{type(self).__name__} has no {feature}, so a fault cannot break them")

    def need(self, feature: Feature) -> None:
        """Do what `require` does: its former name."""
        self.require(feature)

    def expire_tokens(self, *authorizations: str) -> None:
        """Let all tokens issued so far expire, and those in these ``Authorization`` headers.

        Raise `ValueError` where the system has no tokens.
        """
        self.require("tokens")

    def restore_tokens(self) -> None:
        """Accept again the tokens that `expire_tokens` made expire, where the system has tokens."""
        return

    def start_outage(self, seconds: float) -> Outage:
        """Accept no connection for so many seconds on the simulator's clock, or until `reset`."""
        self._end_outage()
        self._outage = Outage(self.clock, seconds)
        return self._outage

    def shut(self, seconds: float) -> Outage:
        """Do what `start_outage` does: its former name."""
        return self.start_outage(seconds)

    def reset(self) -> None:
        """Forget jobs and journal, end an outage, restore the tokens, and begin again with the seed.

        The clock goes on.
        """
        self.jobs.clear()
        self.journal.clear()
        self._not_begun.clear()
        self.on_write = self._first_on_write
        self._end_outage()
        self.restore_tokens()
        self._random = Random(self._seed)

    def _put(
        self,
        script: Script,
        id: str | None,
        fields: dict[str, Any],
        *,
        refuses: frozenset[str] = frozenset(),
    ) -> ScriptedJob:
        life = ScriptedLife.of(script)
        self._check_states(life.steps)
        job = ScriptedJob(id or self.new_id(), life, fields, refuses)
        if job.id in self.jobs:
            raise ValueError(f"there is a job {job.id!r} already")
        self.jobs[job.id] = job
        self._not_begun.append(job)
        now = self._now()
        if now is not None:
            self._begin_jobs(now)
        return job

    def _check_states(self, steps: Iterable[Step]) -> None:
        known = Words(*self.vocabulary, *self.states)
        for step in steps if self.vocabulary else ():
            if step.state is not None and step.state not in known:
                words = ", ".join((*self.vocabulary, *sorted(self.states)))
                raise ValueError(
                    f"{type(self).__name__} has no state {f'{step.state!r:.60}'}; "
                    f"it has {words} (states= adds others)"
                )

    def _now(self) -> float | None:
        try:
            return self.clock.now()
        except RuntimeError:  # no event loop yet
            return None

    def _begin_jobs(self, now: float) -> None:
        for job in self._not_begun:
            job.life = job.life.begun(now)
        self._not_begun.clear()

    def _end_outage(self) -> None:
        if self._outage is not None:
            self._outage.end()
            self._outage = None
