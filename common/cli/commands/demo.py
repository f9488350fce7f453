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
    calm: Annotated[bool, Parameter(help="Let nothing go wrong but the jobs themselves.")] = False,
    plain: Annotated[bool, Parameter(help="Lines, even where a live table is possible.")] = False,
    debugging: DebugOptions = DebugOptions(),
) -> int:
    """Wait for a dozen jobs of three simulated systems on this machine, for some ten seconds.

    Meanwhile a system is busy, connections break, a job is forgotten, and the process that waits is
    restarted; each is said as it happens.
    """
    return run(lambda: run_demo(_view(plain=plain), calm=calm), debug=debugging.debug)


def _view(*, plain: bool) -> View:
    if plain or not is_terminal(sys.stderr):
        return PlainView()
    from common.cli.views.live import LiveView

    return LiveView(keep=True)
