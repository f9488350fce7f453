"""Read ``--timeout`` and ``--deadline``."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from common.model.errors import UsageError

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")
_PARTS = re.compile(rf"(?:{_PART.pattern})+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def read_duration(text: str, option: str = "--timeout") -> float:
    """Return the seconds of ``90s``, ``5m``, ``1h30m``, ``2d`` or ``90``. Raise `UsageError` for others."""
    text = text.strip().lower()
    if _NUMBER.fullmatch(text):
        return float(text)
    if not _PARTS.fullmatch(text):
        raise UsageError(f"{option} must be a duration such as 90s, 5m or 1h30m, not {text[:40]!r}")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def read_deadline(text: str) -> datetime:
    """Return the moment of ``2026-11-26T08:00Z``. Raise `UsageError` for one without a time zone."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"--deadline must be a time such as 2026-11-26T08:00Z, not {text[:40]!r}") from None
    if moment.tzinfo is None:
        text = moment.isoformat(timespec="minutes")
        raise UsageError(f"--deadline has no time zone: write {text}Z, or {text}+01:00 for your own")
    return moment.astimezone(UTC)
