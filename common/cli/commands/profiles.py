"""``jobsource profiles``: which profiles there are, from which file, and whether they work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import attrs

from common.cli.arguments.options import DebugOptions
from common.cli.arguments.parameters import Parameter
from common.cli.console import note, printable, write_line
from common.cli.errors import in_words_of_the_shell
from common.cli.exit_status import ExitStatus, combined, status_of
from common.cli.running import run
from common.concurrency import run_together
from common.config.connect import connect
from common.config.environment import ENDPOINT, PROFILE
from common.config.profiles import Profile, read_profiles
from common.config.sign_in import check_sign_in
from common.model.errors import JobsError
from common.providers import get_provider


@attrs.define
class _Line:
    profile: Profile
    result: str = ""
    status: ExitStatus = ExitStatus.OK


def profiles(
    *names: Annotated[str, Parameter(names=("NAME",), help="Only these profiles.")],
    check: Annotated[bool, Parameter(help="Sign in with each profile, and print the result.")] = False,
    debugging: DebugOptions = DebugOptions(),
) -> int:
    """Print the name and system of each profile, and with --check whether it can sign in.

    Standard error names the profiles file, and the variables that also apply. No secret is printed.
    """
    found = read_profiles()
    chosen = [found.named(name) for name in names] if names else list(found.by_name.values())
    there = "" if found.file is not None and found.file.exists() else ", which does not exist"
    note(f"profiles of {found.file}{there}" if found.file is not None else "there is no profiles file")
    for variable in (PROFILE, ENDPOINT):
        if os.environ.get(variable):
            note(f"{variable} is set: it applies when the command line names no system")
    lines = [_Line(profile) for profile in chosen]
    if check:
        run(partial(_check, lines), debug=debugging.debug)
    for line in lines:
        profile = line.profile
        where = profile.endpoint or _default_endpoint(profile)
        words = [profile.name, profile.provider, where, *([line.result] if check else [])]
        write_line("  ".join(map(printable, words)))
    return combined(line.status for line in lines)


async def _check(lines: Sequence[_Line]) -> ExitStatus:
    await run_together([partial(_sign_in, line) for line in lines])
    return ExitStatus.OK


async def _sign_in(line: _Line) -> None:
    try:
        async with connect(profile=line.profile.name) as source:
            await check_sign_in(source)
    except JobsError as error:
        line.status = status_of(error)
        line.result = in_words_of_the_shell(str(error))
        return
    line.result = "works"


def _default_endpoint(profile: Profile) -> str:
    try:
        return get_provider(profile.provider).endpoint
    except (JobsError, ImportError):
        return ""
