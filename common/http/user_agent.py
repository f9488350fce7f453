"""What a source calls itself in the header User-Agent."""

from __future__ import annotations

from functools import cache


def user_agent(product: str | None) -> str:
    """Return ``jobsource/<version>``, with the caller's product before it."""
    return f"{product} {own_product()}" if product else own_product()


@cache
def own_product() -> str:
    """Return ``jobsource/<version>``, without the version where the package is vendored.

    To look it up takes a millisecond, several times what it takes to make a source.
    """
    from importlib import metadata  # lazily: it imports the package email

    try:
        return f"jobsource/{metadata.version('jobsource')}"
    except metadata.PackageNotFoundError:
        return "jobsource"
