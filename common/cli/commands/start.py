"""``jobsource start``: a write, and the jobs that it starts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from common.cli.arguments.options import DebugOptions, Quiet, SystemOptions, WaitOptions
from common.cli.arguments.parameters import STDIN, Parameter
from common.cli.console import complain, printable, write_line
from common.cli.exit_status import ExitStatus, combined
from common.cli.following import Following, check_waiting, deadline_of
from common.cli.output.text import TextWriter
from common.cli.output.writer import make_writer
from common.cli.running import run
from common.cli.views.make_view import make_view
from common.model.errors import (
    ApiError,
    AuthenticationError,
    PermissionDenied,
    RateLimited,
    ServerError,
    UsageError,
)
from common.model.job import Job
from common.model.serialize import to_dict
from common.response.writes import Adopted
from common.sources.http import HttpSource


def start(
    target: Annotated[str, Parameter(names=("TARGET",), help="A system, or the name of a profile.")],
    method: Annotated[str, Parameter(names=("METHOD",), help="POST, PUT, PATCH or DELETE.")],
    path: Annotated[str, Parameter(names=("PATH",), help="The path on the system, with its query.")],
    /,
    *,
    data: Annotated[
        str | None,
        Parameter(
            names=("--data", "-d"),
            value="JSON",
            help="The body as JSON, @file, or - for standard input; put secrets into a file.",
        ),
    ] = None,
    inline: Annotated[
        float | None,
        Parameter(value="SECONDS", help="Seconds for which ONTAP may delay its response until the job ends."),
    ] = None,
    wait: Annotated[bool, Parameter(help="Then wait until the jobs have ended.")] = False,
    output: Annotated[
        Literal["text", "json", "jsonl"],
        Parameter(
            names=("--output", "-o"), value="FORMAT", group="Output", help="The format on standard output."
        ),
    ] = "text",
    quiet: Quiet = False,
    waiting: WaitOptions = WaitOptions(),
    system: SystemOptions = SystemOptions(),
    debugging: DebugOptions = DebugOptions(),
) -> int:
    """Send a write, and print the references of the jobs that it starts, one per line.

    The output can be piped into wait. A write is never sent twice: if its response is lost, the exit status
    is 4, and the message says where to check whether it was carried out.
    """
    body = None if data is None else _read_body(data)
    check_waiting(waiting, wait=wait)

    async def send() -> ExitStatus:
        view = make_view(quiet=quiet, streams_changes=output == "jsonl")
        async with system.systems(target, view.observe) as systems:
            source = systems.default()
            if not isinstance(source, HttpSource):
                raise UsageError(f"{source.provider} does not support start")
            adopted = await source.start(method, path, json=body, inline=inline)
            if not quiet:
                for warning in adopted.warnings:
                    complain(f"warning: {warning}")
                for error in adopted.errors:
                    complain(f"error: {error}")
            jobs = adopted.waitable
            status = ExitStatus.FAILED if adopted.errors else ExitStatus.OK
            named = system.words() if "://" in target else ["--profile", target]
            if not wait:
                _print(adopted, output)
                return status
            writer = TextWriter() if output == "text" else make_writer(output)
            ended = await Following(
                systems,
                view,
                writer,
                deadline=deadline_of(waiting),
                quiet=quiet,
                cancel_on_interrupt=waiting.cancel_on_interrupt,
                resume=("jobsource", "wait", *named),
            ).run(
                [str(job) for job in jobs if not isinstance(job, Job)],
                jobs=[job for job in jobs if isinstance(job, Job)],
            )
            writer.close()
            return combined((status, ended))

    try:
        return run(send, debug=debugging.debug)
    except ApiError as error:
        if isinstance(error, AuthenticationError | PermissionDenied | RateLimited | ServerError):
            raise
        complain(error)  # the system understood the write, and refused it
        return ExitStatus.FAILED


def _read_body(data: str) -> Any:
    text = data
    if data.startswith("@"):
        # JSON is UTF-8 whatever the locale is; PowerShell writes a byte order mark.
        try:
            content = sys.stdin.buffer.read() if data == STDIN else Path(data[1:]).read_bytes()
            text = content.decode("utf-8-sig")
        except (OSError, ValueError) as error:
            name = "-" if data == STDIN else data
            reason = getattr(error, "strerror", None) or "not valid UTF-8"
            raise UsageError(f"--data {name}: {reason}") from None
    try:
        return json.loads(text)
    except RecursionError:
        raise UsageError("--data is nested too deeply") from None
    except ValueError as error:
        place = "its numbers"
        if isinstance(error, json.JSONDecodeError):
            place = f"line {error.lineno}, column {error.colno}"
        # The text itself may hold a secret.
        raise UsageError(f"--data is not valid JSON: see {place}") from None


def _print(adopted: Adopted, output: str) -> None:
    if output == "text":
        for ref in adopted.refs:
            write_line(printable(str(ref)))
    elif output == "jsonl":
        seen = {job.ref: to_dict(job) for job in adopted.jobs}
        for ref in adopted.refs:
            write_line(json.dumps({"event": "started", **seen.get(ref, {"ref": str(ref)})}))
    else:
        parts = {
            "refs": list(map(str, adopted.refs)),
            "jobs": list(map(to_dict, adopted.jobs)),
            "warnings": list(adopted.warnings),
            "errors": list(map(str, adopted.errors)),
            "status": adopted.status,
        }
        write_line(json.dumps(parts, indent=2))
