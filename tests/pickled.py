"""What comes out of a pickle again: the one place where tests read one."""

from __future__ import annotations

import pickle
from typing import TypeVar

_T = TypeVar("_T")


def pickled(value: _T, protocol: int | None = None) -> _T:
    """Return the value's copy, by way of a pickle."""
    again: _T = pickle.loads(pickle.dumps(value, protocol))  # noqa: S301  # made by this very line
    return again
