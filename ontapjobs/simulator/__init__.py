"""The public names of the simulated ONTAP."""

from __future__ import annotations

from common.simulator import faults
from common.simulator.clock import Clock
from common.simulator.faults.match import Match
from common.simulator.messages import Request, Response
from common.simulator.script import NewJob, Script
from ontapjobs.simulator.app import Batch, OntapSimulator

__all__ = [
    "Batch",
    "Clock",
    "Match",
    "NewJob",
    "OntapSimulator",
    "Request",
    "Response",
    "Script",
    "faults",
]
