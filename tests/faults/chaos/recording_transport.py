"""A transport to a simulator that records every request: when it was sent, by which call, and its result."""

from __future__ import annotations

from contextvars import ContextVar

import anyio
import attrs
import httpx

from common.simulator import Simulator
from tests.contract.systems import Wire

CALLER: ContextVar[object] = ContextVar("caller", default=None)
"""The call that the current task makes: a `WaitRun` or an `Operation`, each of which sets it at its start."""
REQUEST_NUMBER = "x-request-number"
"""The header that links an entry of the simulator's journal to its `Exchange`."""


@attrs.define(eq=False)
class Exchange:
    """One request that was sent, and its result."""

    number: int
    caller: object
    method: str
    target: str
    sent_at: float
    completed_at: float | None = None
    """When the response or the failure arrived; None if the request was cancelled."""
    result: str = "cancelled"
    """The response's status, or the name of the exception that was raised."""

    def __str__(self) -> str:
        completed = "never" if self.completed_at is None else f"{self.completed_at:.6f}"
        return f"{self.sent_at:.6f} {self.method} {self.target} {self.result} {completed}"


class RecordingTransport(Wire):
    """The transport to one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__(simulator)
        self.exchanges: list[Exchange] = []
        self.job_reads: list[float] = []
        """When each GET about jobs was sent."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode()
        exchange = Exchange(len(self.exchanges), CALLER.get(), request.method, target, anyio.current_time())
        self.exchanges.append(exchange)
        request.headers[REQUEST_NUMBER] = str(exchange.number)
        if request.method == "GET" and "job" in request.url.path:
            self.job_reads.append(exchange.sent_at)
        try:
            response = await super().handle_async_request(request)
        except httpx.TransportError as error:
            exchange.completed_at, exchange.result = anyio.current_time(), type(error).__name__
            raise
        exchange.completed_at, exchange.result = anyio.current_time(), str(response.status_code)
        return response

    def peak_rate(self, since: float = 0.0, until: float = float("inf")) -> int:
        """Return the most reads of jobs sent within any one second from ``since`` until before ``until``."""
        times = [at for at in self.job_reads if since <= at < until]
        peak = begin = 0
        for end, at in enumerate(times):
            while times[begin] <= at - 1.0:
                begin += 1
            peak = max(peak, end - begin + 1)
        return peak
