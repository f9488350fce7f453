"""Lenient reading of JSON: what is accepted for what, and that no unread value is lost."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from common.model.errors import DecodeError
from common.response.decoding import Fields, finite, integer, kind, moment, objects, root_object, text, word
from common.response.large_json import LARGE
from tests.jsonvalues import SCALARS, json_values

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("a", "a"),
        ("", ""),
        (5, "5"),
        (-1, "-1"),
        (1.5, "1.5"),
        (True, None),
        (None, None),
        ([], None),
        ({}, None),
    ],
)
def test_text_is_text_or_a_number(value: object, read: str | None) -> None:
    assert text(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (5, 5),
        (-1, -1),
        (10**30, 10**30),
        ("5", 5),
        ("-1", -1),
        (5.0, 5),
        (5.5, None),
        (NAN, None),
        (math.inf, None),
        ("", None),
        ("five", None),
        ("5.0", None),
        ("9" * 5000, None),
        (True, None),
        (None, None),
        ([5], None),
    ],
)
def test_integer_is_a_whole_number_or_its_text(value: object, read: int | None) -> None:
    assert integer(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (5, 5.0),
        (1.5, 1.5),
        ("1.5", 1.5),
        (0, 0.0),
        (True, None),
        (NAN, None),
        ("nan", None),
        ("inf", None),
        (math.inf, None),
        (10**400, None),
        ("x", None),
        (None, None),
        ([1], None),
    ],
)
def test_finite_is_any_number_with_an_end(value: object, read: float | None) -> None:
    assert finite(value) == read


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-01T08:00:00Z",
        "2026-03-01T08:00:00.000Z",
        "2026-03-01T10:00:00+02:00",
        "2026-03-01T10:00:00+0200",
        "2026-03-01T03:00:00-05:00",
        "2026-03-01T08:00:00",
    ],
)
def test_a_moment_is_iso_8601_in_utc(value: str) -> None:
    result = moment(value)
    assert result == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert result is not None
    assert result.tzinfo is UTC


@pytest.mark.parametrize(
    "value", ["", "noon", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+10:00", 5, None, [], "\ud800"]
)
def test_what_is_no_moment_is_none(value: object) -> None:
    assert moment(value) is None


@given(SCALARS)
def test_no_scalar_breaks_a_reader(value: object) -> None:
    for read in (text, integer, finite, moment, objects, kind):
        read(value)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (None, []),
        ({}, [{}]),
        ({"a": 1}, [{"a": 1}]),
        ([], []),
        ([{}, 5, {"a": 1}], [{}, {"a": 1}]),
        ("x", []),
        (5, []),
    ],
)
def test_an_object_stands_for_an_array_of_itself(value: object, read: list[Any]) -> None:
    assert objects(value) == read


@pytest.mark.parametrize(("value", "read"), [("done", "done"), ("", ""), (None, None)])
def test_a_word_is_text_or_nothing(value: object, read: str | None) -> None:
    assert word(value, "$.state") == read


@pytest.mark.parametrize("value", [5, True, 1.5, [], {}])
def test_a_word_of_another_kind_is_refused_with_its_path(value: object) -> None:
    with pytest.raises(DecodeError) as caught:
        word(value, "$.state")
    assert (caught.value.path, caught.value.transient) == ("$.state", False)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "a boolean"),
        ("", "text"),
        (5, "a number"),
        (1.5, "a number"),
        ({}, "an object"),
        ([], "an array"),
    ],
)
def test_kinds_have_the_names_that_json_gives_them(value: object, name: str) -> None:
    assert kind(value) == name


@pytest.mark.parametrize(
    "data",
    [
        *("{}", b"{}", {}, bytearray(b"{}"), memoryview(b"{}"), "{}".encode("utf-16")),
        *("\ufeff{}", "\ufeff{}".encode()),
    ],
)
def test_a_root_object_is_read_from_any_form(data: Any) -> None:
    assert root_object(data) == {}


@pytest.mark.parametrize(
    "data", ["", " ", b"", "null", "[]", "5", '"x"', "{", b"\xff", None, 5, [], "[" * 100_000]
)
def test_what_has_no_object_at_its_root_is_not_the_apis(data: object) -> None:
    with pytest.raises(DecodeError) as caught:
        root_object(data)
    assert caught.value.transient


@pytest.mark.parametrize("without_msgspec", [False, True], ids=["", "without msgspec"])
@pytest.mark.parametrize("padding", [0, LARGE], ids=["", "large"])
@pytest.mark.parametrize("text", [b"m", b"\xe9", b"\n"], ids=["", "invalid UTF-8", "a line break"])
@pytest.mark.parametrize("digits", ["9" * 5000, "-" + "1" * 5000, "9" * 4300])
def test_an_integer_of_any_length_hides_nothing_beside_it(
    digits: str, text: bytes, padding: int, without_msgspec: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if without_msgspec:
        monkeypatch.setattr("common.response.decoding.fast_loads", lambda: None)
    data = b'{"state": "success", "n": %s, "list": [{"n": %s}], "text": "%s"}%s'
    root = root_object(data % (digits.encode(), digits.encode(), text, b" " * padding))
    assert root["state"] == "success"
    assert str(root["n"] if len(digits) > 4300 else "9" * 4300) == digits
    assert root["list"] == [{"n": root["n"]}]
    assert root["text"] == text.decode(errors="replace").replace("\n", "\ufffd")
    fields = Fields(root)
    assert (fields.integer("n") is None) == (len(digits) > 4300)
    assert "n" in fields.extra or len(digits) == 4300


# --- the keys of one object


def test_what_was_read_leaves_extra() -> None:
    fields = Fields({"a": "x", "b": 5, "c": "2026-03-01T08:00:00Z", "d": {"e": 1}, "f": [{}], "g": "s"})
    assert (fields.text("a"), fields.integer("b"), fields.word("g", "$")) == ("x", 5, "s")
    assert fields.moment("c") == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert (fields.object("d"), fields.objects("f")) == ({"e": 1}, [{}])
    assert fields.extra == {}


def test_a_key_that_was_never_read_stays_in_extra() -> None:
    fields = Fields({"a": "x", "b": {"c": None}})
    fields.text("a")
    assert fields.extra == {"b": {"c": None}}


@pytest.mark.parametrize("reader", ["text", "integer", "moment", "object", "objects"])
def test_null_is_as_good_as_absent(reader: str) -> None:
    for data in ({}, {"a": None}):
        fields = Fields(data)
        assert not getattr(fields, reader)("a")
        assert fields.extra == {}


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        ("text", True),
        ("text", ["x"]),
        ("integer", "x"),
        ("integer", 1.5),
        ("integer", True),
        ("moment", "noon"),
        ("moment", 5),
        ("object", "x"),
        ("object", [{}, {}]),
        ("object", [{"a": 1}, "beside"]),
        ("object", ["beside", {"a": 1}, None]),
        ("objects", "x"),
        ("objects", [{}, "x"]),
        ("objects", [None]),
    ],
)
def test_what_could_not_be_read_whole_stays_in_extra(reader: str, value: object) -> None:
    fields = Fields({"a": value})
    getattr(fields, reader)("a")
    assert fields.extra == {"a": value}


@pytest.mark.parametrize("value", [{"b": 1}, [{"b": 1}]])
def test_an_array_of_one_object_stands_for_the_object(value: object) -> None:
    fields = Fields({"a": value})
    assert fields.object("a") == {"b": 1}
    assert fields.extra == {}


@pytest.mark.slow
@given(json_values(["a", "b"]))
def test_reading_changes_nothing_in_what_was_sent(data: Any) -> None:
    if not isinstance(data, dict):
        return
    before = repr(data)
    fields = Fields(data)
    for key in data:
        for reader in (fields.text, fields.integer, fields.moment, fields.object, fields.objects):
            reader(key)
    assert repr(data) == before
