"""The base of the providers' simulators, and its public names."""

from __future__ import annotations

from common.simulator.clock import Clock
from common.simulator.faults import (
    ContentType,
    CutBody,
    Delay,
    ExpireTokens,
    Fault,
    Forget,
    Hang,
    Html,
    IgnoreFilter,
    Latin1,
    Refuse,
    Reset,
    RetryAfter,
    ShortPage,
    Stale,
    Status,
)
from common.simulator.faults.injection import Injection
from common.simulator.faults.match import Match
from common.simulator.messages import Request, Response, json_response, text_response
from common.simulator.script import Moment, NewJob, OnWrite, Script, ScriptedJob, ScriptedLife, Step
from common.simulator.simulator import Simulator
from common.simulator.system import System

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
    "Latin1",
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
    "System",
    "json_response",
    "text_response",
]
