"""The distribution that these packages are installed as: its version, and how its extras are installed."""

from __future__ import annotations

from functools import cache

NAME = "jobsource"
UNKNOWN = "unknown"
"""The version of packages that are vendored."""


@cache
def version() -> str:
    """Return its version, `UNKNOWN` where the packages are vendored.

    To look it up takes a millisecond, several times what it takes to make a source.
    """
    from importlib import metadata  # lazily: it imports the package email

    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return UNKNOWN


def install_hint(extra: str) -> str:
    """Return how to install what an extra brings, from the index and from a checkout."""
    return f'pip install "{NAME}[{extra}]", or in a checkout pip install ".[{extra}]"'
