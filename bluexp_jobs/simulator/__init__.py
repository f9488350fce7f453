"""The public names of the simulated BlueXP backup and recovery."""

from __future__ import annotations

from bluexp_jobs.simulator.app import BlueXPSimulator, Missing
from bluexp_jobs.simulator.tokens import BlueXPTokenDesk
from common.simulator import faults
from common.simulator.clock import Clock
from common.simulator.faults.match import Match
from common.simulator.messages import Request, Response
from common.simulator.script import NewJob, Script

__all__ = [
    "BlueXPSimulator",
    "BlueXPTokenDesk",
    "Clock",
    "Match",
    "Missing",
    "NewJob",
    "Request",
    "Response",
    "Script",
    "faults",
]
