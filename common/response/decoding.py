"""Lenient reading of JSON: an object for an array, text for a number, null and absent alike, nothing lost.

What a reader cannot use stays in ``extra``, so a record always holds everything that the server sent.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from common.model.errors import DecodeError

Object = Mapping[str, Any]
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_T = TypeVar("_T")


def read_json(data: bytes | bytearray | memoryview | str | object) -> Any:
    """JSON from bytes or text; what is decoded already is passed through.

    Raises `DecodeError` (transient: such a reply is not the API's) for anything that is not JSON, also
    for nesting too deep to read.
    """
    if isinstance(data, memoryview | bytearray):
        data = bytes(data)
    if not isinstance(data, bytes | str):
        return data
    problem = f"not JSON ({len(data)} {'bytes' if isinstance(data, bytes) else 'characters'})"
    if not data.strip():
        problem = "not JSON (an empty reply)"
    quick = _quick_loads()
    if quick is not None:
        with suppress(
            Exception
        ):  # json takes what it refuses (NaN, lone surrogates, UTF-16), or says why not
            return quick(data)
    try:
        return json.loads(data)
    except RecursionError:
        problem = "the JSON is nested too deep"
    except ValueError:
        pass  # raised below: as a context, json's own exception would carry the whole body along
    raise DecodeError(problem, transient=True)


@functools.cache
def _quick_loads() -> Callable[[bytes | str], Any] | None:
    """The reader of msgspec where it is installed (the extra ``fast``): what it takes, it reads as json does.

    Not so orjson, which makes floats of integers beyond 64 bits and nests deeper.
    """
    try:
        from msgspec.json import decode  # lazily: the import takes 10 ms
    except ImportError:
        return None
    return decode


def root_object(data: object) -> Object:
    """The object at the root of a reply. Raises `DecodeError` (not the API's reply) where there is none."""
    root = read_json(data)
    if not isinstance(root, Mapping):
        raise DecodeError(f"expected an object at the root, got {kind(root)}", transient=True)
    return cast("Object", root)


def kind(value: object) -> str:
    """What a JSON value is, in JSON's own words."""
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
    """Text, or a number as text; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return None


def integer(value: object) -> int | None:
    """A whole number, also from text or from a float without a fraction; None for anything else."""
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
    """An ISO 8601 time as aware UTC (one without an offset is taken as UTC); None for anything else."""
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
    """An array's objects; one object stands for an array of itself, null and absent for an empty one."""
    if isinstance(value, Mapping):
        return [cast("Object", value)]
    if isinstance(value, list):
        return [item for item in value if type(item) is dict or isinstance(item, Mapping)]
    return []


def only(value: object) -> Object | None:
    """An object, or the only one of an array; None for anything else."""
    if type(value) is dict:
        return value
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return cast("Object", value) if isinstance(value, Mapping) else None


def word(value: object, path: str) -> str | None:
    """A state's word. Raises `DecodeError` for what is neither text nor null: too much hangs on it."""
    if value is None or isinstance(value, str):
        return value
    raise DecodeError(f"expected a state as text, got {kind(value)}", path=path)


def finite(value: object) -> float | None:
    """A finite number, also from text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_json(value: object) -> str:
    """What was read, as JSON again. Raises `DecodeError` where it is nested deeper than can be written."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:  # what was read with msgspec may be
        raise DecodeError("the JSON is nested too deep", transient=True) from None


class Fields:
    """The keys of one object, each taken once; ``extra`` is what no one took or could read."""

    __slots__ = ("data", "extra")

    def __init__(self, data: Object) -> None:
        self.data: Object = data
        self.extra: dict[str, Any] = dict(data)

    def text(self, key: str) -> str | None:
        """`text` of a key."""
        return self.take(key, text(self.data.get(key)))

    def integer(self, key: str) -> int | None:
        """`integer` of a key."""
        return self.take(key, integer(self.data.get(key)))

    def moment(self, key: str) -> datetime | None:
        """`moment` of a key."""
        return self.take(key, moment(self.data.get(key)))

    def object(self, key: str) -> Object | None:
        """The object under a key; of an array of one, its only object."""
        return self.take(key, only(self.data.get(key)))

    def objects(self, key: str) -> list[Object]:
        """`objects` of a key; what was no object in the array stays in ``extra``."""
        value = self.data.get(key)
        found = objects(value)
        if (
            value is None
            or isinstance(value, Mapping)
            or (isinstance(value, list) and len(value) == len(found))
        ):
            self.extra.pop(key, None)
        return found

    def word(self, key: str, path: str) -> str | None:
        """`word` of a key."""
        return self.take(key, word(self.data.get(key), path))

    def take(self, key: str, value: _T | None) -> _T | None:
        """A value that the caller read; the key leaves ``extra`` unless it could not be read."""
        if value is not None or self.data.get(key) is None:
            self.extra.pop(key, None)
        return value
