"""What the simulators of the providers are made of, and what their users name."""

from __future__ import annotations

from common.simulator.base import Simulator
from common.simulator.clock import Clock
from common.simulator.jobs import NewJob
from common.simulator.jobs import OnWrite
from common.simulator.jobs import ScriptedJob
from common.simulator.life import Moment
from common.simulator.life import Script
from common.simulator.life import ScriptedLife
from common.simulator.life import Step
from common.simulator.messages import Request
from common.simulator.messages import Response
from common.simulator.messages import json_response
from common.simulator.messages import text_response

__all__ = [
    "Clock",
    "Moment",
    "NewJob",
    "OnWrite",
    "Request",
    "Response",
    "Script",
    "ScriptedJob",
    "ScriptedLife",
    "Simulator",
    "Step",
    "json_response",
    "text_response",
]
