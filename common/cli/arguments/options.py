"""The options that several commands take, each written once."""

from __future__ import annotations

from typing import Annotated

import attrs

from common.cli.arguments.parameters import Parameter
from common.cli.output.writer import JobFormat
from common.cli.systems import Systems
from common.telemetry.events import Observer

RefsArgument = Annotated[
    str,
    Parameter(
        names=("REF",),
        help="A job's reference, such as ontap://cluster1.example.com/b5145e1d-b53b-11e8-8252-005056bbd8f5; "
        "a bare id if --target, --profile or the environment names the system; or - to read references "
        "from standard input, one per line.",
    ),
]
"""The jobs that a command is about."""
TargetArgument = Annotated[
    str | None,
    Parameter(
        names=("TARGET",), help="A system, such as ontap://cluster1.example.com, or the name of a profile."
    ),
]
"""The system that a command is about, where it is about one."""
Output = Annotated[
    JobFormat,
    Parameter(
        names=("--output", "-o"),
        value="FORMAT",
        group="Output",
        help="The format on standard output; jsonl writes one event per change.",
    ),
]
Quiet = Annotated[
    bool,
    Parameter(
        names=("--quiet", "-q"),
        group="Output",
        help="Write neither progress nor the errors of jobs to standard error.",
    ),
]


@attrs.frozen(kw_only=True)
class SystemOptions:
    """The system whose jobs bare ids name."""

    target: Annotated[
        str | None,
        Parameter(
            value="SYSTEM", group="Which system", help="The system, such as ontap://cluster1.example.com."
        ),
    ] = None
    profile: Annotated[
        str | None,
        Parameter(value="NAME", group="Which system", help="The name of a profile; see jobsource profiles."),
    ] = None

    def systems(self, target: str | None = None, observer: Observer | None = None) -> Systems:
        """Return the systems of a command, which may name one by an argument of its own."""
        return Systems(self.target if target is None else target, self.profile, observer)

    def words(self) -> list[str]:
        """Return the options as they are written on a command line."""
        pairs = (("--target", self.target), ("--profile", self.profile))
        return [word for option, value in pairs if value is not None for word in (option, value)]


@attrs.frozen(kw_only=True)
class DebugOptions:
    """What is written to find the cause of an error."""

    debug: Annotated[
        bool,
        Parameter(
            group="Output",
            help="Log each request, and show tracebacks, both without secrets.",
        ),
    ] = False


@attrs.frozen(kw_only=True)
class WaitOptions:
    """How long jobs are waited for, and until when."""

    timeout: Annotated[
        str | None,
        Parameter(
            value="DURATION",
            help="Stop after this time for all jobs, such as 90s, 5m or 1h30m; 0 polls once.",
        ),
    ] = None
    deadline: Annotated[
        str | None,
        Parameter(value="TIME", help="Stop at this time, such as 2026-11-26T08:00Z (with a time zone)."),
    ] = None
    cancel_on_interrupt: Annotated[
        bool,
        Parameter(
            help="Cancel the jobs on Ctrl-C or SIGTERM.",
        ),
    ] = False
