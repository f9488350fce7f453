"""Arbitrary JSON for property tests, and the search for what a decoder lost of it."""

from __future__ import annotations

import copy
import enum
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

Values = SearchStrategy[Any]

TEXTS = st.text(st.characters(), max_size=8)
"""Any characters, lone surrogates too: JSON can carry them."""
SCALARS: Values = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS


def json_values(keys: Iterable[str] = (), words: Iterable[str] = ()) -> Values:
    """Any JSON. With ``keys`` and ``words``, mostly objects made of a provider's own."""
    names, leaves = TEXTS, SCALARS
    if keys:
        own = st.sampled_from(list(keys))
        names = own | own | TEXTS
        leaves = st.sampled_from(list(words)) | SCALARS if words else SCALARS

    def around(inner: Values) -> Values:
        objects = st.dictionaries(names, inner, max_size=4)
        return objects | objects | st.lists(inner, max_size=3)

    values = st.recursive(leaves, around, max_leaves=10)
    return st.dictionaries(names, values, max_size=6) | values


def written(values: Values) -> Values:
    """The same values decoded, as text, and as bytes in two encodings."""
    texts = values.map(json.dumps)
    return st.one_of(values, texts, texts.map(str.encode), texts.map(lambda text: text.encode("utf-16")))


@st.composite
def mutated(draw: DrawFn, payload: Any) -> Any:
    """A valid payload with one to three of its values replaced, removed, wrapped or doubled."""
    root = {"root": copy.deepcopy(payload)}
    for _ in range(draw(st.integers(1, 3))):
        spots = list(_spots(root))
        holder, key = spots[draw(st.integers(0, len(spots) - 1))]
        old = holder[key]
        change = draw(st.sampled_from(["replace", "remove", "wrap", "double", "text"]))
        if change == "remove" and holder is not root:
            del holder[key]
        elif change == "replace":
            holder[key] = draw(SCALARS | st.sampled_from([{}, [], [None], {"x": [1]}]))
        else:
            holder[key] = {"wrap": [old], "double": [old, copy.deepcopy(old)]}.get(change, json.dumps(old))
    return root["root"]


def _spots(value: Any) -> Iterator[tuple[Any, Any]]:
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    for key, inner in pairs:
        yield value, key
        yield from _spots(inner)


class Leaf(enum.Enum):
    """What stands at the end of a branch; `labelled` puts a value there that is nowhere else."""

    TEXT = enum.auto()
    DIGITS = enum.auto()
    TIME = enum.auto()
    INTEGER = enum.auto()
    MILLISECONDS = enum.auto()
    FLOAT = enum.auto()
    TRUE = enum.auto()


LEAF: Values = st.sampled_from(Leaf)
WORD: Values = st.just(Leaf.TEXT)
ANYTHING: Values = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["x1", "x2"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def shaped(keys: Mapping[str, Values]) -> Values:
    """An object with some of these keys and unknown ones; alone, in an array, or something else instead."""
    known = st.fixed_dictionaries({}, optional=dict(keys))
    unknown = st.dictionaries(st.sampled_from(["x1", "x2", "x3"]), ANYTHING, max_size=1)
    whole = st.tuples(known, unknown).map(lambda both: {**both[0], **both[1]})
    return st.one_of(
        whole, whole, whole, whole.map(lambda item: [item]), st.tuples(whole, LEAF).map(list), ANYTHING
    )


def many(items: Values) -> Values:
    """An array of these, or one alone."""
    return st.lists(items, max_size=3) | items


@st.composite
def labelled(draw: DrawFn, trees: Values) -> Any:
    """A tree of `Leaf` with each of them replaced by a value of its kind that occurs only once."""
    return _label(draw(trees), itertools.count(1001))


def _label(tree: Any, numbers: Iterator[int]) -> Any:
    if isinstance(tree, dict):
        return {key: _label(inner, numbers) for key, inner in tree.items()}
    if isinstance(tree, list):
        return [_label(inner, numbers) for inner in tree]
    if not isinstance(tree, Leaf):
        return tree
    number = next(numbers)
    return {
        Leaf.TEXT: f"text-{number}",
        Leaf.DIGITS: str(number),
        Leaf.TIME: f"{number}-06-01T12:00:00+02:00",
        Leaf.INTEGER: number,
        Leaf.MILLISECONDS: 1_700_000_000_000 + number,
        Leaf.FLOAT: number + 0.5,
        Leaf.TRUE: True,
    }[tree]


def lost(sent: Any, record: Any) -> list[Any]:
    """The leaves, and the unknown keys, of what was sent that are nowhere in the record."""
    kept = list(_leaves(record))
    missing = [
        leaf for leaf in _leaves(sent) if leaf is not True and not any(form in kept for form in _forms(leaf))
    ]
    trues = sum(leaf is True for leaf in _leaves(sent)) - sum(leaf is True for leaf in kept)
    return missing + [True] * max(0, trues)


def _leaves(value: Any) -> Iterator[Any]:
    if attrs.has(type(value)):
        value = {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in ("x1", "x2", "x3"):
                yield key
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, str) and (value == "true" or value[:1] in ("{", "[")):
        yield from _leaves(json.loads(value))  # kept as the JSON that it was
    elif value is not None:
        yield value


def _forms(leaf: Any) -> list[Any]:
    """A leaf as it was sent, and as a decoder may have read it: text, number or time."""
    forms = [leaf, str(leaf)]
    if isinstance(leaf, str) and leaf.isdigit():
        leaf = int(leaf)
        forms.append(leaf)
    if isinstance(leaf, int | float):
        seconds = leaf if leaf < 1e11 else leaf / 1000
        forms.append(datetime.fromtimestamp(seconds, UTC))
    elif leaf[:4].isdigit():
        forms.append(datetime.fromisoformat(leaf))
    return forms
