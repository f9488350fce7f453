"""The header User-Agent of a source."""

from __future__ import annotations

from functools import cache

from common.model.distribution import NAME, UNKNOWN, version


def user_agent(product: str | None) -> str:
    """Return ``jobsource/<version>``, with the caller's product before it."""
    return f"{product} {own_product()}" if product else own_product()


@cache
def own_product() -> str:
    """Return ``jobsource/<version>``, without the version where the package is vendored."""
    return NAME if version() == UNKNOWN else f"{NAME}/{version()}"
