"""Whether a server has been left by all of its clients."""

from __future__ import annotations

import time

from tests.loopback import Loopback


def hung_up(server: Loopback, *, within: float = 5.0) -> bool:
    """Whether no connection to a server is left, at the latest after so many seconds."""
    end = time.monotonic() + within
    while server._lines and time.monotonic() < end:
        time.sleep(0.01)
    return not server._lines
