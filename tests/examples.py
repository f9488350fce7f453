"""How many examples a property test takes: its own number, or a long profile's where that is more."""

from __future__ import annotations

from hypothesis import settings


def at_least(examples: int) -> settings:
    """For tests that need more than the default profile gives them, and all that ``fuzz`` does."""
    return settings(max_examples=max(examples, settings.default.max_examples if settings.default else 0))
