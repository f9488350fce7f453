"""Run the recipe for Ray in a network namespace that has nothing but a loopback interface.

Ray speaks over the machine's own address, whatever its settings say. Its home is a folder with a short path:
that of a socket in it has at most 107 bytes. What came of it is printed as JSON.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
import tempfile
from pathlib import Path

from tests.integrations.cluster import served, until
from tests.integrations.recipes.programs import Programs

SET_FLAGS = 0x8914
"""``SIOCSIFFLAGS`` of Linux."""
UP = 1
OURS = ("states ", "ended ")
"""Ray prints lines of its own, of the worker that was killed."""
TRIES = 5
"""Ray gives up on its own processes after 30 seconds, which a busy machine may take to start them."""


def start_loopback() -> None:
    """Bring the loopback interface up, as ``ip link set lo up`` does."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh14x", b"lo", UP))


def main() -> None:
    """Lose the actor while it waits for 1,000 jobs."""
    start_loopback()
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as home,
        served("p4ssw0rd-of-the-recipes") as cluster,
        Programs(Path(home), cluster.environment) as programs,
    ):
        starts = (programs.start("ray_actor.py", RAY_TMPDIR=home) for _ in range(TRIES))
        program, line = next((each, line) for each in starts if (line := programs.line(each)))
        actor = int(line.removeprefix("actor "))
        programs.send(program, "\n".join(cluster.add_job(20) for _ in range(1000)))
        until(lambda: len(cluster.reads) >= 7)
        os.kill(actor, signal.SIGKILL)
        told = {
            "lines": [line for line in programs.rest(program) if line.startswith(OURS)],
            "lists": len(cluster.lists),
            "reads": len(cluster.reads),
            "writes": cluster.writes,
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
