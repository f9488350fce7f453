"""The jobs that a command line names: its arguments, and for ``-`` lines of standard input as they come."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress

from common.cli.arguments.parameters import STDIN
from common.model.errors import UsageError

CHUNK = 65536
"""At most so many bytes are read at once."""
_NAMES_A_JOB = re.compile(r".*://|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)
"""A word that can only be a second job on a line: what ``list`` writes after a ref is a state."""


async def read_refs(names: Iterable[str]) -> AsyncIterator[str]:
    """Yield the jobs that are named, each once; for ``-``, those that standard input names.

    Raise `UsageError` for a line that names none though it should.
    """
    seen: set[str] = set()
    for name in names:
        if name != STDIN:
            if name not in seen:
                seen.add(name)
                yield name
            continue
        number = 0
        async for line in read_lines():
            number += 1
            try:
                text = named_in(line)
            except UsageError as error:
                raise UsageError(f"standard input, line {number}: {error}") from None
            if text and text not in seen:
                seen.add(text)
                yield text


def check_names(names: tuple[str, ...], verb: str) -> None:
    """Raise `UsageError` for no job at all, and for two times ``-``."""
    if not names:
        raise UsageError(f"no job is named: jobsource {verb} REF…, or - to read refs from standard input")
    if names.count(STDIN) > 1:
        raise UsageError("standard input (-) can be read only once")


def named_in(line: str) -> str:
    """Return the job that a line names, "" for none: its first word, or the ref of a line of JSON.

    So the output of ``list``, ``get`` and ``start`` can be piped in as text or as jsonl. Indented lines,
    which are details of the job above, and lines that begin with "#" name none. Raise `UsageError` for JSON
    that names none, for two jobs on a line, and for what is not text.
    """
    line = line.removeprefix("\ufeff")  # PowerShell writes a byte order mark
    if line.startswith("{"):
        with suppress(ValueError, AttributeError, RecursionError):
            ref = json.loads(line).get("ref")
            if isinstance(ref, str):
                return _as_utf8(ref)
        raise UsageError("not the JSON of a job with a ref, as -o jsonl writes it")
    if not line or line[0].isspace() or line.startswith("#"):
        return ""
    word, *others = line.split(maxsplit=2)
    if word.startswith(("[", "─")) or "," in word:  # json, table or csv
        raise UsageError("jobs are piped in as text or with -o jsonl, one a line")
    if others and _NAMES_A_JOB.match(others[0]):  # echo $refs: the second would not be waited for
        raise UsageError("two jobs on one line: write one a line")
    return _as_utf8(word)


def _as_utf8(name: str) -> str:
    # The rest of the line may hold U+FFFD: `list` writes it for what a server's message must not print.
    if "\ufffd" in name:
        raise UsageError("not valid UTF-8")
    return name


async def read_lines() -> AsyncIterator[str]:
    """Yield the lines of standard input as they come. The process can end while one is waited for."""
    import anyio.from_thread  # lazily: most commands read none
    import anyio.lowlevel

    send, receive = anyio.create_memory_object_stream[bytes](1)
    token = anyio.lowlevel.current_token()

    def read() -> None:
        # os.read and a daemon thread: the process can end while this waits for a line that never comes.
        with suppress(anyio.RunFinishedError, anyio.BrokenResourceError, OSError):
            while data := os.read(sys.stdin.fileno(), CHUNK):
                anyio.from_thread.run(send.send, data, token=token)
        with suppress(anyio.RunFinishedError):
            anyio.from_thread.run_sync(send.close, token=token)

    threading.Thread(target=read, name="standard input", daemon=True).start()
    with receive:
        rest = b""
        async for data in receive:
            *whole, rest = (rest + data).split(b"\n")
            for line in _decoded(whole):
                yield line
        for line in _decoded([rest]):
            yield line


def _decoded(lines: Iterable[bytes]) -> Iterator[str]:
    for line in lines:
        yield line.decode("utf-8", "replace").rstrip()
