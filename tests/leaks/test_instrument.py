"""The look for secrets finds those that are let out by hand: wherever that is, and in each encoding."""

from __future__ import annotations

import asyncio
import gc
import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from common import Bearer, DecodeError, JobsError
from common.sources.reader import HttpReader
from ontapjobs import OntapJobs
from tests.leaks.encodings import ENCODINGS, Finder
from tests.leaks.recorder import Recorder, recording
from tests.recording import Recorder as Answering
from tests.recording import reply

SECRET = 'l3t-out&by<hand>"+/é'
TOKEN = "t0ken-let-out"
OF_A_MODULE = {"__name__": "common.sources.leaky", "JobsError": JobsError, "TOKEN": TOKEN}
"""The globals of a function whose frames count as ours."""


def module(code: str) -> dict[str, Any]:
    """A module of ours with this code."""
    found = dict(OF_A_MODULE)
    exec(compile(code, "leaky.py", "exec"), found)  # noqa: S102
    return found


def raised_below(**variables: object) -> JobsError:
    """An exception that comes out of a frame of ours with these variables."""
    leaky = module("def leak(**variables):\n    raise JobsError('no')")
    try:
        leaky["leak"](**variables)
    except JobsError as error:
        return error
    raise AssertionError


def found(recorder: Recorder) -> set[str]:
    """Where the secrets are that were found."""
    return {where.partition(", line")[0] for where, _ in recorder.leaks()}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("around", ["%s", "x%s", "..%s..", "Basic %s, or not"])
def test_a_secret_is_found_in_each_encoding(encoding: str, around: str) -> None:
    text = around % ENCODINGS[encoding](SECRET)
    assert [leak.secret for leak in Finder([SECRET]).leaks(text)]


@pytest.mark.parametrize("before", ["", "a", "ab", "abc:"])
def test_a_secret_is_found_in_a_longer_text_in_base64(before: str) -> None:
    assert list(Finder([SECRET]).leaks(ENCODINGS["base64"](f"{before}{SECRET} and more")))


def test_other_texts_and_short_secrets_are_left_alone() -> None:
    assert not list(Finder([SECRET]).leaks("l3t-out by hand, cut bm90IGhlcmU="))
    assert not Finder(["secret"])


LEAKS: dict[str, Callable[[Recorder], object]] = {
    "str(JobsError)": lambda _: JobsError(f"refused: {SECRET}"),
    "variables in a frame of common.sources.leaky.leak": lambda _: raised_below(
        headers=[{"Authorization": f"Basic {ENCODINGS['Basic'](SECRET)}"}]
    ),
    "log of common.leaky": lambda _: logging.getLogger("common.leaky").warning("with %s", SECRET.upper()),
    "a warning": lambda _: warnings.warn(f"in the clear: {SECRET}", UserWarning, stacklevel=1),
    "repr of a source": lambda recorder: recorder.show("repr of a source", [Leaky()]),
}


class Leaky:
    def __repr__(self) -> str:
        return f"Leaky({SECRET!r})"


@pytest.mark.parametrize("where", LEAKS)
@pytest.mark.filterwarnings("ignore:in the clear")
def test_what_is_let_out_by_hand_is_found(where: str) -> None:
    with recording() as recorder:
        recorder.add_secrets(SECRET)
        kept = LEAKS[where](recorder)
        assert where in found(recorder)
        del kept


@pytest.mark.slow
def test_an_exception_that_nobody_has_any_more_was_examined() -> None:
    with recording() as recorder:
        recorder.add_secrets(SECRET)
        raised_below(content=SECRET.encode())
        gc.collect()
        assert found(recorder)


def test_chained_exceptions_and_groups_are_examined() -> None:
    with recording() as recorder:
        recorder.add_secrets(SECRET)
        below = raised_below(secret=SECRET)
        error = ValueError("mine")
        error.__context__ = ExceptionGroup("several", [below])
        recorder._errors.clear()
        with pytest.raises(ValueError, match="mine"):
            raise error
        assert found(recorder)


@pytest.mark.parametrize("state", [{"kept": SECRET}, {"kept": [b"x", (SECRET.encode(),)]}])
def test_what_an_exception_holds_is_examined(state: dict[str, object]) -> None:
    with recording() as recorder:
        recorder.add_secrets(SECRET)
        error = JobsError("no")
        error.__dict__.update(state)
        assert {"vars(JobsError)", "pickle of JobsError"} <= found(recorder)


# --- with a source


def found_in_get() -> set[str]:
    """Where the token of a source is found after a ``get`` that fails."""

    async def main() -> None:
        async with OntapJobs("cluster1", auth=Bearer(TOKEN), transport=Answering(reply({}, 403))) as source:
            await source.get("j1")

    with recording() as recorder:
        with pytest.raises(JobsError):
            asyncio.run(main())
        return found(recorder)


def test_a_source_as_it_is_lets_nothing_out() -> None:
    assert found_in_get() == set()


def test_a_header_in_a_variable_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    leaky = module("async def read(*_):\n    headers = ['Bearer ' + TOKEN]\n    raise JobsError('no')")
    monkeypatch.setattr(HttpReader, "read", leaky["read"])
    assert found_in_get() == {"headers in a frame of common.sources.leaky.read"}


def test_a_token_in_a_log_line_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def failure(*_: object) -> JobsError:
        logging.getLogger("jobsource").error("refused: %s", TOKEN)
        return DecodeError("no")

    monkeypatch.setattr(HttpReader, "failure", failure)
    assert found_in_get() == {"log of jobsource"}


def test_a_token_in_a_repr_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bearer, "__repr__", lambda auth: f"Bearer({auth._token!r})")
    assert found_in_get() == {"repr of a sign-in"}


# --- as a plugin

TESTS = f"""
import logging
from common import Bearer
from ontapjobs import OntapJobs

def test_leaky():
    OntapJobs("cluster1", auth=Bearer({TOKEN!r}))
    logging.getLogger("leaky").error({TOKEN!r})

def test_good():
    OntapJobs("cluster1", auth=Bearer({TOKEN!r}))
    logging.getLogger("good").error("nothing")
"""


@pytest.mark.slow
def test_the_plugin_fails_the_test_that_shows_a_secret(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_inprocess("-p", "tests.leaks.plugin", "-p", "no:asyncio")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_leaky*", f"plain '{TOKEN}', log of leaky: *"])
    result.stdout.fnmatch_lines(["looked for secrets in 2 log records"])
