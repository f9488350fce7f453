"""The command ``jobsource``: its only subcommand, ``demo``, runs the SDK on simulated systems."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import anyio

from common.model.errors import JobsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 where it failed, 130 where it was interrupted.

    Raise `SystemExit` with status 2 for invalid arguments, and with 0 for ``--help``.
    """
    parser = argparse.ArgumentParser(
        prog="jobsource", description="One asyncio SDK for the jobs of ONTAP, BlueXP and Cloud Foundry."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="wait for a dozen jobs on simulated systems (under 20 seconds)")
    demo.add_argument("--plain", action="store_true", help="print lines, even where a live table is possible")
    options = parser.parse_args(arguments)
    try:
        return _demo(plain=options.plain)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the simulated jobs have ended too\n")
        return 130
    except (JobsError, ImportError) as error:
        sys.stderr.write(f"jobsource: {error}\n")
        return 1


def _demo(*, plain: bool) -> int:
    from common.cli.demo import run_demo

    return anyio.run(run_demo, plain)
