"""Bytes that a broken or hostile server could send, and what must hold for whatever is made of them."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from common.model.errors import JobsError
from common.model.job import Job
from common.model.nesting import MAX_NESTING
from common.model.serialize import from_dict, to_dict
from tests.jsonvalues import TEXTS
from tests.pickled import pickled

CANARY = "hunter2-hunter3"
"""A secret: no refusal may quote it."""

_NUMBERS = [0, -1, 2**31, 2**53 + 1, 2**63, 2**64, 10**18, 10**400, -(10**400), 1e308, -0.0, 1e-400]


def listed(words: str) -> list[str]:
    """What white space divides, as a list."""
    return words.split()


def nested(depth: int) -> Any:
    """Objects and arrays, so many levels of them."""
    value: Any = {"error": ["x"]}
    for level in range(depth):
        value = [value] if level % 2 else {"detail": value}
    return value


_ODD: SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [*_NUMBERS, float("nan"), float("inf"), float("-inf"), "", "\x00", "\ud800", "\udc00\ud800"]
    ),
    st.sampled_from(
        [None, True, False, [], {}, [None], [[]], {"": {}}, "null", "[]", "1_0", " 7 ", "٣", "1e400"]
    ).map(copy.deepcopy),
    st.sampled_from([30, 330, 480, 700, 900, 960]).map(nested),
    st.integers(),
    TEXTS,
)
"""What stands where something else belongs."""


@st.composite
def damaged(draw: DrawFn, payload: Any, words: list[str]) -> Any:
    """A payload with some of its keys and values changed, swapped, renamed, nested, or gone."""
    root: Any = {"root": json.loads(json.dumps(payload))}  # a copy, in a tenth of deepcopy's time
    for _ in range(draw(st.integers(0, 5))):
        spots = list(_spots(root))
        holder, key = draw(st.sampled_from(spots))
        change = draw(
            st.sampled_from(["odd", "odd", "word", "word", "remove", "wrap", "twice", "move", "rename"])
        )
        states = [spot for spot in spots if spot[1] in ("state", "status")]
        if draw(st.booleans()) and states:  # more hangs on these than on the rest
            holder, key = draw(st.sampled_from(states))
        if change == "odd":
            holder[key] = draw(_ODD)
        elif change == "word":
            holder[key] = draw(st.sampled_from(words).map(str) | st.sampled_from(words).map(str.swapcase))
        elif change == "wrap":
            holder[key] = draw(st.sampled_from([[holder[key]], {"x": holder[key]}]))
        elif change == "twice":
            holder[key] = [holder[key], copy.deepcopy(holder[key])]
        elif change == "move":
            other, there = draw(st.sampled_from(spots))
            holder[key] = copy.deepcopy(other[there])
        elif holder is not root:
            value = holder.pop(key)
            if change == "rename" and isinstance(holder, dict):
                holder[draw(TEXTS | st.sampled_from(words))] = value
    return root["root"]


def _spots(value: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    inner: Any = ()
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    for key, below in inner if depth < 12 else ():
        yield value, key
        yield from _spots(below, depth + 1)


@st.composite
def bodies(draw: DrawFn, payload: Any, words: list[str]) -> bytes:
    """A body as it comes from a socket: mostly JSON, in some encoding, and sometimes broken."""
    form = draw(st.integers(0, 19))
    if form == 0:
        return draw(st.binary())
    value = draw(damaged(payload, words))
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    if form == 1:  # the same object's keys once more, with other values: the last one counts
        other = json.dumps(draw(damaged(payload, words)))
        if text.startswith("{") and other.startswith("{") and len(text) > 2 and len(other) > 2:
            text = text[:-1] + ", " + other[1:]
    coding = draw(st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "utf-32-le"]))
    data = text.encode(coding, "surrogatepass")
    if form == 2:
        return gzip.compress(data, mtime=0)
    if form == 3 and data:
        at = draw(st.integers(0, len(data) - 1))
        return data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 3)) :]
    return data[: draw(st.integers(0, len(data)))] if form == 4 else data


def tried(read: Callable[[], Any]) -> Any:
    """What was read, or the typed error; it survives pickle. Any other exception fails the test."""
    refusal: JobsError
    try:
        return read()
    except JobsError as error:
        refusal = error
    again = pickled(refusal)
    assert (type(again), str(again)) == (type(refusal), str(refusal))
    return refusal


def check_job(job: Job) -> None:
    """What holds for every job, whatever it was read from."""
    assert type(job) is Job
    assert job.ref.id
    assert job.finished_at is None or job.done
    plain = to_dict(job)
    stored = from_dict(json.loads(json.dumps(plain)))
    assert stored == job
    assert hash(stored) == hash(job)
    bare = pickled(stored)
    assert (bare, to_dict(bare)) == (stored, plain)
    whole = pickled(job)
    assert whole == job
    assert (
        whole.record is None if depth_of(job.record) > MAX_NESTING else repr(whole.record) == repr(job.record)
    )


def depth_of(record: Any) -> int:
    """How deep a record is nested."""
    deepest = 0
    left: list[tuple[Any, int]] = [(record, 1)]
    while left:
        found, depth = left.pop()
        if attrs.has(type(found)):
            found = [getattr(found, field.name) for field in attrs.fields(type(found))]
        inner = found.values() if isinstance(found, Mapping) else found
        if isinstance(found, Mapping | list | tuple):
            deepest = max(deepest, depth)
            left += [(each, depth + 1) for each in inner]
    return deepest
