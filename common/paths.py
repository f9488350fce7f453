"""Files as people name them."""

from __future__ import annotations

from pathlib import Path


def named_file(text: str) -> Path:
    """The path that a text names: ``~`` is the home folder. Of a user who is not there it stays."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path
