"""``jobsource simulate``: a simulated system on a socket, to try the other commands on."""

from __future__ import annotations

import json
import shlex
from functools import partial
from typing import Annotated

from common.cli.arguments.parameters import Parameter
from common.cli.console import note
from common.cli.exit_status import ExitStatus
from common.model.errors import UsageError
from common.providers import get_provider
from common.simulator.__main__ import make_simulator, run
from common.simulator.script import Step
from common.simulator.simulator import Simulator


def simulate(
    provider: Annotated[str, Parameter(names=("PROVIDER",), help="ontap, bluexp or cf.")],
    /,
    *,
    port: Annotated[int, Parameter(value="PORT", help="The port; 0 picks a free one.")] = 0,
    clock: Annotated[
        str,
        Parameter(
            value="CLOCK",
            help="loop (real time), scaled:60 (an hour takes a minute) or stepped (by requests).",
        ),
    ] = "loop",
    seed: Annotated[int | None, Parameter(value="N", help="A seed that makes ids repeatable.")] = None,
    verbose: Annotated[bool, Parameter(help="Print each request.")] = False,
    set_: Annotated[
        tuple[str, ...],
        Parameter(names=("--set",), value="NAME=VALUE", help="An option of the system; may be repeated."),
    ] = (),
) -> int:
    """Serve a simulated system until Ctrl-C, and print its address.

    Writes start jobs. Requests to /_sim/ add jobs, inject faults and move the clock.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: ports are 0 (any free one) to 65535")
    get_provider(provider)  # not a class as module:Class
    simulator = make_simulator(provider, set_, clock=clock, seed=seed)
    run(simulator, port=port, verbose=verbose, on_start=partial(_tell_how_to_use_it, provider))
    return ExitStatus.OK


def _tell_how_to_use_it(provider: str, simulator: Simulator, url: str) -> None:
    target = f"{provider}+{url}"
    settings = {"endpoint": target, **simulator.client_settings}
    variables = " ".join(f"JOBSOURCE_{key.upper()}={shlex.quote(value)}" for key, value in settings.items())
    states = [Step.of(step).state for step in simulator.default_job.script]
    script = [*([state, 10] for state in states[:-1]), [states[-1], None]]
    note("in another terminal:")
    note(f"  export {variables}")
    note(f"  curl -d '{json.dumps({'script': script})}' {url}/_sim/jobs")
    note("  jobsource wait ID    # the id in the response")
