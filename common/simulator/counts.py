"""How many requests a simulator has received, and what became of them, however short its journal is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container
from typing import Any

import attrs

from common.simulator.messages import Request

LOST = "lost"
"""In place of a status: a fault lost the connection."""
LEFT = "left"
"""In place of a status: no response, since the client left before, or the system has failed."""

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|.*~.*", re.IGNORECASE)
"""What is an id in any path: a UUID, or one that a Korifi made."""


@attrs.define
class Counts:
    """The requests by call, such as ``GET /api/cluster/jobs/*`` (ids are one), and by the response's status.

    Those that are neither answered nor lost are under way.
    """

    calls: Counter[str] = attrs.field(factory=Counter[str])
    statuses: Counter[str] = attrs.field(factory=Counter[str])

    @property
    def requests(self) -> int:
        """All requests, those under way included."""
        return self.calls.total()

    def received(self, request: Request, ids: Container[str]) -> None:
        """Count a request; ``ids`` are the jobs that the system has."""
        path = "/".join("*" if part in ids or _ID.fullmatch(part) else part for part in request.segments)
        self.calls[f"{request.method} /{path}"] += 1

    def ended(self, outcome: str) -> None:
        """Count what became of a request: a status, `LOST` or `LEFT`."""
        self.statuses[outcome] += 1

    def as_data(self) -> dict[str, Any]:
        """Return the counts as plain data, the most frequent first."""
        return {
            "requests": self.requests,
            "under_way": self.requests - self.statuses.total(),
            "calls": dict(self.calls.most_common()),
            "statuses": dict(self.statuses.most_common()),
        }
