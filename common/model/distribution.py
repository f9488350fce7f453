"""The installed distribution of these packages: its version, and how its extras are installed."""

from __future__ import annotations

NAME = "jobsource"
VERSION = "0.1.0"
"""``pyproject.toml`` reads it here: ``importlib.metadata`` would take a tenth of a short command's time."""


def install_hint(extra: str) -> str:
    """Return the commands that install an extra, from the index and from a checkout."""
    return f'pip install "{NAME}[{extra}]", or in a checkout pip install ".[{extra}]"'
