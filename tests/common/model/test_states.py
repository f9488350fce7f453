"""The states of a job, as they are written, and the words that are read as one."""

from __future__ import annotations

import pytest

from common.model.states import TERMINAL, Action, Capability, JobState, fold_word, read_state

TABLE = {"in_progress": JobState.RUNNING, "done": JobState.SUCCEEDED}


def test_states_actions_and_capabilities_are_written_as_their_names_in_lower_case() -> None:
    for kind in (JobState, Action, Capability):
        assert {each.value: each.name for each in kind} == {each.name.lower(): each.name for each in kind}


def test_four_states_are_terminal() -> None:
    assert {state for state in JobState if state.terminal} == TERMINAL
    assert {state.value for state in TERMINAL} == {"succeeded", "partial", "failed", "cancelled"}


@pytest.mark.parametrize("word", ["in_progress", "IN_PROGRESS", "In Progress", "in-progress"])
def test_letter_case_and_separators_do_not_matter(word: str) -> None:
    assert fold_word(word) == "in_progress"
    assert read_state(word, TABLE, None) is JobState.RUNNING


@pytest.mark.parametrize("word", ["inprogress", "in__progress", "", "succeeded", None])
def test_a_word_that_is_not_in_the_table_is_unknown(word: str | None) -> None:
    assert read_state(word, TABLE, None) is JobState.UNKNOWN


def test_words_of_ones_own_go_before_the_table() -> None:
    own = {"done": JobState.PARTIAL, "odd": JobState.PAUSED}
    assert read_state("Done", TABLE, own) is JobState.PARTIAL
    assert read_state("ODD", TABLE, own) is JobState.PAUSED
    assert read_state("in progress", TABLE, own) is JobState.RUNNING
    assert read_state("else", TABLE, own) is JobState.UNKNOWN
