"""The short way from a record to its job, for the plain ones that most are; all others go the long way.

Plain is a record with text where text belongs, that neither failed nor has an error: nothing in it can be
refused. Both ways give the same job. On the short one, what all jobs of a reply have in common is settled
once, and what most callers never look at is read when somebody does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from common.model.job import Job, UncheckedJob
from common.model.refs import JobRef, Scope
from common.model.states import JobState, read_state
from common.response.decoding import moment
from ontapjobs.records import JobRecord, Named, parse_record, read_links, read_named

_OWNERS = ("svm", "node")


class FastReader:
    """Reads the plain records of one reply.

    With ``share`` the records belong to it: what is equal in them becomes one, already read.
    """

    def __init__(
        self,
        provider: str,
        endpoint: str,
        scope: Scope,
        table: Mapping[str, JobState],
        more: Mapping[str, JobState] | None,
        *,
        known: JobRef | None = None,
        share: bool = False,
    ) -> None:
        self._server = provider, endpoint, scope
        self._checked = known
        self._tables = table, more
        self._states: dict[str, tuple[JobState, bool]] = {}
        self._shared = _OWNERS if share else ()
        self._owners: dict[str, tuple[dict[str, Any], Named | None]] = {}
        self._now: datetime = datetime.now(UTC)

    def read(self, data: Any) -> Job | None:
        """The job in a record, or None where the record isn't plain."""
        if type(data) is not dict:
            return None
        get = data.get
        id, word, operation, message = get("uuid"), get("state"), get("description"), get("message")
        if not (
            id
            and type(id) is str
            and type(word) is str
            and (operation is None or type(operation) is str)
            and (message is None or type(message) is str)
            and get("error") is None
        ):
            return None
        state, terminal = self._states.get(word) or self._state(word)
        if state is JobState.FAILED:
            return None
        for key in self._shared:
            if key in data:
                self._share(data, key)
        job = UncheckedJob()
        job.ref = (self._checked or self._check(id)).sibling(id)
        job.state = state
        job.native_state = word
        job.operation = operation
        job.message = message
        job.progress = None
        job.created_at = None
        job.updated_at = None
        if not terminal:
            job.finished_at = None
        job.errors = ()
        job.warnings = ()
        job.items = ()
        job.resolved = False
        job.observed_at = self._now
        job._source = data
        job._readers = _PARTS
        job.__class__ = Job
        return cast("Job", job)

    def _check(self, id: str) -> JobRef:
        provider, endpoint, scope = self._server
        self._checked = JobRef(provider, endpoint, id, scope)
        return self._checked

    def _state(self, word: str) -> tuple[JobState, bool]:
        state = read_state(word, *self._tables)
        found = self._states[word] = state, state.terminal
        return found

    def _share(self, data: dict[str, Any], key: str) -> None:
        # Thousands of jobs have tens of SVMs and nodes: copies of these would be half of what a job keeps.
        owner = data[key]
        name = owner.get("name") if type(owner) is dict else None
        if type(name) is not str:
            return
        known, named = self._owners.get(name) or (None, None)
        if known != owner:
            if not _all_text(owner):
                return
            named = read_named(owner)
            self._owners[name] = owner, named
        data[key] = named


def _all_text(value: object, depth: int = 4) -> bool:
    # What is equal may still differ in numbers, as 1 and 1.0 and true: only text is sure to be the same.
    if type(value) is dict:
        return depth > 0 and all(_all_text(part, depth - 1) for part in value.values())
    return type(value) is str


def _started_at(source: _Source) -> datetime | None:
    return source.start_time if isinstance(source, JobRecord) else moment(source.get("start_time"))


def _finished_at(source: _Source) -> datetime | None:
    return source.end_time if isinstance(source, JobRecord) else moment(source.get("end_time"))


def _links(source: _Source) -> Mapping[str, str]:
    return source.links if isinstance(source, JobRecord) else read_links(source.get("_links"))[0]


def _record(source: _Source) -> JobRecord:
    return source if isinstance(source, JobRecord) else parse_record(source)


_Source = dict[str, Any] | JobRecord
_PARTS: Mapping[str, Callable[[_Source], Any]] = {
    "started_at": _started_at,
    "finished_at": _finished_at,
    "links": _links,
    "record": _record,
}
