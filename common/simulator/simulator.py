"""A simulator: a simulated system with faults injected into it, reached by a transport, ASGI or a socket."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from email.utils import format_datetime
from random import Random
from typing import TYPE_CHECKING, Unpack

import anyio.lowlevel

from common.model.async_only import AsyncOnly
from common.response.redaction import redacted_url
from common.simulator.counts import LEFT, LOST, Counts
from common.simulator.faults import Fault
from common.simulator.faults.injection import Injection, Trigger, first_triggered, unmet
from common.simulator.faults.match import MatchLike, match_of
from common.simulator.messages import HttpScope, Request, Response, text_response
from common.simulator.outage import ConnectionLost
from common.simulator.server.asgi import Receive, Send, run_asgi
from common.simulator.server.serve import LOOPBACK, serving
from common.simulator.system import SimulatorOptions, System

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    import httpx

LOGGER = "jobsource.simulator"
"""The logger of requests: each is logged at INFO, once it is answered or its connection is lost."""
CONTROL = "_sim"
"""The first segment of the paths by which a simulator is controlled over HTTP."""

_logger = logging.getLogger(LOGGER)


@asynccontextmanager
async def _below(served: AbstractAsyncContextManager[str], prefix: str) -> AsyncGenerator[str]:
    async with served as url:
        yield url + prefix


class Simulator(System):
    """An ASGI application that simulates a system with jobs.

    `faults` are the injected faults, in order; `counts` has the number of requests, and how they ended, since
    the start or the last `reset`. The options are those of `System`. A simulator belongs to one event loop.
    Below ``/_sim/`` clients in any language can do over HTTP what its methods do.
    """

    def __init__(self, **options: Unpack[SimulatorOptions]) -> None:
        super().__init__(**options)
        self.faults: list[Injection] = []
        self.counts: Counts = Counts()
        self._injected = 0

    def inject(
        self,
        match: MatchLike,
        *faults: Fault,
        times: int | None = 1,
        after: int = 0,
        after_seconds: float = 0.0,
        probability: float = 1.0,
    ) -> Injection:
        """Apply these faults to requests that match; ``met`` of the result has the requests that met them.

        ``match`` is text such as ``"GET /api/*"``, a `Match`, a compiled pattern for the path, a function of
        the request, or None for any request. The faults apply ``times`` times (None: always), but not to the
        first ``after`` requests that match, nor within ``after_seconds`` on the simulator's clock; then with
        ``probability``, drawn by the simulator's seed. Of several faults in one call the first is the
        outermost; of several calls, the first that a request triggers applies to it. Raise `ValueError` for
        invalid arguments, and for a fault of a feature that this system lacks.
        """
        if not faults:
            raise ValueError("name at least one fault to inject")
        strange = [each for each in faults if not isinstance(each, Fault)]
        if strange:
            raise ValueError(f"not a fault: {strange[0]!r:.60}; pass an instance, such as faults.Reset()")
        for fault in faults:
            fault.check(self)
        trigger = Trigger(times, after, after_seconds, probability)
        number = self._injected + 1
        random = Random(None if self._seed is None else f"{self._seed}/{number}")
        injection = Injection(number, match_of(match), faults, trigger, random, self._now())
        self._injected = number
        self.faults.append(injection)
        return injection

    def verify(self) -> None:
        """Raise `AssertionError`, with a sentence for each injected fault that no request has met.

        A fault with a probability is left out if any request matched, since whether one meets it is chance.
        """
        sentences = unmet(self.faults)
        if sentences:
            raise AssertionError("\n".join(sentences))

    def reset(self) -> None:
        """Forget jobs, faults and their effects, journal and counts, and begin again with the seed.

        The clock goes on. Connections are accepted again, and so are tokens that a fault made expire.
        """
        super().reset()
        self.faults.clear()
        self.counts = Counts()
        self._injected = 0

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return an httpx transport that reaches this simulator without a socket.

        The transport raises httpx's own exceptions for lost connections, and for a client's read timeout.
        """
        from common.simulator.server.transport import SimulatorTransport  # needs httpx, which others don't

        return SimulatorTransport(self.handle)

    def serve(self, *, port: int = 0, host: str = LOOPBACK) -> AbstractAsyncContextManager[str]:
        """Serve on 127.0.0.1 within ``async with``, which returns the URL; port 0 is any free port.

        Requests that are unanswered at the end get a 503. Raise `ImportError` without the extra
        ``simulator``, and `OSError` if the port is taken.
        """
        return AsyncOnly(_below(serving(self.handle, port, host), self.mount.prefix))

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        """Speak ASGI 3."""
        await run_asgi(self.handle, scope, receive, send)

    async def handle(self, scope: HttpScope, body: bytes) -> Response:
        """Return the response to one request, whatever carried it.

        Raise `ConnectionLost` where a fault, or an outage, loses the connection.
        """
        await anyio.lowlevel.checkpoint()  # as with a socket, other tasks run, and a cancellation arrives
        request = Request.from_scope(scope, body, at=self.clock.now())
        if self.mount.prefix and request.segments[0] != CONTROL:
            below = self.mount.enter(request)
            if below is None:
                return self._with_server_headers(text_response(404, "there is nothing at this path"))
            request = below
        if request.segments[0] == CONTROL:
            response = self._with_server_headers(self._control(request))
            self._log(request, str(response.status))
            return response
        if self._outage is not None and self._outage.lasts(request.at):
            raise ConnectionLost("refused")
        self.journal.append(request)
        if self.journal_limit is not None:
            del self.journal[: max(0, len(self.journal) - self.journal_limit)]
        self._begin_jobs(request.at)
        injection = first_triggered(self.faults, self, request)
        counts, outcome = self.counts, LEFT
        counts.received(request, self.jobs)
        try:
            answer = self.respond(request) if injection is None else injection.apply(self, request)
            response = await answer
            if self.mount.prefix:
                response = self.mount.leave(response, request.origin)
            response = self._with_server_headers(response)
            outcome = str(response.status)
        except ConnectionLost:
            outcome = LOST
            raise
        finally:
            counts.ended(outcome)
            self._log(request, outcome, injection)
        request.response = response
        return response

    def _log(self, request: Request, outcome: str, injection: Injection | None = None) -> None:
        if _logger.isEnabledFor(logging.INFO):
            fault = f" (fault {injection.id}: {injection})" if injection else ""
            target = redacted_url(request.target)
            _logger.info("%.3f s %s %s %s%s", request.at, request.method, target, outcome, fault)

    def _control(self, request: Request) -> Response:
        from common.simulator.control import control  # only once somebody asks for it

        return control(self, request)

    def _with_server_headers(self, response: Response) -> Response:
        """Return the response with the headers that every server sends."""
        date = format_datetime(self.wall(self.clock.now()), usegmt=True)
        return response.adding({"Date": date, "Content-Length": str(len(response.body))})
