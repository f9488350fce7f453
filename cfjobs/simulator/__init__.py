"""The public names of the simulated Cloud Foundry."""

from __future__ import annotations

from cfjobs.simulator.app import CFSimulator, Location
from common.simulator import faults
from common.simulator.clock import Clock
from common.simulator.faults.match import Match
from common.simulator.messages import Request, Response
from common.simulator.script import NewJob, Script

__all__ = [
    "CFSimulator",
    "Clock",
    "Location",
    "Match",
    "NewJob",
    "Request",
    "Response",
    "Script",
    "faults",
]
