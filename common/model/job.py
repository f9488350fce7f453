"""The job as every provider reports it: one frozen class for the vocabularies of all systems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import attrs

from common.model.errors import UsageError, WrongSource
from common.model.lazy import LazyFields, unchecked
from common.model.nesting import too_deep
from common.model.refs import JobRef
from common.model.states import TERMINAL, JobState
from common.set_module import set_module

_T = TypeVar("_T")


class FrozenMap(Mapping[str, str]):
    """A read-only mapping of text to text that pickles and hashes, unlike ``MappingProxyType``."""

    __slots__ = ("_data",)
    _data: dict[str, str]

    def __init__(self, data: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        object.__setattr__(self, "_data", dict(data))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is read-only")

    def __getitem__(self, key: str) -> str:
        return self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __hash__(self) -> int:
        return hash(frozenset(self._data.items()))

    def __repr__(self) -> str:
        return repr(self._data)

    def __reduce__(self) -> tuple[type[FrozenMap], tuple[dict[str, str]]]:
        return type(self), (self._data,)


NO_LINKS = FrozenMap()
"""The links of whatever has none."""


def _frozen(links: Mapping[str, str] | Iterable[tuple[str, str]]) -> FrozenMap:
    return links if isinstance(links, FrozenMap) else FrozenMap(links)


@attrs.frozen
class ErrorArgument:
    """One argument of an error's message, as ONTAP sends them."""

    message: str
    code: str | None = None


@attrs.frozen
class ErrorDetail:
    """One error of a job. ``code`` is text whatever the server sent; ``target`` is what it concerns."""

    message: str
    code: str | None = None
    title: str | None = None
    target: str | None = None
    arguments: tuple[ErrorArgument, ...] = ()

    def __str__(self) -> str:
        """The whole error on one line: ``message [title, code 4, target volume-2]``."""
        extra = [
            self.title if self.title and self.title != self.message else "",
            f"code {self.code}" if self.code else "",
            f"target {self.target}" if self.target else "",
        ]
        extra += [
            f"argument {a.message!r}" if a.code is None else f"argument {a.message!r} ({a.code})"
            for a in self.arguments
        ]
        kept = ", ".join(part for part in extra if part)
        return f"{self.message} [{kept}]" if kept else self.message


@attrs.frozen
class JobItem:
    """A part of a job that ends separately: a volume, a batch, or a file of a batch.

    A file has no state in the API: it takes that of its batch, with ``native_state`` None.
    """

    id: str
    kind: str
    state: JobState
    native_state: str | None = None
    errors: tuple[ErrorDetail, ...] = ()
    items: tuple[JobItem, ...] = ()


def _now() -> datetime:
    return datetime.now(UTC)


@attrs.frozen
class Job(LazyFields):
    """One observation of one job. Two are equal when the server said the same; a job hashes by its ref."""

    ref: JobRef
    state: JobState
    native_state: str | None = attrs.field(default=None, kw_only=True)
    """The state as the server wrote it, None where it wrote none."""
    operation: str | None = attrs.field(default=None, kw_only=True)
    """What the job does: ONTAP's description, BlueXP's type, Cloud Foundry's operation."""
    message: str | None = attrs.field(default=None, kw_only=True)
    """ONTAP's ``message``, BlueXP's ``error``; on Cloud Foundry, where to look if a failure has no errors."""
    progress: float | None = attrs.field(default=None, kw_only=True)
    """0.0 to 1.0, or None where the server does not tell what is outstanding."""
    created_at: datetime | None = attrs.field(default=None, kw_only=True)
    """Cloud Foundry's ``created_at``, BlueXP's ``time``, ``create_time`` of ONTAP's data engine.

    All times are aware and in UTC, None where the system does not tell them.
    """
    started_at: datetime | None = attrs.field(default=None, kw_only=True)
    """ONTAP's ``start_time``."""
    updated_at: datetime | None = attrs.field(default=None, kw_only=True)
    """Cloud Foundry's ``updated_at``, ``update_time`` of ONTAP's data engine."""
    finished_at: datetime | None = attrs.field(default=None, kw_only=True)
    """ONTAP's ``end_time``, only once the state is terminal."""
    errors: tuple[ErrorDetail, ...] = attrs.field(default=(), kw_only=True)
    """All errors: the job's first, then its items', with the item's id as ``target``."""
    warnings: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """In the server's order, without repeats."""
    items: tuple[JobItem, ...] = attrs.field(default=(), kw_only=True)
    links: Mapping[str, str] = attrs.field(default=NO_LINKS, converter=_frozen, kw_only=True)
    resolved: bool = attrs.field(default=False, kw_only=True)
    """True where the state is from the caller's probe (``resolve_gone``), not from the server."""
    observed_at: datetime = attrs.field(factory=_now, eq=False, kw_only=True)
    """When this was received, by this machine's clock."""
    record: Any = attrs.field(default=None, eq=False, repr=False, kw_only=True)
    """The provider's own typed record, with everything the server sent. None after a conversion to JSON and
    back, and in a pickle or a copy of a record that is nested deeper than 100 levels, which pickle cannot
    write."""

    def __hash__(self) -> int:
        return hash(self.ref)

    def __str__(self) -> str:
        """One line for people: the ref, the state, the progress and the message."""
        progress = ""
        if self.progress is not None:  # 99.6 % is not rounded up: 100% means complete
            percent = 100 if self.progress >= 1 else min(round(max(0.0, self.progress) * 100), 99)
            progress = f" {percent}%"
        message = " ".join(self.message.split()) if self.message else ""
        return f"{self.ref} {self.state.name}{progress}{f': {message}' if message else ''}"

    def __getstate__(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in _FIELDS}
        return {**state, "record": None} if too_deep(state["record"]) else state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    @property
    def id(self) -> str:
        """The server's id of the job."""
        return self.ref.id

    @property
    def done(self) -> bool:
        """Whether the state is terminal."""
        return self.state in TERMINAL

    @property
    def succeeded(self) -> bool:
        """Whether the state is SUCCEEDED."""
        return self.state is JobState.SUCCEEDED

    def differs(self, other: Job) -> bool:
        """Whether any field that counts as a change differs from that of ``other``.

        That is: state, native state, message, progress, errors, warnings and items.
        """
        return _observable(self) != _observable(other)


_FIELDS = tuple(attrs.fields_dict(Job))
_SLOTS = (*_FIELDS, "_readers", "_source")


def _observable(job: Job) -> tuple[object, ...]:
    return (
        job.state,
        job.native_state,
        job.message,
        job.progress,
        job.errors,
        job.warnings,
        job.items,
    )


UncheckedJob: Any = unchecked(Job)
"""For decoders of many jobs: a `Job` whose values are not checked (see `common.model.lazy`)."""


def observed_again(job: Job, at: datetime) -> Job:
    """Return the same observation with another time. Lazy fields that were not read stay so."""
    draft = UncheckedJob()
    for name in _SLOTS:
        with suppress(AttributeError):  # a lazy field without a value has none in the copy either
            setattr(draft, name, object.__getattribute__(job, name))
    draft.observed_at = at
    draft.__class__ = Job
    return cast("Job", draft)


JobLike = JobRef | Job | str
"""How a job is named: by its ref, the ref's text, a bare id, or a `Job` from an earlier observation."""


def unique(members: Iterable[_T]) -> tuple[_T, ...]:
    """Return texts, refs or the like in their order, without repeats."""
    return tuple(dict.fromkeys(members))


UNREAD_RESULTS = "the results of its records could not be read"
"""How the warning begins of a job whose results are not known."""


def with_warning(job: Job, warning: str) -> Job:
    """Return the same observation with one more warning."""
    return attrs.evolve(job, warnings=unique((*job.warnings, warning)), observed_at=job.observed_at)


def typed_record(job: Job, kind: type[_T], provider: str) -> _T:
    """Return a job's record of the type ``kind``. Raise `WrongSource` or `UsageError` if it has none."""
    record = job.record
    if isinstance(record, kind):
        return record
    if job.ref.provider != provider:
        raise WrongSource(f"{job.ref} is not a job of {provider}", ref=job.ref, job=job)
    raise UsageError(
        f"{job.ref} has no record, since it was stored or its state is not from a response: call get() first",
        ref=job.ref,
        job=job,
    )


_FrozenMap = FrozenMap
FrozenMap.__qualname__ = "_FrozenMap"  # private, but pickles refer to it by this name, which must stay
set_module(FrozenMap, ErrorArgument, ErrorDetail, JobItem, Job)
