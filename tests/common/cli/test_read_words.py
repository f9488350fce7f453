"""Lines that are read without cyclopts mean what cyclopts would have made of them."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.cli.arguments.parameters import STDIN, CommandSignature
from common.cli.parsing.app import make_app
from common.cli.parsing.read_words import read_words
from common.cli.table import COMMANDS, Command

WORDS = (
    *("ontap://cluster1/1", "prod", STDIN, "json", "table", "csv", "5m", "0", "7", "-1", "1.5", "1e3", "nan"),
    *("", "-", "--", "a b", "x=y", "--help", "--no-debug", "-o", "-q", "-oq", "-d", "-ojson", "--output"),
    *("--output=json", "--output=", "--timeout=1s", "--quiet=true", "--limit", "--limit=3", "--inline"),
    *("--filter", "--filter=a=b", "--state", "--profile", "--target=t", "--any", "--wait", "--debug"),
    *("--no-such", "é", "\uff11", "007", "0x10", "bash", "Text", "--watch", "--check", "--port", "8080"),
)


def meaning(function: Callable[..., int], args: Sequence[Any], keywords: dict[str, Any]) -> dict[str, Any]:
    bound = inspect.signature(function).bind(*args, **keywords)
    bound.apply_defaults()
    return bound.arguments


def by_cyclopts(command: Command, words: list[str]) -> dict[str, Any]:
    called, bound, _ = make_app([command]).parse_args(
        [command.name, *words], print_error=False, exit_on_error=False
    )
    signature = CommandSignature(command.function())
    recorded: dict[str, Any] = {}
    assert called.__name__ == command.function().__name__
    arguments = inspect.signature(called).bind(*bound.args, **bound.kwargs).arguments
    vars(signature)["_function"] = lambda *args, **keywords: recorded.update(
        meaning(command.function(), args, keywords)
    )
    signature.call(arguments)
    return recorded


def by_us(command: Command, words: list[str]) -> dict[str, Any] | None:
    signature = CommandSignature(command.function())
    values = read_words(signature.parameters, words)
    if values is None:
        return None
    recorded: dict[str, Any] = {}
    vars(signature)["_function"] = lambda *args, **keywords: recorded.update(
        meaning(command.function(), args, keywords)
    )
    signature.call(values)
    return recorded


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
@given(words=st.lists(st.sampled_from(WORDS), max_size=6))
def test_a_line_that_is_read_here_means_the_same_to_cyclopts(command: Command, words: list[str]) -> None:
    ours = by_us(command, words)
    if ours is not None:
        assert ours == by_cyclopts(command, words)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_examples_are_read_without_cyclopts(command: Command) -> None:
    signature = CommandSignature(command.function())
    for example in command.examples:
        for line in re.split(r"[|>()]", example):
            _, _, rest = line.partition(f"jobsource {command.name}")
            words = [STDIN if word == "-" else word for word in shlex.split(rest)]
            if rest:
                assert read_words(signature.parameters, words) is not None, example


@pytest.mark.parametrize("words", [["--help"], ["--"], ["-oq"], ["-o", "xml"], ["--output"], ["--timeout"]])
def test_what_is_not_plain_is_left_to_cyclopts(words: list[str]) -> None:
    wait = next(command for command in COMMANDS if command.name == "wait")
    assert by_us(wait, ["ontap://c/1", *words]) is None
