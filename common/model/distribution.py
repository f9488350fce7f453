"""The installed distribution of these packages: its version, and how its extras are installed."""

from __future__ import annotations

from functools import cache

NAME = "jobsource"
UNKNOWN = "unknown"
"""The version where the packages are vendored, and no distribution is installed."""


@cache
def version() -> str:
    """Return the version of the distribution, `UNKNOWN` where the packages are vendored.

    Cached, because the look-up takes a millisecond, several times as long as making a source.
    """
    from importlib import metadata  # lazily: it imports the package email

    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return UNKNOWN


def install_hint(extra: str) -> str:
    """Return the commands that install an extra, from the index and from a checkout."""
    return f'pip install "{NAME}[{extra}]", or in a checkout pip install ".[{extra}]"'
