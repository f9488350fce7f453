"""Convert a `JobsError` to plain data and back: how a wait ended, for a queue or a workflow's history.

The data has the name of the error's class, its message, and the fields of the class: what the exception shows
anyway, so no secret. An error of a later release, of a class that this one does not have, is read as a
`JobsError`, and written again unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from common.model import errors
from common.model.errors import DecodeError, JobsError
from common.model.job import Job
from common.model.refs import JobRef

_FIELDS: Mapping[type[JobsError], Mapping[str, Any]] = {
    errors.SourceError: {"transient": bool, "retry_after": float | None, "sent": bool},
    errors.TransportError: {"dropped": bool, "misconfigured": bool},
    errors.ApiError: {
        "status": int,
        "code": str | None,
        "message": str | None,
        "request_id": str | None,
        "body": str,
    },
    errors.DecodeError: {"path": str},
    errors.JobNotFound: {"certain": bool},
    errors.ActionRefused: {"code": str | None, "retryable": bool},
}
"""The fields that a class and its subclasses have beside message, ref and job."""
_CLASSES: Mapping[str, type[JobsError]] = {
    name: member
    for name, member in vars(errors).items()
    if isinstance(member, type) and issubclass(member, JobsError)
}


def unstructure_error(error: JobsError, unstructure: Callable[[Any], Any]) -> dict[str, Any]:
    """Return an error as plain data; ``unstructure`` converts its ref and job."""
    return {
        "error": error.unknown_kind or _class_of(error).__name__,
        "text": str(error.args[0]) if error.args else "",
        "final": error.final,
        "ref": None if error.ref is None else str(error.ref),
        "job": None if error.job is None else unstructure(error.job),
        "notes": list(getattr(error, "__notes__", ())),
        "data": _data_of(error),
    }


@attrs.frozen
class _StoredError:
    error: str
    text: str
    final: bool = False
    ref: JobRef | None = None
    job: Job | None = None
    notes: tuple[str, ...] = ()
    data: dict[str, Any] = attrs.field(factory=dict[str, Any])


def structure_error(data: Mapping[str, Any], structure: Callable[[Any, Any], Any]) -> JobsError:
    """Return the error from its data. ``structure`` converts a value to a type, or raises.

    Raise what ``structure`` raises, and `DecodeError` for data that lacks something.
    """
    stored: _StoredError = structure(data, _StoredError)
    cls = _CLASSES.get(stored.error, JobsError)
    state: dict[str, Any] = {"ref": stored.ref, "_job": stored.job}
    if issubclass(cls, errors.JobFailed):
        if stored.job is None:
            raise DecodeError(f"a stored {stored.error} must have the job that failed", path="$.job")
        state["_failed"] = stored.job
    for name, kind in _fields_of(cls).items():
        try:
            state[name] = structure(stored.data[name], kind)
        except (KeyError, ValueError, TypeError):
            raise DecodeError(f"no valid {name} of a {stored.error}", path=f"$.data.{name}") from None
    if stored.error not in _CLASSES:
        state |= {"unknown_kind": stored.error, "_data": stored.data, "_final": stored.final}
    error = errors.rebuild(cls, (stored.text,), state)
    for note in stored.notes:
        error.add_note(note)
    return error


def _class_of(error: JobsError) -> type[JobsError]:
    """Return the class of an error, or the nearest above it that is one of ours."""
    return next(cls for cls in type(error).__mro__ if _CLASSES.get(cls.__name__) is cls)


def _fields_of(cls: type[JobsError]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for base, own in _FIELDS.items():
        if issubclass(cls, base):
            fields |= own
    return fields


def _data_of(error: JobsError) -> dict[str, Any]:
    if error.unknown_kind is not None:
        return dict(error.__dict__["_data"])
    return {name: getattr(error, name) for name in _fields_of(type(error))}
