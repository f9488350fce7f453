"""Read JSON leniently: an object counts as an array of one, text as a number, null as an absent key.

A value that cannot be read stays in ``extra``, so that a record holds everything that the server sent. The
readers of single values return None for a value of another type; they do not raise.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, TypeVar, cast

from common.model.errors import DecodeError
from common.response.large_json import LARGE, loads_large, read_integer
from common.response.repair import (
    REPLACEMENT,
    Repaired,
    may_have_halves,
    read_repaired,
    without_halves,
)

Object = Mapping[str, Any]
Loads = Callable[[bytes | str], Any]
"""A function that returns the value of JSON."""
REPAIRED = "the server sent invalid characters, which are shown as U+FFFD"
"""The warning of a job with such characters."""
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_T = TypeVar("_T")


def read_json(data: bytes | bytearray | memoryview | str | object) -> Any:
    """Return the value of JSON in bytes or text; data that is decoded already is returned as it is.

    Bytes that are invalid in a text (invalid UTF-8, control characters) and halves of surrogate pairs become
    U+FFFD: see `common.response.repair`. Raise `DecodeError` for anything but JSON, and for JSON that is
    nested too deep to read. It is transient: such a response comes from a proxy, not from the API.
    """
    if isinstance(data, memoryview | bytearray):
        data = bytes(data)
    if not isinstance(data, bytes | str):
        return data
    problem = f"not JSON ({len(data)} {'bytes' if isinstance(data, bytes) else 'characters'})"
    if not data.strip():
        problem = "not JSON (an empty response)"
    large = len(data) > LARGE
    loads = None if large else fast_loads()
    if loads is not None:
        # msgspec refuses NaN, lone surrogates and UTF-16; json then reads the data, or tells the reason.
        with suppress(Exception):
            return loads(data)
    try:
        # Decoded strictly, since json itself accepts lone surrogates, which are invalid UTF-8.
        # Text may have kept its byte order mark, which json refuses.
        string = data if isinstance(data, str) else data.decode(json.detect_encoding(data))
        string = string.removeprefix("\ufeff")
        value = loads_large(string) if large else _loads(string)
        return without_halves(value) if may_have_halves(string) else value
    except RecursionError:
        problem = "the JSON is nested too deep"
    except ValueError:
        pass  # raised below, without json's exception as its context, which holds the whole body
    repaired = read_repaired(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
    if repaired is not None:
        return repaired
    raise DecodeError(problem, transient=True)


def _loads(string: str) -> Any:
    try:
        return json.loads(string)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer has more digits than Python converts
        return json.loads(string, parse_int=read_integer)


@functools.cache
def fast_loads() -> Loads | None:
    """Return msgspec's reader where it is installed (the extra ``fast``): its results are those of ``json``.

    Those of orjson are not: it turns integers beyond 64 bits into floats, and accepts deeper nesting.
    """
    try:
        decode: Callable[[bytes | str], Any] = import_module("msgspec.json").decode  # it takes 10 ms
    except ImportError:
        return None
    return decode


def root_object(data: object) -> Object:
    """Return the object at the root of a response. Raise a transient `DecodeError` where there is none."""
    root = read_json(data)
    if not isinstance(root, Mapping):
        raise DecodeError(f"expected an object at the root, got {kind(root)}", transient=True)
    return cast("Object", root)


def repair_warnings(data: object) -> tuple[str, ...]:
    """Return the warning of a job that was read from an object in which characters were replaced."""
    return (REPAIRED,) if isinstance(data, Repaired) else ()


def readable_id(data: Object, key: str) -> str | None:
    """Return `text` of a key's value, None if characters in it were replaced, which would make it a guess."""
    id = text(data.get(key))
    return None if id is not None and isinstance(data, Repaired) and REPLACEMENT in id else id


def kind(value: object) -> str:
    """Return the name of a JSON value's type for a message, such as ``an array``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float):
        return "a number"
    return "an object" if isinstance(value, Mapping) else "an array"


def text(value: object) -> str | None:
    """Return text, or a number as text; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return None


def integer(value: object) -> int | None:
    """Return an integer, also from text or from a float without a fraction; None for anything else."""
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    try:
        if isinstance(value, str):
            return int(value) if _INTEGER.fullmatch(value.strip()) else None
        if isinstance(value, float) and value.is_integer():
            return int(value)
    except ValueError:
        pass
    return None


def moment(value: object) -> datetime | None:
    """Return an ISO 8601 time in UTC (one without an offset is taken as UTC); None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        zone = parsed.tzinfo
        if zone is UTC:
            return parsed
        return (parsed if zone else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def objects(value: object) -> list[Object]:
    """Return the objects of an array; one object counts as an array of one, anything else as empty."""
    if isinstance(value, Mapping):
        return [cast("Object", value)]
    if isinstance(value, list):
        return [item for item in value if type(item) is dict or isinstance(item, Mapping)]
    return []


def only(value: object) -> Object | None:
    """Return an object, or the single object of an array; None for anything else."""
    if type(value) is dict:
        return value
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return cast("Object", value) if isinstance(value, Mapping) else None


def word(value: object, path: str) -> str | None:
    """Return a state as the server wrote it, None for null.

    Raise `DecodeError` for any other value, since its state would be a guess.
    """
    if value is None or isinstance(value, str):
        return value
    raise DecodeError(f"expected a state as text, got {kind(value)}", path=path)


def finite(value: object) -> float | None:
    """Return a finite number as a float, also from text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_json(value: object) -> str:
    """Return a decoded value as JSON text. Raise `DecodeError` where it is nested too deep to be written."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:  # msgspec reads deeper nesting than json writes
        raise DecodeError("the JSON is nested too deep", transient=True) from None


class Fields:
    """Reads the keys of one object; ``extra`` has those that were not read, or could not be."""

    __slots__ = ("data", "extra")

    def __init__(self, data: Object) -> None:
        self.data: Object = data
        self.extra: dict[str, Any] = dict(data)

    def text(self, key: str) -> str | None:
        """Return `text` of a key's value."""
        return self.take(key, text(self.data.get(key)))

    def integer(self, key: str) -> int | None:
        """Return `integer` of a key's value."""
        return self.take(key, integer(self.data.get(key)))

    def moment(self, key: str) -> datetime | None:
        """Return `moment` of a key's value."""
        return self.take(key, moment(self.data.get(key)))

    def object(self, key: str) -> Object | None:
        """Return `only` of a key's value."""
        return self.take(key, only(self.data.get(key)))

    def objects(self, key: str) -> list[Object]:
        """Return `objects` of a key's value; one with members that are not objects stays in ``extra``."""
        value = self.data.get(key)
        members = objects(value)
        if (
            value is None
            or isinstance(value, Mapping)
            or (isinstance(value, list) and len(value) == len(members))
        ):
            self.extra.pop(key, None)
        return members

    def word(self, key: str, path: str) -> str | None:
        """Return `word` of a key's value. Raise `DecodeError` with ``path``, as `word` does."""
        return self.take(key, word(self.data.get(key), path))

    def take(self, key: str, value: _T | None) -> _T | None:
        """Return a value that the caller read; the key leaves ``extra`` unless it was not read (None)."""
        if value is not None or self.data.get(key) is None:
            self.extra.pop(key, None)
        return value
