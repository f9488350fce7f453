"""The command speaks of its options, not of Python's keywords, though most of its messages are the SDK's.

The messages are those in the source: every text and f-string of three words or more, with values filled in.
What cyclopts says is tested as the command prints it (`test_usage`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Set
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from socket import EAI_AGAIN, gaierror
from ssl import SSLError

import pytest
from h11 import RemoteProtocolError

import common
from common.cli.errors import CHOICES, KEYWORDS, WORDS, in_words_of_the_shell
from common.http.backend import HttpFailure
from common.http.no_response import transport_error
from common.model.errors import DecodeError
from common.model.refs import JobRef
from common.polling.wait_errors import timeout_error

ROOT = Path(common.__file__).parents[1]
PACKAGES = ("common", "ontapjobs", "bluexp_jobs", "cfjobs")
VALUE = "ontap"
"""What stands in a message for each value."""


def plain(text: str, limit: int | None = None, *, also: Set[str] = frozenset()) -> str:
    """Redact nothing."""
    del limit, also
    return text


TRANSPORT = {
    ConnectionRefusedError(111, "Connection refused"): "GET https://c:1: Connection refused",
    gaierror(EAI_AGAIN, "Temporary failure"): "GET https://c:1: Temporary failure",
    SSLError(1, "[SSL: BAD] handshake failure (_ssl.c:1006)"): "GET https://c:1: handshake failure",
    RemoteProtocolError("half a body"): "GET https://c:1: half a body",
    TimeoutError(): "GET https://c:1: TimeoutError",
}
COMPOSED = [
    str(timeout_error(JobRef("ontap", "", "1"), None, limit=datetime.now(UTC), cause=None)),
    str(DecodeError("not JSON (1 byte)")),
    *(str(transport_error(HttpFailure(error), "GET", "https://c:1", redact=plain)) for error in TRANSPORT),
]
"""Messages that are put together from parts."""

PYTHON = re.compile(rf"\b[a-z_]+=(?![a-z0-9…]|'{VALUE}')|\w\(\w*[=)]|(?:^|[:;,] |\bor )pass ")
"""A keyword (not ``key='what the user gave'``), a call, or the advice to pass an argument."""

UNREACHABLE = {
    "common/integrations/": "the command loads none of them",
    "common/testing/": "it is no test",
    "common/hosts/": "it shares no source, and runs a loop of its own",
    "common/simulator/simulator.py: not a fault": "only programs inject faults",
    "ontapjobs/simulator/app.py": "it cannot make tokens expire",
    "common/auth/argument.py": "its credentials are made from a profile or from variables",
    "common/auth/credentials.py: Bearer()": "the same",
    "common/auth/credentials.py: the function": "the same: functions are ours",
    "common/config/settings.py: auth=": "the same",
    "bluexp_jobs/auth.py: ServiceAccount()": "each way to sign in sets one of the two",
    "cfjobs/auth/assertion.py: UAAAssertion()": "it gives text, or a function of ours",
    "cfjobs/auth/assertion.py: the function": "the same",
    "common/config/connect.py: settings=": "it gives no settings=",
    "common/config/fleet.py": "only the demo has a fleet",
    "common/sources/fleet.py": "the same; and jobs are a list",
    "common/sources/sets/": "jobs are a list; only the demo has a checkpoint",
    "cfjobs/last_operation.py": "it gives no resolve_gone=",
    "common/model/job.py": "it reads no typed records",
    "common/model/serialize.py": "it reads no stored jobs",
    "common/options.py: a PollPolicy": "a policy is made from a profile",
    "common/options.py: an asynchronous": "it gives no transport",
    "common/options.py: deadline= has": "it checks deadlines itself",
    "common/options.py: unknown action": "its actions are commands",
    "common/sources/base.py: policy=": "a policy is made from a profile",
    "common/response/http_response.py: adopt()": "it adopts no responses",
    "ontapjobs/actions/bulk.py": "it has no command for all jobs",
    "ontapjobs/lists/query.py: ontap= is a time": "values of filters are text",
}
"""Where messages cannot reach the command, or how they begin there, and why."""


def filled(text: ast.JoinedStr) -> str:
    parts = [
        str(part.value)
        if isinstance(part, ast.Constant)
        else repr(VALUE)
        if isinstance(part, ast.FormattedValue) and part.conversion == ord("r")
        else VALUE
        for part in text.values
    ]
    return "".join(parts)


def texts_in(tree: ast.AST) -> Iterator[str]:
    """Each text of a module but its docstrings."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.JoinedStr):
            yield filled(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            yield from texts_in(node)


@cache
def messages() -> list[tuple[str, str]]:
    """Each message of the SDK, and the file that it is in."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return [
        (file.relative_to(ROOT).as_posix(), text)
        for file in files
        if file != ROOT / "common/cli/errors.py"
        for text in texts_in(ast.parse(file.read_text(encoding="utf-8")))
        if text.count(" ") >= 2
    ]


def has_message(pattern: str | re.Pattern[str]) -> bool:
    return any(re.search(pattern, text) for text in (*COMPOSED, *(text for _, text in messages())))


@pytest.mark.parametrize("pattern", WORDS)
def test_each_pattern_matches_a_message_of_the_sdk(pattern: str) -> None:
    assert has_message(pattern)


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_each_keyword_is_in_a_message_of_the_sdk(keyword: str) -> None:
    assert has_message(rf"\b{keyword}=(?=[ :,]|$)")


@pytest.mark.parametrize("choices", CHOICES, ids=lambda choices: choices.pattern[:24])
def test_each_list_of_choices_is_in_a_message_of_the_sdk(choices: re.Pattern[str]) -> None:
    assert has_message(choices)


@pytest.mark.parametrize(("message", "words"), list(zip(COMPOSED[2:], TRANSPORT.values(), strict=True)))
def test_a_connection_that_fails_is_told_without_pythons_words(message: str, words: str) -> None:
    assert in_words_of_the_shell(message) == words


def test_what_can_reach_the_command_is_said_in_its_words() -> None:
    unmet = dict(UNREACHABLE)
    wrong = []
    for file, text in messages():
        if PYTHON.search(in_words_of_the_shell(text)):
            entries = [entry for entry in UNREACHABLE if f"{file}: {text}".startswith(entry)]
            if not entries:
                wrong.append(f"{file}: {text}")
            for entry in entries:
                unmet.pop(entry, None)
    assert wrong == []
    assert list(unmet) == []  # no entry stays here without need
