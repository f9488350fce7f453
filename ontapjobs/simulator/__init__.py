"""What users name of the simulated ONTAP."""

from __future__ import annotations

from common.simulator import faults
from common.simulator.clock import Clock
from common.simulator.jobs import NewJob
from common.simulator.life import Script
from common.simulator.matching import Match
from common.simulator.messages import Request
from common.simulator.messages import Response
from ontapjobs.simulator.app import Batch
from ontapjobs.simulator.app import OntapSimulator

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
