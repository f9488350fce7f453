"""Standard output and standard error: what may be written there, and what a closed pipe means."""

from __future__ import annotations

import os
import re
import select
import sys
from contextlib import suppress
from typing import TextIO

from common.cli.errors import in_words_of_the_shell

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")
"""All control characters but the tab and those of a line's end; a return alone goes back over the line."""


def printable(text: str) -> str:
    """Return text on one line, without the control characters by which a server could steer a terminal."""
    return "".join(c if c.isprintable() else "�" for c in " ".join(text.split()))


def printable_lines(text: str) -> str:
    """Return `printable` text that keeps its lines, its tabs and each of its spaces."""
    return _CONTROL.sub("�", "".join([c if c.isprintable() or c.isspace() else "�" for c in text]))


def write_line(text: str) -> None:
    """Write a line of data to standard output, at once. Raise `BrokenPipeError` where nobody reads it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Write a line to standard error; if that is closed, the line is lost."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def complain(message: str | BaseException) -> None:
    """Write what went wrong to standard error, in the words of the command line."""
    note(f"jobsource: {printable(in_words_of_the_shell(str(message)))}")


def prepare_streams() -> None:
    """Let characters that an encoding lacks be written as escapes, and replace a stream that is closed."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def abandon_output() -> None:
    """Throw away what is left to write: the interpreter would complain about the closed pipe at its end."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def is_terminal(stream: TextIO) -> bool:
    """Whether a live table can be drawn there: a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


def reader_is_gone() -> bool:
    """Whether standard output is a pipe that nobody reads any more; False where that cannot be told."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
    except (AttributeError, OSError, ValueError):  # not on Windows; no standard output that is a file
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))
