"""Read a command line that is right, without cyclopts: its import takes longer than a command may.

It knows what most lines are made of: positionals, ``--option value``, ``--option=value``, ``-o value`` and
``--flag``. Whatever else it meets, a mistake or a help that is asked for, it leaves to cyclopts, which reads
the same declarations; the tests compare the two.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin

from common.cli.arguments.parameters import REQUIRED, BoundParameter

_INTEGER = re.compile(r"[0-9]{1,18}")
_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")


class _NotPlain(Exception):
    """A word that is not for this parser."""


def read_words(parameters: Sequence[BoundParameter], words: Sequence[str]) -> dict[str, Any] | None:
    """Return the values of the words by parameter (its key), or None where cyclopts has to read them."""
    options = {
        name: parameter
        for parameter in parameters
        for name in parameter.names
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    values: dict[str, Any] = {}
    positionals: list[str] = []
    rest = iter(words)
    try:
        for word in rest:
            if not word.startswith("-"):
                positionals.append(word)
                continue
            name, equals, value = word.partition("=")
            option = options.get(name)
            if option is None or (equals and not name.startswith("--")):
                return None
            _take(values, option, value if equals else None, rest)
        _take_positionals(values, parameters, positionals)
    except _NotPlain:
        return None
    return values


def _take(values: dict[str, Any], option: BoundParameter, text: str | None, rest: Iterator[str]) -> None:
    repeated = get_origin(option.type) is tuple
    if option.key in values and not repeated:
        raise _NotPlain
    if option.type is bool:
        if text is not None:
            raise _NotPlain
        values[option.key] = True
        return
    if text is None:
        text = next(rest, "-")
    if not text or text.startswith("-"):
        raise _NotPlain
    if repeated:
        values[option.key] = (*values.get(option.key, ()), text)
    else:
        values[option.key] = _converted(option.type, text)


def _converted(kind: Any, text: str) -> Any:
    if kind is str or text in get_args(kind):
        return text
    if kind is int and _INTEGER.fullmatch(text):
        return int(text)
    if kind is float and _NUMBER.fullmatch(text):
        return float(text)
    raise _NotPlain


def _take_positionals(
    values: dict[str, Any], parameters: Sequence[BoundParameter], positionals: list[str]
) -> None:
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            if positionals:
                values[parameter.key] = _converted(parameter.type, positionals.pop(0))
            elif parameter.default is REQUIRED:
                raise _NotPlain
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            values[parameter.key] = tuple(positionals)
            positionals.clear()
    if positionals:
        raise _NotPlain
