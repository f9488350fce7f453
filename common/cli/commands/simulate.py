"""``jobsource simulate``: a simulated system on a socket, to try the other commands on."""

from __future__ import annotations

import json
import shlex
from functools import partial
from typing import Annotated

from common.cli.arguments.parameters import Parameter
from common.cli.console import note
from common.model.errors import UsageError
from common.providers import get_provider
from common.simulator.__main__ import main
from common.simulator.clock import parse_clock
from common.simulator.script import Step
from common.simulator.simulator import Simulator


def simulate(
    provider: Annotated[str, Parameter(names=("PROVIDER",), help="ontap, bluexp or cf.")],
    /,
    *,
    port: Annotated[int, Parameter(help="0 is any free port.")] = 0,
    clock: Annotated[str, Parameter(help="loop (real time), scaled:60 (a minute is an hour) or stepped.")] = (
        "loop"
    ),
    seed: Annotated[int | None, Parameter(help="Make ids repeatable.")] = None,
    verbose: Annotated[bool, Parameter(help="Write a line for each request.")] = False,
    set_: Annotated[
        tuple[str, ...],
        Parameter(names=("--set",), help="An option of the system as NAME=VALUE."),
    ] = (),
) -> int:
    """Serve a simulated system until Ctrl-C, and print its address.

    Its writes start jobs, and below /_sim/ it takes jobs, faults and steps of time.
    """
    get_provider(provider)
    try:
        parse_clock(clock)
    except ValueError as error:
        raise UsageError(f"--clock: {error}") from None
    words = ["--provider", provider, "--port", str(port), "--clock", clock]
    words += ["--seed", str(seed)] if seed is not None else []
    words += ["--verbose"] if verbose else []
    for option in set_:
        words += ["--set", option]
    return main(words, on_start=partial(_tell_how_to_use_it, provider))


def _tell_how_to_use_it(provider: str, simulator: Simulator, url: str) -> None:
    target = f"{provider}+{url}"
    settings = {"endpoint": target, **simulator.client_settings}
    variables = " ".join(f"JOBSOURCE_{key.upper()}={shlex.quote(value)}" for key, value in settings.items())
    states = [Step.of(step).state for step in simulator.default_job.script]
    script = [*([state, 10] for state in states[:-1]), [states[-1], None]]
    note("in another terminal:")
    note(f"  export {variables}")
    note(f"  curl -d '{json.dumps({'script': script})}' {url}/_sim/jobs")
    note("  jobsource wait ID    # the id that it answered")
