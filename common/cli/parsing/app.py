"""The commands as cyclopts knows them: for ``--help``, completion, and lines that are not plain or wrong."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Iterable
from typing import Annotated, Any, get_origin

import cyclopts
from cyclopts import App, Group
from rich.console import Console

from common.cli.arguments.parameters import BoundParameter, CommandSignature
from common.cli.parsing.help_formatter import UNWRAPPED, HelpFormatter
from common.cli.rich_console import PipeConsole
from common.cli.table import COMMANDS, Command

GROUPS = ("Options", "Which system", "Output")
"""The groups of options in the order of a help."""


def make_app(commands: Iterable[Command] = COMMANDS, *, console: Console | None = None) -> App:
    """Return the application with these commands, which are functions that return an exit status."""
    app = App(
        name="jobsource",
        help="Watch the long-running jobs of ONTAP, BlueXP backup and recovery, and Cloud Foundry.",
        help_format="plaintext",
        help_formatter=HelpFormatter(),
        console=console or PipeConsole(width=UNWRAPPED, highlight=False),
        group_parameters=_group("Options"),
        version_flags=[],
        result_action="return_value",
    )
    for command in commands:
        app.command(
            _for_cyclopts(command.function()),
            name=command.name,
            usage=f"jobsource {command.name} {command.usage}",
            help_epilogue="\n".join(["Examples:", *(f"  {line}" for line in command.examples)]),
        )
    return app


def help_of(command: Command) -> str:
    """Return the text of ``jobsource COMMAND --help``."""
    text = io.StringIO()
    app = make_app([command], console=Console(file=text, width=UNWRAPPED, highlight=False))
    app.help_print([command.name])
    return text.getvalue()


def _for_cyclopts(function: Callable[..., int]) -> Callable[..., int]:
    """Return a function whose annotations are those of cyclopts, without groups of options."""
    command = CommandSignature(function)
    parameters = [
        inspect.Parameter(each.key, each.kind, default=each.default, annotation=_annotation(each))
        for each in command.parameters
    ]
    signature = inspect.Signature(parameters)

    def call(*args: Any, **keywords: Any) -> int:
        return command.call(signature.bind(*args, **keywords).arguments)

    call.__doc__ = function.__doc__
    call.__name__ = function.__name__
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    vars(call)["__signature__"] = signature
    return call


def _annotation(parameter: BoundParameter) -> Any:
    kind = parameter.type
    plain = kind is bool or get_origin(kind) is tuple
    options: dict[str, Any] = {"negative": (), "show_default": False} if plain else {}
    return Annotated[
        kind if parameter.default is not None else kind | None,
        cyclopts.Parameter(
            name=parameter.names,
            help=parameter.declared.help,
            group=_group(parameter.declared.group),
            metavar=parameter.declared.value,
            **options,
        ),
    ]


def _group(name: str) -> Group:
    return Group(name, sort_key=10 * GROUPS.index(name))
