"""``python -m common.simulator --provider ontap``: a simulated system on a socket, for any client."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import anyio

from common.model.errors import UsageError
from common.providers import get_provider, provider_names
from common.simulator.clock import parse_clock
from common.simulator.server.serve import LOOPBACK
from common.simulator.simulator import Simulator


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted. Return 0, or 1 for a failure; exit with status 2 for wrong arguments."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        simulator = _simulator(options)
    except (UsageError, ImportError, ValueError, TypeError) as error:
        parser.error(str(error))
    try:
        anyio.run(_serve, simulator, options.host, options.port)
    except KeyboardInterrupt:
        return 0
    except (ImportError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m common.simulator",
        description="Serve a simulated job system. Below /_sim/ it takes jobs, faults and steps of time.",
    )
    names = ", ".join(sorted(provider_names()))
    parser.add_argument("--provider", required=True, help=f"{names}, or a simulator's class as module:Class")
    parser.add_argument("--port", type=int, default=0, help="0, the default, is any free port")
    parser.add_argument(
        "--host", default=LOOPBACK, help=f"an IPv4 address to listen on (default: {LOOPBACK})"
    )
    parser.add_argument("--seed", type=int, help="make ids and improbable faults repeatable")
    parser.add_argument("--clock", default="loop", help="loop (real time), scaled:60 or stepped")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the simulator, its value as JSON or text, such as retention=30; may be repeated",
    )
    return parser


def _simulator(options: argparse.Namespace) -> Simulator:
    settings = dict(_setting(text) for text in options.set)
    kind = _class(options.provider)
    return kind(clock=parse_clock(options.clock), seed=options.seed, **settings)


def _class(name: str) -> type[Simulator]:
    module, colon, attribute = name.partition(":")
    if colon:
        candidate = getattr(import_module(module), attribute, None)
        if not (isinstance(candidate, type) and issubclass(candidate, Simulator)):
            raise UsageError(f"{name} is not a subclass of common.simulator.Simulator")
        return candidate
    load = get_provider(name).simulator
    if load is None:
        raise UsageError(f"the provider {name!r} has no simulator")
    simulator: type[Simulator] = load()
    return simulator


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"--set takes NAME=VALUE, not {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


async def _serve(simulator: Simulator, host: str, port: int) -> None:
    async with simulator.serve(host=host, port=port) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await anyio.sleep_forever()


if __name__ == "__main__":
    raise SystemExit(main())
