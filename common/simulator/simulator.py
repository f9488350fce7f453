"""A simulator: a simulated system with faults injected into it, reached by a transport, ASGI or a socket."""

from __future__ import annotations

import logging
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
from common.simulator.messages import HttpScope, Request, Response
from common.simulator.outage import ConnectionLost
from common.simulator.server.asgi import Receive, Send, run_asgi
from common.simulator.server.serve import LOOPBACK, serving
from common.simulator.system import SimulatorOptions, System

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    import httpx

LOGGER = "jobsource.simulator"
"""The logger that is told of each request, at INFO, once it is answered or its connection is lost."""
CONTROL = "_sim"
"""The first segment of the paths by which a simulator is controlled over HTTP."""

_logger = logging.getLogger(LOGGER)


class Simulator(System):
    """An ASGI application that plays a system with jobs.

    `faults` are the injected ones, in order; `counts` is how many requests there were, and what became of
    them, since the start or the last `reset`. The options are those of `System`. A simulator belongs to one
    event loop. Below ``/_sim/`` clients in any language can do over HTTP what its methods do.
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
        """Let requests that match meet these faults; ``met`` of the result is the requests that did.

        ``match`` is text such as ``"GET /api/*"``, a `Match`, a compiled pattern for the path, a
        function of the request, or None for any. The faults show ``times`` times (None: always), not
        in the first ``after`` requests that match nor within ``after_seconds`` on the simulator's
        clock, and else with ``probability``, drawn by the simulator's seed. Of several faults in one
        call the first is the outermost; of several calls, a request meets the first that it triggers.
        Raises `ValueError` for arguments that make no sense, and for a fault of a feature that this system
        lacks.
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
        """Raise `AssertionError`, with a sentence for each, where an injected fault was never met.

        A fault with a probability counts only where no request matched, for which of them meet it is chance.
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

        It raises httpx's own exceptions for lost connections, and for a client's read timeout.
        """
        from common.simulator.server.transport import SimulatorTransport  # needs httpx, which others don't

        return SimulatorTransport(self.handle)

    def serve(self, *, port: int = 0, host: str = LOOPBACK) -> AbstractAsyncContextManager[str]:
        """Serve on 127.0.0.1 within ``async with``, which gives the URL; port 0 is any free port.

        Requests still unanswered at the end get a 503. Raises `ImportError` without the extra
        ``simulator``, and `OSError` if the port is taken.
        """
        return AsyncOnly(serving(self.handle, port, host))

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        """Speak ASGI 3."""
        await run_asgi(self.handle, scope, receive, send)

    async def handle(self, scope: HttpScope, body: bytes) -> Response:
        """Return the response to one request, whatever carried it.

        Raises `ConnectionLost` where a fault, or an outage, loses the connection.
        """
        await anyio.lowlevel.checkpoint()  # as a socket would, let others go on, and notice a cancellation
        request = Request.from_scope(scope, body, at=self.clock.now())
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
            response = self._with_server_headers(await answer)
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
