"""A backup job as the server sent it: typed records of the job, its volumes, batches and files.

Keys are kebab-case on the wire. A list may be sent as one object, as null or not at all. Unknown keys, and
values that could not be read, stay in ``extra``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from common.model.errors import DecodeError
from common.response.decoding import Fields, Object, as_json, finite, integer, kind
from common.set_module import set_module

SECONDS_BELOW = 1e11
"""An epoch below this is in seconds, else in milliseconds, which passed it in 1973: one record had both."""


def _extra() -> Any:
    return attrs.field(factory=dict[str, Any])


@attrs.frozen
class Volume:
    """One volume of a multi-volume backup. The server lists it only once it has ended."""

    id: str | None = None
    status: str | None = None
    error: str | None = None
    extra: Mapping[str, Any] = _extra()


@attrs.frozen
class File:
    """One file or folder of a restore batch. The unit of ``size`` is undocumented; records show bytes."""

    inode: int | None = None
    path: str | None = None
    type: str | None = None
    size: int | None = None
    mtime: datetime | None = None
    extra: Mapping[str, Any] = _extra()


@attrs.frozen
class Batch:
    """A part of a restore with a state of its own."""

    id: str | None = None
    status: str | None = None
    error: str | None = None
    time: datetime | None = None
    files: tuple[File, ...] = ()
    extra: Mapping[str, Any] = _extra()


@attrs.frozen
class Source:
    """What a restore reads from."""

    working_environment_id: str | None = None
    working_environment_name: str | None = None
    bucket: str | None = None
    volume_id: str | None = None
    volume_name: str | None = None
    snapshot: str | None = None
    extra: Mapping[str, Any] = _extra()


@attrs.frozen
class Target:
    """What a restore writes to. The unit of ``volume_size`` is undocumented; records show bytes."""

    working_environment_id: str | None = None
    working_environment_name: str | None = None
    svm: str | None = None
    volume_name: str | None = None
    volume_size: int | None = None
    path: str | None = None
    extra: Mapping[str, Any] = _extra()


@attrs.frozen
class Restore:
    """``data.restore``: ``type`` is "file" or "volume"."""

    type: str | None = None
    source: Source | None = None
    target: Target | None = None
    batches: tuple[Batch, ...] = ()
    extra: Mapping[str, Any] = _extra()


@attrs.frozen
class MultiVolumeBackup:
    """``data.multi-volume-backup``."""

    volumes: tuple[Volume, ...] = ()
    extra: Mapping[str, Any] = _extra()


@attrs.frozen
class JobRecord:
    """One job of ``cloudmanager_cbs`` as the server sent it."""

    id: str | None = None
    working_environment_id: str | None = None
    type: str | None = None
    status: str | None = None
    error: str | None = None
    time: datetime | None = None
    """Undocumented; equal in a pending and a finished sample, so it seems to be the job's creation."""
    multi_volume_backup: MultiVolumeBackup | None = None
    restore: Restore | None = None
    extra: Mapping[str, Any] = _extra()
    """Unknown keys; those of ``data`` are under ``data``."""

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """The volumes of a multi-volume backup, empty for another job."""
        return self.multi_volume_backup.volumes if self.multi_volume_backup else ()

    @property
    def batches(self) -> tuple[Batch, ...]:
        """The batches of a restore, empty for another job."""
        return self.restore.batches if self.restore else ()


def parse_record(data: Object, path: str) -> JobRecord:
    """Return one job with every value kept. Raise `DecodeError` if what decides its state is unreadable."""
    fields = Fields(data)
    body = _one(fields, "data", path)
    inner = Fields(body or {})
    record = JobRecord(
        id=fields.text("id"),
        working_environment_id=fields.text("working-environment-id"),
        type=fields.text("type"),
        status=fields.word("status", f"{path}.status"),
        error=_error(fields),
        time=_epoch(fields, "time"),
        multi_volume_backup=_backup(
            _one(inner, "multi-volume-backup", f"{path}.data"), f"{path}.data.multi-volume-backup"
        ),
        restore=_restore(_one(inner, "restore", f"{path}.data"), f"{path}.data.restore"),
        extra=fields.extra,
    )
    if inner.extra:
        fields.extra["data"] = inner.extra
    return record


def _backup(data: Object | None, path: str) -> MultiVolumeBackup | None:
    if data is None:
        return None
    fields = Fields(data)
    volumes = tuple(
        _volume(item, f"{path}.volume[{n}]") for n, item in enumerate(_items(fields, "volume", path))
    )
    return MultiVolumeBackup(volumes, fields.extra)


def _volume(data: Object, path: str) -> Volume:
    fields = Fields(data)
    return Volume(
        fields.text("id"),
        fields.word("status", f"{path}.status"),
        _error(fields),
        fields.extra,
    )


def _restore(data: Object | None, path: str) -> Restore | None:
    if data is None:
        return None
    fields = Fields(data)
    batches = tuple(
        _batch(item, f"{path}.batch[{n}]") for n, item in enumerate(_items(fields, "batch", path))
    )
    return Restore(
        type=fields.text("type"),
        source=_source(fields.object("source")),
        target=_target(fields.object("target")),
        batches=batches,
        extra=fields.extra,
    )


def _batch(data: Object, path: str) -> Batch:
    fields = Fields(data)
    return Batch(
        id=fields.text("id"),
        status=fields.word("status", f"{path}.status"),
        error=_error(fields),
        time=_epoch(fields, "time"),
        files=tuple(_file(item) for item in fields.objects("file") if item),
        extra=fields.extra,
    )


def _file(data: Object) -> File:
    fields = Fields(data)
    return File(
        inode=fields.integer("inode"),
        path=fields.text("path"),
        type=fields.text("type"),
        size=_whole(fields, "size"),
        mtime=_epoch(fields, "mtime"),
        extra=fields.extra,
    )


def _source(data: Object | None) -> Source | None:
    if data is None:
        return None
    fields = Fields(data)
    return Source(
        fields.text("working-environment-id"),
        fields.text("working-environment-name"),
        fields.text("bucket"),
        fields.text("volume-id"),
        fields.text("volume-name"),
        fields.text("snapshot"),
        fields.extra,
    )


def _target(data: Object | None) -> Target | None:
    if data is None:
        return None
    fields = Fields(data)
    return Target(
        fields.text("working-environment-id"),
        fields.text("working-environment-name"),
        fields.text("svm"),
        fields.text("volume-name"),
        _whole(fields, "volume-size"),
        fields.text("path"),
        fields.extra,
    )


def _items(fields: Fields, key: str, path: str) -> list[Object]:
    value = fields.data.get(key)
    items = fields.objects(key)
    if key in fields.extra:
        # An item that cannot be read may be the one that failed: without it the state would be a guess.
        what = "an array of objects" if isinstance(value, list) else f"an array, got {kind(value)}"
        raise DecodeError(f"expected {what}", path=f"{path}.{key}")
    return [item for item in items if item]  # some references print an empty object for "none"


def _error(fields: Fields) -> str | None:
    # Text in all records so far. An error in another form is still one, and is reported as JSON.
    value = fields.data.get("error")
    if value is None or isinstance(value, str):
        error = fields.text("error")
        return error if error is None or error.strip() else ""
    if not value:
        return None  # {}, [] and false say that there is none
    return fields.take("error", as_json(value))


def _one(fields: Fields, key: str, path: str) -> Object | None:
    value = fields.object(key)
    if key in fields.extra:
        # A failed item in it would be ignored.
        raise DecodeError(f"expected one object, got {kind(fields.data.get(key))}", path=f"{path}.{key}")
    return value


def _whole(fields: Fields, key: str) -> int | None:
    # Recorded traffic has floats too, with and without a fraction.
    whole = integer(fields.data.get(key))
    if whole is not None:
        return fields.take(key, whole)
    number = finite(fields.data.get(key))
    return None if number is None else int(number)  # the value with its fraction stays in ``extra``


def _epoch(fields: Fields, key: str) -> datetime | None:
    number = finite(fields.data.get(key))
    if number is None:
        return fields.take(key, None)
    seconds = number if abs(number) < SECONDS_BELOW else number / 1000
    try:
        return fields.take(key, datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return fields.take(key, None)


set_module(Volume, File, Batch, Source, Target, Restore, MultiVolumeBackup, JobRecord)
