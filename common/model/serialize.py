"""Convert an outcome, a `Job` or a `JobsError`, to plain data and back, for a queue or another process."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin

from common.model.errors import DecodeError, JobsError, UsageError
from common.model.job import FrozenMap, Job
from common.model.nesting import too_deep
from common.model.refs import JobRef
from common.model.states import JobState
from common.model.stored_errors import structure_error, unstructure_error

if TYPE_CHECKING:
    from cattrs import Converter

MAX_ITEM_NESTING = 50
"""How deep items may be nested, so that what is read can be written again; servers send two levels."""
VERSION = 1
"""The version of the format, stored with each outcome so that a later release can read it."""


def to_dict(outcome: Job | JobsError) -> dict[str, Any]:
    """Return an outcome as plain data for ``json.dumps``. A job has everything but its ``record``.

    An error has the name of its class (``error``), its text, notes, ref and job, whether it is ``final``, and
    the fields of its class (``data``: status, code, request id and so on), but no traceback and no causes.
    """
    converter = _converter()
    if isinstance(outcome, JobsError):
        return {
            "version": VERSION,
            **unstructure_error(outcome, partial(converter.unstructure, unstructure_as=Job)),
        }
    return {"version": VERSION, **converter.unstructure(outcome, Job)}


def from_dict(data: Mapping[str, Any]) -> Any:
    """Return the `Job` or `JobsError` from which `to_dict` made the data; a job is without its ``record``.

    The type is left open, since the caller knows what was stored: ``await source.wait(from_dict(data))``.
    Unknown keys are ignored. An error of a class that this release does not know becomes a `JobsError` whose
    ``unknown_kind`` is the name of that class. Raise `UsageError` for data of another version, `DecodeError`
    with the path for anything that is not an outcome.
    """
    if not isinstance(data, Mapping):
        raise DecodeError("a stored job must be an object, as to_dict() returns it")
    if data.get("version", VERSION) != VERSION:
        raise UsageError(
            f"the job was stored as version {data['version']!r}, but this release reads version {VERSION}"
        )
    job = data.get("job") if "error" in data else data
    # Each level of items is an array and an object; the innermost object has arrays too, which are empty.
    if isinstance(job, Mapping) and too_deep(job.get("items"), 2 * MAX_ITEM_NESTING + 1):
        raise DecodeError("the items are nested too deep", path="$.items")
    import cattrs

    try:
        if "error" in data:
            return structure_error(data, _converter().structure)
        return _converter().structure(data, Job)
    except DecodeError:
        raise
    except (cattrs.BaseValidationError, JobsError, ValueError, TypeError, KeyError) as error:
        message, _, path = cattrs.transform_error(error)[0].rpartition(" @ ")
        raise DecodeError(message, path=path) from None


@functools.cache
def _converter() -> Converter:
    import cattrs  # lazily: the import takes some 86 ms
    from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

    converter = cattrs.Converter()
    # cattrs would convert values of another type, such as str(5) or float("1"): here they are refused.
    readers: dict[type, Any] = {
        JobRef: lambda value: JobRef.parse(_is(str, value)),
        JobState: lambda value: JobState(_is(str, value)),
        datetime: _moment,
        str: lambda value: _is(str, value),
        bool: lambda value: _is(bool, value),
        int: _whole,
        float: _fraction,
    }
    for kind, read in readers.items():
        converter.register_structure_hook(kind, _hook(read))
    converter.register_unstructure_hook(JobRef, str)
    converter.register_unstructure_hook(JobState, lambda state: state.value)
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_structure_hook_func(_is_map, lambda value, _: _links(value))
    converter.register_structure_hook_factory(_is_tuple, lambda kind: _tuple_reader(converter, kind))
    left_out = override(omit=True)
    converter.register_unstructure_hook(Job, make_dict_unstructure_fn(Job, converter, record=left_out))
    converter.register_structure_hook(Job, make_dict_structure_fn(Job, converter, record=left_out))
    return converter


def _hook(read: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda value, _: read(value)


def _is_map(kind: Any) -> bool:
    return get_origin(kind) is Mapping


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _tuple_reader(converter: Converter, kind: Any) -> Any:
    from cattrs import IterableValidationError, IterableValidationNote

    member = get_args(kind)[0]

    def read(value: Any, _: Any) -> tuple[Any, ...]:
        members: list[Any] = []
        for index, item in enumerate(_is(list, value) if not isinstance(value, tuple) else value):
            try:
                members.append(converter.structure(item, member))
            except (ValueError, TypeError, KeyError, ExceptionGroup) as error:
                error.add_note(IterableValidationNote(f"at index {index}", index, member))
                raise cast("Any", IterableValidationError)("in an array", [error], kind) from None
        return tuple(members)

    return read


# What these raise becomes "invalid value for type, expected …", with the type of the field.


def _is(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _whole(value: Any) -> int:
    # A store of JSON may return 503 as 503.0.
    if isinstance(value, bool) or not (isinstance(value, int) or _fraction(value).is_integer()):
        raise TypeError
    return int(value)


def _fraction(value: Any) -> float:
    try:
        if not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:  # of an integer
        pass
    raise TypeError


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(_is(str, value))
    if moment.tzinfo is None:
        raise ValueError("expected a time with an offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("expected a time between the years 1 and 9999") from None


def _links(value: Any) -> FrozenMap:
    return FrozenMap({_is(str, name): _is(str, link) for name, link in _is(dict, value).items()})
