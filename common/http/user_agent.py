"""The header User-Agent of a source."""

from __future__ import annotations

from common.model.distribution import NAME, VERSION

OWN_PRODUCT = f"{NAME}/{VERSION}"


def user_agent(product: str | None) -> str:
    """Return ``jobsource/<version>``, with the caller's product before it."""
    return f"{product} {OWN_PRODUCT}" if product else OWN_PRODUCT
