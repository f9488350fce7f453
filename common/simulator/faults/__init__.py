"""The faults that a test can inject, on the way to a system with jobs and within it: one class each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from common.simulator.faults.base import Ask, Fault
from common.simulator.faults.connection import CutBody, Delay, Hang, Refuse, Reset
from common.simulator.faults.reply import ContentType, Html, Latin1, RetryAfter, Status
from common.simulator.faults.system import ExpireTokens, Forget, IgnoreFilter, ShortPage, Stale

__all__ = [
    "KINDS",
    "Ask",
    "ContentType",
    "CutBody",
    "Delay",
    "ExpireTokens",
    "Fault",
    "Forget",
    "Hang",
    "Html",
    "IgnoreFilter",
    "Latin1",
    "Refuse",
    "Reset",
    "RetryAfter",
    "ShortPage",
    "Stale",
    "Status",
]

KINDS: Mapping[str, type[Fault]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            *(Status, RetryAfter, Html, ContentType, Latin1, Delay, Hang, CutBody, Reset, Refuse),
            *(Stale, ShortPage, IgnoreFilter, ExpireTokens, Forget),
        )
    }
)
"""Every class of faults by name."""
