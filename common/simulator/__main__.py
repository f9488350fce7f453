"""``python -m common.simulator --provider ontap``: a simulated system on a socket, for any client."""

from __future__ import annotations

import argparse
import inspect
import json
import logging
import math
import sys
import textwrap
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import anyio

from common.model.errors import UsageError
from common.providers import get_provider, provider_names
from common.simulator.clock import parse_clock
from common.simulator.server.serve import LOOPBACK
from common.simulator.simulator import LOGGER, Simulator

WIDTH = 100
"""Characters in a line of the help."""
BY_FLAG = frozenset({"clock", "seed", "on_write"})
"""Options of a simulator that `--set` does not take: they have a flag, or a part below /_sim/."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted. Return 0, or 1 for a failure; exit with status 2 for wrong arguments."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        simulator = make_simulator(options.provider, options.set, clock=options.clock, seed=options.seed)
    except (UsageError, ImportError) as error:
        parser.error(str(error))
    try:
        run(simulator, host=options.host, port=options.port, verbose=options.verbose)
    except (ImportError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {getattr(error, 'strerror', None) or error}\n")
        return 1
    return 0


def make_simulator(
    provider: str, settings: Iterable[str] = (), *, clock: str = "loop", seed: int | None = None
) -> Simulator:
    """Return a provider's simulator with options as ``NAME=VALUE``. Raise `UsageError` and `ImportError`."""
    kind = _class(provider)
    try:
        passing = parse_clock(clock)
    except ValueError as error:
        raise UsageError(f"--clock: {error}") from None
    known = _options_of(kind)
    values = dict(_setting(text, known, provider) for text in settings)
    try:
        return kind(clock=passing, seed=seed, **values)
    except ValueError as error:
        raise UsageError(f"--set: {error}") from None
    except (TypeError, AttributeError):  # what can be null may be of any kind until the system looks at it
        raise UsageError(f"--set: {provider} cannot take {' and '.join(settings)}") from None


def run(
    simulator: Simulator,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    verbose: bool = False,
    on_start: Callable[[Simulator, str], None] | None = None,
) -> None:
    """Serve until interrupted, and write the address and perhaps each request.

    ``on_start`` is called with the simulator and its URL once it is served. Raise `OSError` where that is not
    possible.
    """
    if verbose:
        _log_requests()
    with suppress(KeyboardInterrupt):
        anyio.run(_serve, simulator, host, port, on_start)


class _Parser(argparse.ArgumentParser):
    def format_help(self) -> str:
        """Return the help, with the options of each system, which is imported for that alone."""
        systems = "\n".join(_help_of(name) for name in sorted(provider_names()))
        return f"{super().format_help()}\n{systems}"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m common.simulator",
        description="Serve a simulated job system. Below /_sim/ it takes jobs, faults and steps of time.",
    )
    names = ", ".join(sorted(provider_names()))
    parser.add_argument("--provider", required=True, help=f"{names}, or a simulator's class as module:Class")
    parser.add_argument("--port", type=int, default=0, help="0, the default, is any free port")
    parser.add_argument(
        "--host", default=LOOPBACK, help=f"an IPv4 address to listen on (default: {LOOPBACK})"
    )
    parser.add_argument("--seed", type=int, help="make ids, and faults with a probability, repeatable")
    parser.add_argument("--clock", default="loop", help="loop (real time), scaled:60 or stepped")
    parser.add_argument("--verbose", action="store_true", help="write a line for each request to stderr")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the system, its value as JSON or text, such as retention=30; may be repeated",
    )
    return parser


def _help_of(name: str) -> str:
    """Return the options of a provider's simulator, one a line."""
    try:
        kind = _class(name)
    except (UsageError, ImportError) as error:
        return f"{name}: {error}\n"
    about = ChainMap(*(vars(each).get("option_help", {}) for each in kind.__mro__))
    lines = [f"options of {name} for --set, with their defaults:"]
    for option, default in _options_of(kind).items():
        text = f"{option}={json.dumps(default)}"
        lines += textwrap.wrap(
            f"{text:<24} {about.get(option, '')}", WIDTH, initial_indent="  ", subsequent_indent=" " * 27
        )
    return "\n".join([*lines, ""])


def _options_of(kind: type[Simulator]) -> dict[str, Any]:
    """Return the options that `--set` takes, with their defaults: the system's own first."""
    options: dict[str, Any] = {}
    for each in kind.__mro__:
        own = inspect.signature(vars(each)["__init__"]) if "__init__" in vars(each) else inspect.Signature()
        for parameter in own.parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in BY_FLAG:
                options.setdefault(parameter.name, parameter.default)
    return options


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


def _setting(text: str, known: Mapping[str, Any], provider: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--set takes NAME=VALUE, such as retention=30, not {text[:40]!r}")
    if name not in known:
        raise UsageError(f"--set: {provider} has no option {name[:40]!r}; there are: {', '.join(known)}")
    return name, _value(f"--set {name}", value, known[name])


def _value(option: str, text: str, default: object) -> Any:
    """Return a value of the kind of the default: a text, a number, true or false; else JSON or text."""
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if isinstance(default, str):
        return value if isinstance(value, str) else text  # such as version=9.15
    if isinstance(default, bool):
        good, wanted = isinstance(value, bool), "true or false"
    elif isinstance(default, int):
        good, wanted = isinstance(value, int) and value >= 0, "a whole number"
    elif isinstance(default, float):
        good, wanted = isinstance(value, int | float) and 0 <= value < math.inf, "a number, 0 or more"
    else:
        return value
    if not good or isinstance(value, bool) is not isinstance(default, bool):
        raise UsageError(f"{option} must be {wanted}, not {text[:40]!r}")
    return value


def _log_requests() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s at %(message)s"))
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


async def _serve(
    simulator: Simulator, host: str, port: int, on_start: Callable[[Simulator, str], None] | None
) -> None:
    async with simulator.serve(host=host, port=port) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        if on_start is not None:
            on_start(simulator, url)
        await anyio.sleep_forever()


if __name__ == "__main__":
    raise SystemExit(main())
