"""What the simulated systems share: scripted jobs, a journal, a transport and a server."""

from __future__ import annotations

from email.utils import format_datetime
from random import Random
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar
from uuid import UUID

import anyio.lowlevel

from common.simulator.asgi import Receive
from common.simulator.asgi import Send
from common.simulator.asgi import run_asgi
from common.simulator.clock import Clock
from common.simulator.jobs import NewJob
from common.simulator.jobs import OnWrite
from common.simulator.jobs import ScriptedJob
from common.simulator.life import Script
from common.simulator.life import ScriptedLife
from common.simulator.messages import Request
from common.simulator.messages import Response
from common.simulator.messages import Scope
from common.simulator.serving import serving

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    import httpx


class Simulator:
    """An ASGI application that plays a system with jobs; subclasses decide what it answers.

    `jobs` holds the jobs by id (delete one, and the system has forgotten it), `journal` every
    request in the order received, also those whose answer is outstanding. ``on_write`` says which
    job a write starts; it may be replaced at any time. ``seed`` makes the ids repeatable. A
    simulator belongs to one event loop.
    """

    default_job: ClassVar[NewJob] = NewJob([("running", None)])
    """What a write starts unless ``on_write`` says otherwise."""

    def __init__(
        self,
        *,
        on_write: OnWrite | None = None,
        clock: Clock | None = None,
        seed: int | None = None,
    ) -> None:
        self.on_write: OnWrite = on_write or self.default_job
        self.clock: Clock = clock or Clock()
        self.jobs: dict[str, ScriptedJob] = {}
        self.journal: list[Request] = []
        self._random = Random(seed)  # noqa: S311 - ids, not secrets
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

    def transport(self) -> httpx.ASGITransport:
        """Return an httpx transport that reaches this simulator without a socket."""
        import httpx

        return httpx.ASGITransport(app=self)

    def serve(self, *, port: int = 0) -> AbstractAsyncContextManager[str]:
        """Serve on 127.0.0.1 within ``async with``, which gives the URL; port 0 is any free port.

        Requests still unanswered at the end get a 503. Raises `ImportError` without the extra
        ``simulator``, and `OSError` if the port is taken.
        """
        return serving(self.handle, port)

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
        self.journal.append(request)
        self._begin(request.at)
        response = self._finished(await self.respond(request))
        request.response = response
        return response

    async def respond(self, request: Request) -> Response:
        """Return the system's answer to a request."""
        raise NotImplementedError

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
        try:
            now = self.clock.now()
        except RuntimeError:  # no event loop yet
            return job
        self._begin(now)
        return job

    def _begin(self, now: float) -> None:
        for job in self._waiting:
            job.life = job.life.begun(now)
        self._waiting.clear()

    def _finished(self, response: Response) -> Response:
        """Add the headers that every server sends."""
        date = format_datetime(self.wall(self.clock.now()), usegmt=True)
        return response.adding({"Date": date, "Content-Length": str(len(response.body))})
