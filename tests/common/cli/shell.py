"""Run the command in this process, as a process, or at a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import anyio.from_thread
import attrs
import pytest

from common.cli.main import main
from common.simulator import Simulator
from tests.profiles import UserEnv

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-W", "error", "-m", "common")
TIMEOUT = 60
"""Seconds in which any command must have ended."""
S = TypeVar("S", bound=Simulator)

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@attrs.frozen
class Served(Generic[S]):
    """A simulator on a socket, whose event loop is in a thread."""

    simulator: S
    target: str
    _call: Callable[..., Any]

    def add(self, *script: tuple[str, float | None] | tuple[str, float | None, dict[str, Any]]) -> str:
        """Add a job, and return its id."""
        id: str = self._call(self.simulator.add_job, list(script))
        return id

    def ref(self, *script: tuple[str, float | None] | tuple[str, float | None, dict[str, Any]]) -> str:
        """Add a job, and return its ref's text."""
        return f"{self.target}/{self.add(*script)}"

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in the simulator's event loop."""
        return self._call(function, *args)


@contextmanager
def served(provider: str, simulator: S) -> Generator[Served[S]]:
    """Serve a simulator within the block."""
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(simulator.serve()) as url,
    ):
        yield Served(simulator, f"{provider}+{url}", portal.call)


@attrs.frozen
class Done:
    """What a command came to."""

    status: int
    out: str
    err: str


@attrs.frozen
class Shell:
    """Types commands for a user."""

    user: UserEnv
    _capture: pytest.CaptureFixture[str]

    def run(self, *words: str) -> Done:
        """Run a command in this process."""
        self._capture.readouterr()
        status = main(words)
        out, err = self._capture.readouterr()
        assert "Traceback" not in err
        return Done(int(status), out, err)

    def process(self, *words: str, stdin: str = "") -> Done:
        """Run a command as a process, with this standard input."""
        return _run([*COMMAND, *words], stdin)

    def script(self, text: str) -> Done:
        """Run a line of a shell's, in which the command is called jobsource."""
        command = shlex.join(COMMAND)
        return _run(
            ["bash", "-c", f'jobsource() {{ PYTHONPATH={ROOT} {command} "$@"; }}; set -o pipefail; {text}'],
            "",
        )

    @contextmanager
    def started(self, *words: str) -> Generator[subprocess.Popen[str]]:
        """Start a command, with pipes for what it reads and writes; it is killed if it outlives the block."""
        with subprocess.Popen(
            [*COMMAND, *words],
            text=True,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def _run(words: list[str], stdin: str) -> Done:
    done = subprocess.run(
        words, input=stdin, capture_output=True, text=True, cwd=ROOT, timeout=TIMEOUT, check=False
    )
    assert "Traceback" not in done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def ended(process: subprocess.Popen[str], number: signal.Signals | None = None) -> Done:
    """Return what a started command comes to, perhaps after a signal."""
    if number is not None:
        process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT)
    assert "Traceback" not in err
    return Done(process.returncode, out, err)


def at_terminal(
    columns: int, words: Sequence[str], *, environment: dict[str, str] | None = None, until: str = ""
) -> Done:
    """Run a command at a terminal; ``out`` is all that was drawn there, without control sequences.

    Ctrl-C ends it once it has drawn ``until``.
    """
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
    for name in ("COLUMNS", "LINES"):
        variables.pop(name, None)
    process = subprocess.Popen(
        [*COMMAND, *words], stdin=terminal, stdout=terminal, stderr=terminal, cwd=ROOT, env=variables
    )
    os.close(terminal)
    drawn = b""
    while True:
        if not select.select([master], [], [], TIMEOUT)[0]:
            process.kill()
            raise AssertionError("the command draws nothing, and does not end")
        try:
            data = os.read(master, 65536)
        except OSError:  # the other side is closed
            break
        if not data:
            break
        drawn += data
        if until and until.encode() in drawn:
            process.send_signal(signal.SIGINT)
            until = ""
    os.close(master)
    raw = drawn.decode()
    return Done(process.wait(TIMEOUT), _CONTROL.sub("", raw).replace("\r", "\n"), raw)
