"""Bytes that no JSON text may have: what is read in their place, and what stays unreadable."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.errors import DecodeError
from common.response.decoding import read_json, readable_id, repair_warnings
from common.response.large_json import LARGE
from common.response.repair import Repaired, read_repaired, without_halves
from tests.jsonvalues import json_values

BAD = st.sampled_from(
    [b"\xe9", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\n", b"\t", b"\x00", b"\x1b"]
)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"p\xe9re", "p\ufffdre"),
        (b"\xe9", "\ufffd"),
        (b"line1\nline2\r\n", "line1\ufffdline2\ufffd\ufffd"),
        (b"\x00\x1b[0m", "\ufffd\ufffd[0m"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        (b"\xc3\xa9 \xf0\x9f\x98\x80 \xf0\x9f\x98", "é \U0001f600 \ufffd"),
        (rb"\u00e9 \n \" \\" + b"\xe9", 'é \n " \\\ufffd'),
        (b"\xef\xbf\xbd\xe9\x7f", "\ufffd\ufffd\x7f"),
    ],
)
def test_each_byte_that_a_text_may_not_have_is_replaced(sent: bytes, read: str) -> None:
    assert read_json(b'{"state": "running", "message": "' + sent + b'"}') == {
        "state": "running",
        "message": read,
    }


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (rb"\ud800", "\ufffd"),
        (rb"a\uDFFFb", "a\ufffdb"),
        (rb"\ude00\ud83d", "\ufffd\ufffd"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"\\ud800", r"\ud800"),
        (rb"\ud800" + b"\xe9\n", "\ufffd\ufffd\ufffd"),
    ],
)
@pytest.mark.parametrize("padding", [0, LARGE], ids=["", "large"])
@pytest.mark.parametrize("without_msgspec", [False, True], ids=["", "without msgspec"])
def test_half_of_a_surrogate_pair_is_replaced(
    sent: bytes, read: str, padding: int, without_msgspec: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if without_msgspec:
        monkeypatch.setattr("common.response.decoding.fast_loads", lambda: None)
    body = b'{"state": "running", "message": "%s", "list": ["%s", {"a": 1}]}' % (sent, sent)
    root = read_json(body + b" " * padding)
    assert root == {"state": "running", "message": read, "list": [read, {"a": 1}]}
    assert bool(repair_warnings(root)) is ("\ufffd" in read)
    assert not repair_warnings(root["list"][1])
    read.encode()


def test_an_id_keeps_half_of_a_surrogate_pair_for_its_path() -> None:
    root = read_json(rb'{"uuid": "a\ud800", "job": {"id": "\ud800", "name": "\ud800"}, "message": "x"}')
    assert root == {"uuid": "a\ud800", "job": {"id": "\ud800", "name": "\ufffd"}, "message": "x"}
    assert readable_id(root, "uuid") == "a\ud800"


@pytest.mark.parametrize("levels", [5000, 100_000])
def test_half_of_a_surrogate_pair_in_what_is_nested_too_deep_is_no_crash(levels: int) -> None:
    with pytest.raises(DecodeError, match="nested too deep"):
        read_json(b'{"m": "\\ud800", "x": ' + b"[" * levels + b"]" * levels + b"}")


def test_text_with_control_characters_is_read_too() -> None:
    assert read_json('{"message": "a\nb", "name": "\ud800"}') == {"message": "a\ufffdb", "name": "\ufffd" * 3}


@pytest.mark.parametrize(
    "sent",
    [
        b'{"na\xe9me": 1}',
        b'{"na\nme" : 1}',
        b'{"a": "\xe9", "\xe9": {"b": 1}}',
        b'{"a": 1}\xff',
        b'{"a": \xff}',
        b'{"a": "\xe9"',
        b'{"a": "\xe9}',
        b'{"a": "\\\xe9"}',
        b'["\xe9"]',
        b'"\xe9"',
        b"<html>\xe9</html>",
        b'{"a": "\xe9", "b": ' + b"[" * 100_000,
    ],
)
def test_nothing_else_is_forgiven(sent: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        read_json(sent)
    assert caught.value.transient
    assert caught.value.__context__ is None  # which would hold the whole body


def test_the_objects_around_a_replaced_character_are_marked_and_no_others() -> None:
    root = read_json(b'{"records": [{"a": "\xe9"}, {"a": "e"}, {"b": [["\xe9"]]}], "x": {"y": "e"}}')
    objects: list[Any] = [root, *root["records"], root["x"]]
    assert [bool(repair_warnings(each)) for each in objects] == [
        True,
        True,
        False,
        True,
        False,
    ]
    assert repair_warnings(read_json(b'{"a": "\xef\xbf\xbd"}')) == ()


def test_an_id_with_a_replaced_character_is_none() -> None:
    damaged = read_json(b'{"uuid": "a\xe9", "message": "\xe9"}')
    sound = read_json(b'{"uuid": "a", "message": "\xe9"}')
    odd = read_json('{"uuid": "a\ufffd"}')
    read = [readable_id(each, "uuid") for each in (damaged, sound, odd)]
    assert read == [None, "a", "a\ufffd"]


@pytest.mark.slow
@pytest.mark.parametrize(("texts", "is_read"), [(100_000, True), (100_001, False)])
def test_very_many_such_texts_are_read_up_to_a_limit(texts: int, is_read: bool) -> None:
    body = b'{"a": [' + b",".join([b'"\xe9"'] * texts) + b"]}"
    assert (read_repaired(body) is not None) is is_read


@pytest.mark.slow
@given(json_values(), BAD)
def test_all_but_the_damaged_text_reads_as_before(value: object, bad: bytes) -> None:
    whole = json.dumps({"value": value, "message": "@@"}, ensure_ascii=True)
    damaged = whole.encode().replace(b'"@@"', b'"' + bad + b'"')
    read = read_repaired(damaged)
    assert isinstance(read, Repaired)
    expected = without_halves(json.loads(whole)["value"])
    assert json.dumps(read["value"]) == json.dumps(expected)
    assert set(read["message"]) == {"\ufffd"}


@pytest.mark.parametrize("name", ["guid", "id", "job-id", "jobId", "job_id", "uuid"])
def test_an_id_keeps_half_of_a_surrogate_pair_and_other_members_do_not(name: str) -> None:
    found = read_json(f'{{"{name}": "a\\ud800", "message": "b\\ud800"}}')
    assert found == {name: "a\ud800", "message": "b\ufffd"}


def test_half_of_a_pair_that_text_itself_has_is_replaced_too() -> None:
    assert read_json('{"message": "b\ud800é"}') == {"message": "b\ufffdé"}
