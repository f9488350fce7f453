"""``jobsource demo``: watch the SDK at work on three simulated systems."""

from __future__ import annotations

import sys
from typing import Annotated

from common.cli.arguments.options import DebugOptions
from common.cli.arguments.parameters import Parameter
from common.cli.console import is_terminal
from common.cli.demo import run_demo
from common.cli.running import run
from common.cli.views.plain import PlainView
from common.cli.views.view import View


def demo(
    *,
    calm: Annotated[bool, Parameter(help="Without outages: only the jobs themselves may fail.")] = False,
    plain: Annotated[bool, Parameter(help="Print lines instead of a live table.")] = False,
    debugging: DebugOptions = DebugOptions(),
) -> int:
    """Wait for a dozen jobs of three simulated systems on this machine, for about ten seconds.

    Meanwhile, a system is overloaded, connections break, a system loses a job, and the waiting process is
    restarted. Each of these is announced as it happens.
    """
    return run(lambda: run_demo(_view(plain=plain), calm=calm), debug=debugging.debug)


def _view(*, plain: bool) -> View:
    if plain or not is_terminal(sys.stderr):
        return PlainView()
    from common.cli.views.live import LiveView

    return LiveView(keep=True)
