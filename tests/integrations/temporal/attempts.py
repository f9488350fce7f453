"""Attempts of an activity by themselves, in virtual time, and the way to a simulated system."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import anyio
import httpx
from attrs import frozen
from temporalio.testing import ActivityEnvironment

from common.simulator import Simulator

CLUSTER = "ontap://cluster1"
UUID = "b5145e1d-b53b-11e8-8252-005056bbd8f5"
REF = f"{CLUSTER}/{UUID}"
PASSWORD = "p4ssw0rd-of-the-worker"
HOUR = 3600.0


@frozen
class Way(httpx.AsyncBaseTransport):
    """The way to a simulator, which another one to the same simulator equals."""

    simulator: Simulator

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.simulator.transport().handle_async_request(request)


class Environment(ActivityEnvironment):
    """An attempt, with a heartbeat time-out of 30 seconds, which keeps what it heartbeats."""

    def __init__(self, *resumed: Any) -> None:
        super().__init__()
        self.info = dataclasses.replace(
            self.info, heartbeat_timeout=timedelta(seconds=30), heartbeat_details=resumed
        )
        self.beats: list[tuple[float, tuple[Any, ...]]] = []
        self.on_heartbeat = lambda *details: self.beats.append((anyio.current_time(), details))
