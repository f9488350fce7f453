"""The keywords of sources and waits: what is taken, what it becomes, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from common.model.errors import UsageError
from common.model.states import JobState
from common.options import (
    Options,
    SourceOptions,
    read_aliases,
    read_options,
    read_states,
    read_timeout,
    read_until,
)
from common.polling.policy import PollPolicy

ENDPOINT = "https://cluster1"


def test_defaults_are_thirty_seconds_and_eight_requests() -> None:
    options = read_options({}, endpoint=ENDPOINT)
    assert (options.request_timeout, options.concurrency, options.verify) == (30.0, 8, True)
    assert read_options({"request_timeout": None, "policy": None}, endpoint=ENDPOINT) == options


def test_every_keyword_is_documented_and_kept() -> None:
    assert set(SourceOptions.__annotations__) == {field.name for field in attrs.fields(Options)}
    doc = SourceOptions.__doc__ or ""
    assert [name for name in SourceOptions.__annotations__ if f"``{name}``" not in doc] == []


def test_an_unknown_keyword_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown keyword 'verfy': a source takes aliases, .*, verify$"):
        read_options({"verfy": False}, endpoint=ENDPOINT)


@pytest.mark.parametrize(
    "timeout", [0, -1, math.nan, math.inf, "30", True, [30], 10j, 10**400], ids=lambda value: repr(value)[:20]
)
def test_request_timeout_is_seconds_above_zero(timeout: Any) -> None:
    with pytest.raises(UsageError, match="request_timeout="):
        read_options({"request_timeout": timeout}, endpoint=ENDPOINT)


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, "8", True, math.inf])
def test_concurrency_is_a_whole_number_of_requests(concurrency: Any) -> None:
    with pytest.raises(UsageError, match="concurrency="):
        read_options({"concurrency": concurrency}, endpoint=ENDPOINT)


@pytest.mark.parametrize("agent", ["a\r\nX-Evil: 1", "a\nb", "tab\there", "ünïcode", "\x7f", 7, b"raw"])
def test_user_agent_is_one_line_of_printable_ascii(agent: Any) -> None:
    with pytest.raises(UsageError, match="user_agent="):
        read_options({"user_agent": agent}, endpoint=ENDPOINT)


@pytest.mark.parametrize("policy", [{}, 30, "fast", PollPolicy])
def test_policy_is_a_poll_policy(policy: Any) -> None:
    with pytest.raises(UsageError, match="policy="):
        read_options({"policy": policy}, endpoint=ENDPOINT)


@pytest.mark.parametrize(
    "proxy", [7, "proxy.example.com", "ftp://proxy.example.com", "", "http://", b"http://proxy", object()]
)
def test_proxy_is_the_url_of_one(proxy: Any) -> None:
    with pytest.raises(UsageError, match="proxy="):
        read_options({"proxy": proxy}, endpoint=ENDPOINT)


def test_a_proxy_that_is_refused_is_not_quoted() -> None:
    with pytest.raises(UsageError) as caught:
        read_options({"proxy": "ftp://user:hunter2@proxy"}, endpoint=ENDPOINT)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("word", "state"), [("Partially_Done", "partial"), ("zombie", "unknown")])
def test_words_for_states_are_folded(word: str, state: str) -> None:
    assert read_states({word: JobState(state)}) == {word.lower(): JobState(state)}


@pytest.mark.parametrize(
    "states", [[], "word", 7, {"word": "no state"}, {7: JobState.FAILED}, {"word": None}]
)
def test_states_map_words_to_states(states: Any) -> None:
    with pytest.raises(UsageError, match="states="):
        read_states(states)


def test_aliases_become_origins() -> None:
    assert read_aliases(["Cluster1.Example.com", "https://10.0.0.1:443/"]) == {
        "https://cluster1.example.com",
        "https://10.0.0.1",
    }


@pytest.mark.parametrize("aliases", ["cluster1", 7, [7], [""], ["https://h/path?q"], [["h"]], b"h"])
def test_aliases_are_a_collection_of_endpoints(aliases: Any) -> None:
    with pytest.raises(UsageError):
        read_aliases(aliases)


@pytest.mark.parametrize(
    ("given", "taken"),
    [(None, None), (0, 0.0), (1, 1.0), (2.5, 2.5), (math.inf, None), (1e300, 1e300), (10**400, None)],
    ids=lambda value: repr(value)[:20],
)
def test_a_timeout_is_seconds_or_none(given: Any, taken: float | None) -> None:
    assert read_timeout(given) == taken


@pytest.mark.parametrize(
    "timeout",
    [-1, -0.001, -math.inf, math.nan, "30", True, [1], 10j, -(10**400)],
    ids=lambda value: repr(value)[:20],
)
def test_a_timeout_below_zero_or_of_no_number_is_refused(timeout: Any) -> None:
    with pytest.raises(UsageError, match="timeout="):
        read_timeout(timeout)


@pytest.mark.parametrize(
    "until", [JobState.PAUSED, "paused", [JobState.PAUSED], ("paused",), {JobState.PAUSED: 1}]
)
def test_until_is_a_set_of_states_however_it_is_written(until: Any) -> None:
    assert read_until(until) == frozenset({JobState.PAUSED})


@pytest.mark.parametrize("until", [[], (), set(), "", "done", ["paused", "done"], 7, [7], [None]])
def test_until_without_a_state_or_with_another_word_is_refused(until: Any) -> None:
    with pytest.raises(UsageError, match="until="):
        read_until(until)


@pytest.mark.parametrize(
    "fields",
    [
        {"initial": 0},
        {"initial": -1},
        {"initial": math.nan},
        {"maximum": math.inf},
        {"initial": "1"},
        {"initial": True},
        {"initial": 10, "maximum": 5},
        {"fraction": -0.1},
        {"start_grace": -1},
        {"outage_limit": math.nan},
        {"unknown_limit": None},
        {"maximum": 10**400},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"PollPolicy\."):
        PollPolicy(**fields)
