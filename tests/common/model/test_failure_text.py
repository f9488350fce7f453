"""What errors say of how a job was last seen, however much the server wrote."""

from __future__ import annotations

import pytest

from common.model.failure_text import MAX_MESSAGE, MAX_WORD, last_words
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import JobState
from common.polling import wait_errors

REF = JobRef("ontap", "https://h", "x")


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        (None, "RUNNING"),
        ("", "RUNNING ''"),
        ("running", "RUNNING"),
        ("restart", "RUNNING 'restart'"),
        ("w" * MAX_WORD, f"RUNNING '{'w' * MAX_WORD}'"),
        ("w" * (MAX_WORD + 1), f"RUNNING '{'w' * (MAX_WORD - 1)}…'"),
        ("w" * 1_000_000, f"RUNNING '{'w' * (MAX_WORD - 1)}…'"),
    ],
    ids=["none", "empty", "the same", "another", "long", "too long", "far too long"],
)
def test_the_servers_word_is_shown_up_to_a_limit(word: str | None, shown: str) -> None:
    assert last_words(Job(REF, JobState.RUNNING, native_state=word)) == shown


@pytest.mark.parametrize(("length", "rest"), [(MAX_MESSAGE, ""), (MAX_MESSAGE + 1, "…"), (1_000_000, "…")])
def test_the_message_is_shown_up_to_a_limit_and_the_error_has_all_of_it(length: int, rest: str) -> None:
    job = Job(REF, JobState.RUNNING, message="m" * length)
    shown = "m" * (MAX_MESSAGE - len(rest)) + rest
    assert last_words(job) == f"RUNNING ({shown})"
    for error in (
        wait_errors.timeout_error(REF, job, limit=5.0, cause=None),
        wait_errors.source_closed(REF, job),
    ):
        assert f"({shown})" in str(error)
        assert error.job is job


def test_an_unknown_state_is_quoted_up_to_a_limit() -> None:
    job = Job(REF, JobState.UNKNOWN, native_state="w" * 1_000_000)
    error = wait_errors.unknown_too_long(REF, job, 300.0)
    assert f"the unknown state '{'w' * (MAX_WORD - 1)}…' for 300 s" in str(error)
    assert error.job is job
