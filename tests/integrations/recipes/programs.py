"""The recipes as processes, each with a home folder of the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.integrations.cluster import FASTER

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "recipes"


class Programs(ExitStack):
    """Processes that are killed when their test ends, with all that they have started."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        super().__init__()
        self.environment = {**os.environ, **FASTER, **environment, "HOME": str(folder)}

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start Python with these arguments, beside the recipes."""
        process = self.enter_context(
            subprocess.Popen(
                [sys.executable, *arguments],
                cwd=EXAMPLES,
                env={**self.environment, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        self.callback(_kill, process)
        return process

    @staticmethod
    def line(process: subprocess.Popen[str]) -> str:
        """Return the next line that a process prints."""
        assert process.stdout is not None
        return process.stdout.readline().rstrip("\n")

    @staticmethod
    def rest(process: subprocess.Popen[str]) -> list[str]:
        """Return the lines that a process prints until its end."""
        assert process.stdout is not None
        return process.stdout.read().splitlines()

    @staticmethod
    def send(process: subprocess.Popen[str], text: str) -> None:
        """Send a process all that it reads."""
        assert process.stdin is not None
        process.stdin.write(text)
        process.stdin.close()


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
