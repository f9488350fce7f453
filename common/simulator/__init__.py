"""What the simulators of the providers are made of, and what their users name."""

from __future__ import annotations

from common.simulator.base import Simulator
from common.simulator.clock import Clock
from common.simulator.faults import ContentType
from common.simulator.faults import CutBody
from common.simulator.faults import Delay
from common.simulator.faults import ExpireTokens
from common.simulator.faults import Fault
from common.simulator.faults import Forget
from common.simulator.faults import Hang
from common.simulator.faults import Html
from common.simulator.faults import IgnoreFilter
from common.simulator.faults import Refuse
from common.simulator.faults import Reset
from common.simulator.faults import RetryAfter
from common.simulator.faults import ShortPage
from common.simulator.faults import Stale
from common.simulator.faults import Status
from common.simulator.injection import Injection
from common.simulator.jobs import NewJob
from common.simulator.jobs import OnWrite
from common.simulator.jobs import ScriptedJob
from common.simulator.life import Moment
from common.simulator.life import Script
from common.simulator.life import ScriptedLife
from common.simulator.life import Step
from common.simulator.matching import Match
from common.simulator.messages import Request
from common.simulator.messages import Response
from common.simulator.messages import json_response
from common.simulator.messages import text_response

__all__ = [
    "Clock",
    "ContentType",
    "CutBody",
    "Delay",
    "ExpireTokens",
    "Fault",
    "Forget",
    "Hang",
    "Html",
    "IgnoreFilter",
    "Injection",
    "Match",
    "Moment",
    "NewJob",
    "OnWrite",
    "Refuse",
    "Request",
    "Reset",
    "Response",
    "RetryAfter",
    "Script",
    "ScriptedJob",
    "ScriptedLife",
    "ShortPage",
    "Simulator",
    "Stale",
    "Status",
    "Step",
    "json_response",
    "text_response",
]
