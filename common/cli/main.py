"""The command ``jobsource``: from the words of a command line to an exit status."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from common.cli.arguments.parameters import STDIN, CommandSignature
from common.cli.console import abandon_output, complain, note, prepare_streams, printable_lines, write_line
from common.cli.errors import did_you_mean
from common.cli.exit_status import ExitStatus, status_of
from common.cli.parsing.read_words import read_words
from common.cli.table import COMMANDS, Command
from common.model.distribution import NAME, VERSION, install_hint
from common.model.errors import JobsError

HELP = ("-h", "--help", "help")
EXTRA = ("cyclopts", "rich", "uvicorn")
"""What the extra ``cli`` installs for the command itself."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; see `common.cli.exit_status`. No exception comes out."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    prepare_streams()
    try:
        return _run(words)
    except BrokenPipeError:
        abandon_output()
        return ExitStatus.BROKEN_PIPE
    except OSError as error:  # of the output
        abandon_output()
        complain(error.strerror or error)
        return ExitStatus.FAILED
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED


def overview() -> str:
    """Return the text of ``jobsource --help``."""
    return Path(__file__).with_name("overview.txt").read_text("utf-8")


def _run(words: list[str]) -> int:
    if len(words) > 1 and words[0] in HELP:
        words = [words[1], "--help"]
    if not words or words[0] in HELP:
        write_line(overview().rstrip())
        return ExitStatus.OK
    if words[0] == "--version":
        write_line(f"{NAME} {VERSION}")
        return ExitStatus.OK
    if (unreadable := next((word for word in words if not _is_text(word)), None)) is not None:
        complain(f"{unreadable[:40]!a}: not valid in this system's encoding")
        return ExitStatus.USAGE
    command = next((command for command in COMMANDS if command.name == words[0]), None)
    if command is None:
        names = [*(command.name for command in COMMANDS), "--help", "--version"]
        complain(f"there is no command {words[0][:40]!r}{did_you_mean(words[0], names)}")
        note("see: jobsource --help")
        return ExitStatus.USAGE
    debug = "--debug" in words
    words = [STDIN if word == "-" else word for word in words]
    warnings.showwarning = _show_warning
    try:
        return _call(command, words)
    except (JobsError, OSError, ImportError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        if debug:
            note(printable_lines(traceback.format_exc().rstrip()))
        if isinstance(error, ImportError) and error.name in EXTRA:
            complain(f"the command needs {error.name}: {install_hint('cli')}")
            return ExitStatus.USAGE
        complain(error if not isinstance(error, OSError) or error.strerror is None else error.strerror)
        return status_of(error) if isinstance(error, JobsError) else ExitStatus.FAILED


def _call(command: Command, words: list[str]) -> int:
    """Run a command with the rest of the line, and return its status; its help is OK."""
    signature = CommandSignature(command.function())
    values = read_words(signature.parameters, words[1:])
    if values is not None:
        return signature.call(values)
    from cyclopts import CycloptsError

    from common.cli.parsing.app import make_app

    try:
        status: int | None = make_app([command])(words, print_error=False, exit_on_error=False)
    except CycloptsError as error:
        complain(error)
        note(f"see: jobsource {command.name} --help")
        return ExitStatus.USAGE
    return ExitStatus.OK if status is None else status  # None: it has shown a help


def _is_text(word: str) -> bool:
    """Whether a word can be sent to a server; one that cannot is good only as the name of a file."""
    try:
        word.encode("utf-8")
    except UnicodeEncodeError:
        return word.startswith("@")
    return True


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    del category, filename, lineno, file, line
    complain(f"warning: {message}")
