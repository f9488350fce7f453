"""A `Job` to plain data and back: what a queue, a database or another process keeps of a wait."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from typing import TYPE_CHECKING
from typing import Any

from common.errors import DecodeError
from common.errors import JobsError
from common.errors import UsageError
from common.model import FrozenMap
from common.model import Job
from common.model import JobRef

if TYPE_CHECKING:
    from cattrs import Converter

VERSION = 1
"""Written beside a job, so that a later version can read what an earlier one wrote."""


@functools.cache
def _converter() -> Converter:
    import cattrs  # lazily: importing it takes longer than all of the rest
    from cattrs.gen import make_dict_structure_fn
    from cattrs.gen import make_dict_unstructure_fn
    from cattrs.gen import override

    converter = cattrs.Converter()
    converter.register_unstructure_hook(JobRef, str)
    converter.register_structure_hook(JobRef, lambda text, _: JobRef.parse(_text(text)))
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_structure_hook(datetime, lambda text, _: _moment(text))
    converter.register_structure_hook(str, lambda text, _: _text(text))
    converter.register_structure_hook(Mapping[str, str], lambda data, _: _links(data))
    converter.register_unstructure_hook(Mapping[str, str], dict)
    left_out = override(omit=True)
    converter.register_unstructure_hook(Job, make_dict_unstructure_fn(Job, converter, record=left_out))
    converter.register_structure_hook(Job, make_dict_structure_fn(Job, converter, record=left_out))
    return converter


def to_dict(job: Job) -> dict[str, Any]:
    """A job as plain data that ``json.dumps`` takes: everything but ``record``."""
    return {"version": VERSION, **_converter().unstructure(job, Job)}


def from_dict(data: Mapping[str, Any]) -> Job:
    """The job that `to_dict` was given, ``record`` aside.

    Raises `UsageError` for data of a later version, `DecodeError` with the path for what is no job.
    """
    import cattrs

    if not isinstance(data, Mapping):
        raise DecodeError("a stored job is an object, as to_dict() gives it")
    if data.get("version", VERSION) != VERSION:
        raise UsageError(f"a job stored as version {data['version']!r}: this release reads version {VERSION}")
    try:
        return _converter().structure(data, Job)
    except JobsError as error:
        raise DecodeError(f"not a stored job: {error}") from None
    except (cattrs.BaseValidationError, ValueError, TypeError, KeyError) as error:
        first = cattrs.transform_error(error)[0]
        message, _, path = first.rpartition(" @ ")
        raise DecodeError(message or first, path=path or "$") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    return value


def _moment(value: object) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError("expected a time with its offset")
    return moment.astimezone(UTC)


def _links(data: object) -> FrozenMap:
    if not isinstance(data, Mapping):
        raise TypeError("expected an object")
    return FrozenMap({_text(key): _text(value) for key, value in data.items()})
