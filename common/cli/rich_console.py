"""The console that rich draws on: a pipe that nobody reads is left to the command, as everywhere else."""

from __future__ import annotations

from rich.console import Console


class PipeConsole(Console):
    """Raises `BrokenPipeError`, where that of rich ends the process."""

    def on_broken_pipe(self) -> None:
        """Raise what rich would turn into an exit status of its own."""
        raise BrokenPipeError
