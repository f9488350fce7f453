"""The parameters of a command, as its function declares them: each positional, option and group of options.

A command's function annotates them: ``limit: Annotated[int | None, Parameter("At most so many.")] = None``.
Its help, the completion of shells and both parsers, `read_words` and cyclopts, read the same declarations.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin

import attrs

STDIN = "@-"
"""How ``-`` is passed on: a word that begins with a hyphen would be taken for an option."""
REQUIRED = inspect.Parameter.empty
"""The default of a parameter that needs a value."""


@attrs.frozen(eq=False, repr=False)
class Parameter:
    """What a command line calls a parameter, and what its help says of it.

    Without ``names`` an option is called as the parameter of the function is, with hyphens.
    """

    help: str = ""
    names: tuple[str, ...] = ()
    group: str = "Options"
    value: str | None = None
    """What the help calls its value, such as DURATION; None for its type."""


@attrs.frozen(eq=False, repr=False)
class BoundParameter:
    """A parameter of a command's function, or a field of a group of options that is one."""

    name: str
    kind: Any
    """As `inspect.Parameter` has it."""
    type: Any
    """str, bool, int, float, a Literal of words, or a tuple of str, for an option that may be repeated."""
    default: Any
    """`REQUIRED` where a value is needed."""
    declared: Parameter
    group: str = ""
    """The parameter of the function whose field it is, "" for a parameter of its own."""

    @property
    def key(self) -> str:
        """A name unique in its command, since a field of a group may be called as a parameter is."""
        return f"{self.group}_{self.name}" if self.group else self.name

    @property
    def names(self) -> tuple[str, ...]:
        """What the command line calls it."""
        return self.declared.names or (f"--{self.name.replace('_', '-')}",)


class CommandSignature:
    """The parameters of a command's function, and how to call it with their values."""

    def __init__(self, function: Callable[..., int]) -> None:
        self._function = function
        self._groups: dict[str, type[Any]] = {}
        self.parameters: tuple[BoundParameter, ...] = tuple(self._bind())

    def call(self, values: Mapping[str, Any]) -> int:
        """Call the command with these values by key; those that are left out have their defaults."""
        args: list[Any] = []
        keywords: dict[str, Any] = {}
        groups: dict[str, dict[str, Any]] = {name: {} for name in self._groups}
        for parameter in self.parameters:
            if parameter.group:
                if parameter.key in values:
                    groups[parameter.group][parameter.name] = values[parameter.key]
            elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                args += values.get(parameter.key, ())
            elif parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
                args.append(values.get(parameter.key, parameter.default))
            elif parameter.key in values:
                keywords[parameter.name] = values[parameter.key]
        keywords |= {name: self._groups[name](**fields) for name, fields in groups.items()}
        return self._function(*args, **keywords)

    def _bind(self) -> list[BoundParameter]:
        hints = typing.get_type_hints(self._function, include_extras=True)
        found: list[BoundParameter] = []
        for name, parameter in inspect.signature(self._function).parameters.items():
            hint = hints[name]
            if attrs.has(hint):
                self._groups[name] = hint
                fields = typing.get_type_hints(hint, include_extras=True)
                found += [
                    _bound(
                        field.name, inspect.Parameter.KEYWORD_ONLY, fields[field.name], field.default, name
                    )
                    for field in attrs.fields(hint)
                ]
            else:
                found.append(_bound(name, parameter.kind, hint, parameter.default))
        return found


def _bound(name: str, kind: Any, hint: Any, default: Any, group: str = "") -> BoundParameter:
    declared = Parameter()
    if get_origin(hint) is Annotated:
        hint, declared = get_args(hint)
    if get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = (each for each in get_args(hint) if each is not type(None))
    return BoundParameter(name, kind, hint, default, declared, group)
