"""Chance that guards no secret: jitter, and what a simulator draws."""

from __future__ import annotations

from random import Random


def dice(seed: int | str | None = None) -> Random:
    """A source of numbers; the same ones for the same ``seed``."""
    return Random(seed)  # noqa: S311  # repeatable, which a source for secrets must not be
