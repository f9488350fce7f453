"""The way to a simulator, which notes every request that leaves: when, for whom, and what became of it."""

from __future__ import annotations

from contextvars import ContextVar

import anyio
import attrs
import httpx

from common.simulator import Simulator
from tests.contract.systems import Wire

WHO: ContextVar[object] = ContextVar("who", default=None)
"""Whose task it is: set by each that waits or runs an errand."""
TRIP = "x-trip"
"""The header that tells which entry of the simulator's journal belongs to which trip."""


@attrs.define(eq=False)
class Trip:
    """One request that left. ``landed`` is when its reply or its failure came; None where it was cut."""

    number: int
    who: object
    method: str
    target: str
    left: float
    landed: float | None = None
    fate: str = "cut"
    """The status, or the name of what was raised."""

    def __str__(self) -> str:
        landed = "never" if self.landed is None else f"{self.landed:.6f}"
        return f"{self.left:.6f} {self.method} {self.target} {self.fate} {landed}"


class Way(Wire):
    """The way to one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__(simulator)
        self.trips: list[Trip] = []
        self.left: list[float] = []
        """When each request about jobs left."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode()
        trip = Trip(len(self.trips), WHO.get(), request.method, target, anyio.current_time())
        self.trips.append(trip)
        request.headers[TRIP] = str(trip.number)
        if request.method == "GET" and "job" in request.url.path:
            self.left.append(trip.left)
        try:
            response = await super().handle_async_request(request)
        except httpx.TransportError as error:
            trip.landed, trip.fate = anyio.current_time(), type(error).__name__
            raise
        trip.landed, trip.fate = anyio.current_time(), str(response.status_code)
        return response

    def peak(self, since: float = 0.0, until: float = float("inf")) -> int:
        """The most requests in any one second, of those that left between two moments."""
        times = [at for at in self.left if since <= at < until]
        most = begin = 0
        for end, at in enumerate(times):
            while times[begin] <= at - 1.0:
                begin += 1
            most = max(most, end - begin + 1)
        return most
