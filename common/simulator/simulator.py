"""What the simulated systems share: scripted jobs, faults, a journal, a transport and a server."""

from __future__ import annotations

import abc
from email.utils import format_datetime
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from uuid import UUID

import anyio.lowlevel

from common.simulator.clock import Clock
from common.simulator.faults import Fault
from common.simulator.faults.injection import Injection, Terms, complaints, taken_by
from common.simulator.faults.match import MatchLike, match_of
from common.simulator.messages import Request, Response, Scope
from common.simulator.outage import Lost, Outage
from common.simulator.script import NewJob, OnWrite, Script, ScriptedJob, ScriptedLife
from common.simulator.server.asgi import Receive, Send, run_asgi
from common.simulator.server.serve import LOOPBACK, serving

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    import httpx

CONTROL = "_sim"
"""The first segment of the paths by which a simulator is told what to do."""

Feature = Literal["filters", "pages", "tokens"]


class Simulator(abc.ABC):
    """An ASGI application that plays a system with jobs; subclasses decide what it answers.

    `jobs` holds the jobs by id (delete one, and the system has forgotten it), `journal` every
    request in the order received, also those whose answer is outstanding or was lost; with
    ``journal_limit`` the last so many of them, for who leaves a simulator running. ``faults`` are
    those injected, in order. ``on_write`` says which job a write starts; it may be replaced at any
    time. ``seed`` makes the ids, and which requests meet an improbable fault, repeatable. A simulator
    belongs to one event loop. Below ``/_sim/`` it is told over HTTP what else its methods are for.
    """

    default_job: ClassVar[NewJob] = NewJob([("running", None)])
    """What a write starts unless ``on_write`` says otherwise."""
    features: ClassVar[frozenset[Feature]] = frozenset()
    """What its lists and its sign-in have, that faults can break."""
    id_filter: ClassVar[str | None] = None
    """The filter of its lists that asks for jobs by id."""

    def __init__(
        self,
        *,
        on_write: OnWrite | None = None,
        clock: Clock | None = None,
        seed: int | None = None,
        journal_limit: int | None = None,
    ) -> None:
        if journal_limit is not None and journal_limit < 0:
            raise ValueError(f"journal_limit is 0 or more, or None for no limit, not {journal_limit}")
        self.journal_limit = journal_limit
        self.on_write: OnWrite = on_write or self.default_job
        self.clock: Clock = clock or Clock()
        self.jobs: dict[str, ScriptedJob] = {}
        self.journal: list[Request] = []
        self.faults: list[Injection] = []
        self._outage: Outage | None = None
        self._first_on_write = self.on_write
        self._seed = seed
        self._injected = 0
        self._random = Random(seed)
        self._waiting: list[ScriptedJob] = []

    def add_job(self, script: Script, *, id: str | None = None, **fields: Any) -> str:
        """Add a job that lives by ``script`` from now on, and return its id.

        A step is ``(state, seconds)`` or ``(state, seconds, changes)``: the state in the system's
        own words (not checked), the seconds on the simulator's clock, and the fields that change
        from that step on. Seconds may be None, for ever, in the last step; after a last step with
        seconds the job is gone. Outside an event loop, the life begins with the first request.
        Raises `ValueError` for a script that makes no sense, and for an id that is taken.
        """
        return self._put(script, id, fields).id

    def inject(
        self,
        match: MatchLike,
        *faults: Fault,
        times: int | None = 1,
        after: int = 0,
        after_seconds: float = 0.0,
        probability: float = 1.0,
    ) -> Injection:
        """Let requests that match meet these faults, and return what tells which did (``met``).

        ``match`` is text such as ``"GET /api/*"``, a `Match`, a compiled pattern for the path, a
        function of the request, or None for any. The faults show ``times`` times (None: always), not
        in the first ``after`` requests that match nor within ``after_seconds`` on the simulator's
        clock, and else with ``probability``, drawn by the simulator's seed. Of several faults in one
        call the first is the outermost; of several calls, a request meets the first that takes it.
        Raises `ValueError` for what makes no sense, or what this system does not have.
        """
        if not faults:
            raise ValueError("name at least one fault to inject")
        strange = [each for each in faults if not isinstance(each, Fault)]
        if strange:
            raise ValueError(f"not a fault: {strange[0]!r:.60}; say faults.Reset()")
        for fault in faults:
            fault.check(self)
        terms = Terms(times, after, after_seconds, probability)
        number = self._injected + 1
        random = Random(None if self._seed is None else f"{self._seed}/{number}")
        injection = Injection(number, match_of(match), faults, terms, random, self._now())
        self._injected = number
        self.faults.append(injection)
        return injection

    def verify(self) -> None:
        """Raise `AssertionError`, with a sentence for each, where an injected fault was never met."""
        said = complaints(self.faults)
        if said:
            raise AssertionError("\n".join(said))

    def reset(self) -> None:
        """Forget jobs, faults, what these did, and the journal, and begin again with the seed.

        The clock goes on. Connections are taken again, and tokens that were made to expire are good again.
        """
        self.jobs.clear()
        self.journal.clear()
        self.faults.clear()
        self._waiting.clear()
        self.on_write = self._first_on_write
        self._end_outage()
        self.restore_tokens()
        self._injected = 0
        self._random = Random(self._seed)

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return an httpx transport that reaches this simulator without a socket.

        It raises httpx's own exceptions for lost connections, and for a client's read timeout.
        """
        from common.simulator.server.transport import SimulatorTransport  # needs httpx, which others don't

        return SimulatorTransport(self.handle)

    def serve(self, *, port: int = 0, host: str = LOOPBACK) -> AbstractAsyncContextManager[str]:
        """Serve on 127.0.0.1 within ``async with``, which gives the URL; port 0 is any free port.

        Requests still unanswered at the end get a 503. Raises `ImportError` without the extra
        ``simulator``, and `OSError` if the port is taken.
        """
        return serving(self.handle, port, host)

    def wall(self, at: float) -> datetime:
        """Return the date, in UTC, of a moment on the simulator's clock (a request's ``at``)."""
        return self.clock.wall(at)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI 3."""
        await run_asgi(self.handle, scope, receive, send)

    async def handle(self, scope: Scope, body: bytes) -> Response:
        """Answer one request: the one way in, whatever carried it."""
        await anyio.lowlevel.checkpoint()  # as a socket would, let others go on, and notice a cancellation
        request = Request.from_scope(scope, body, at=self.clock.now())
        if request.segments[0] == CONTROL:
            return self._finished(self._control(request))
        if self._outage is not None and self._outage.lasts(request.at):
            raise Lost("refused")
        self.journal.append(request)
        if self.journal_limit is not None:
            del self.journal[: max(0, len(self.journal) - self.journal_limit)]
        self._begin(request.at)
        injection = taken_by(self.faults, self, request)
        answer = self.respond(request) if injection is None else injection.meet(self, request)
        response = self._finished(await answer)
        request.response = response
        return response

    def is_list(self, request: Request) -> bool:
        """Tell whether this asks for a list of jobs."""
        return False

    def expire_tokens(self, *authorizations: str) -> None:
        """Let all tokens expire that were handed out, and those of these ``Authorization`` headers."""
        self.need("tokens")

    def restore_tokens(self) -> None:
        """Take those again that `expire_tokens` let expire, where there are such."""
        return

    def shut(self, seconds: float) -> Outage:
        """Take no connection for so many seconds on the simulator's clock, or until `reset`."""
        self._end_outage()
        self._outage = Outage(self.clock, seconds)
        return self._outage

    def need(self, feature: Feature) -> None:
        """Raise `ValueError` where this system lacks a feature."""
        if feature not in self.features:
            raise ValueError(f"{type(self).__name__} has no {feature}, so that none can go wrong")

    @abc.abstractmethod
    async def respond(self, request: Request) -> Response:
        """Return the system's answer to a request."""

    def new_id(self) -> str:
        """Return a fresh UUID."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def what_starts(self, request: Request) -> NewJob | Response:
        """Return the job that this write starts, or the answer that takes its place."""
        return self.on_write(request) if callable(self.on_write) else self.on_write

    def _put(
        self,
        script: Script,
        id: str | None,
        fields: dict[str, Any],
        *,
        refuses: frozenset[str] = frozenset(),
    ) -> ScriptedJob:
        job = ScriptedJob(id or self.new_id(), ScriptedLife.of(script), fields, refuses)
        if job.id in self.jobs:
            raise ValueError(f"there is a job {job.id!r} already")
        self.jobs[job.id] = job
        self._waiting.append(job)
        now = self._now()
        if now is not None:
            self._begin(now)
        return job

    def _now(self) -> float | None:
        try:
            return self.clock.now()
        except RuntimeError:  # no event loop yet
            return None

    def _control(self, request: Request) -> Response:
        from common.simulator.control import control  # only once somebody asks for it

        return control(self, request)

    def _end_outage(self) -> None:
        if self._outage is not None:
            self._outage.end()
            self._outage = None

    def _begin(self, now: float) -> None:
        for job in self._waiting:
            job.life = job.life.begun(now)
        self._waiting.clear()

    def _finished(self, response: Response) -> Response:
        """Add the headers that every server sends."""
        date = format_datetime(self.wall(self.clock.now()), usegmt=True)
        return response.adding({"Date": date, "Content-Length": str(len(response.body))})
