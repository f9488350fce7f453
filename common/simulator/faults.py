"""What can go wrong on the way to a system with jobs, and within it; each kind is one class."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from common.simulator.faultbase import Ask
from common.simulator.faultbase import Fault
from common.simulator.replyfaults import ContentType
from common.simulator.replyfaults import Html
from common.simulator.replyfaults import RetryAfter
from common.simulator.replyfaults import Status
from common.simulator.systemfaults import ExpireTokens
from common.simulator.systemfaults import Forget
from common.simulator.systemfaults import IgnoreFilter
from common.simulator.systemfaults import ShortPage
from common.simulator.systemfaults import Stale
from common.simulator.wirefaults import CutBody
from common.simulator.wirefaults import Delay
from common.simulator.wirefaults import Hang
from common.simulator.wirefaults import Refuse
from common.simulator.wirefaults import Reset

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
            *(Status, RetryAfter, Html, ContentType, Delay, Hang, CutBody, Reset, Refuse),
            *(Stale, ShortPage, IgnoreFilter, ExpireTokens, Forget),
        )
    }
)
"""Every kind by name."""
