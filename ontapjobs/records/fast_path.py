"""Decode an ordinary record into a `Job` by a fast path; all others take the general one in ``wire``.

A list or a poll of many jobs returns pages of records, and most of these say that a job goes on as before.
The fast path applies to such an ordinary record: one with text where text is expected, which has not failed
and has no error, so that nothing in it needs a check or a conversion now. Its result equals that of the
general path. It saves time by

* making the `Job` and its `JobRef` without their constructors, and reading times, links and ``record`` on
  access, which most callers never do (both: `common.model.lazy`);
* doing once a page what all its jobs have in common: the check of the ref, the state of each word, the clock;
* reading each SVM and node once a page, and sharing the result (interning): thousands of jobs have tens of
  them, and copies of these would be half of the memory that a job keeps.

Measured with a page of 1,000 records of 513 bytes, from bytes (``python -m tests.benchmarks --only decode``,
Python 3.11): 5.2 µs a record, and 16.4 µs on the general path, 3.2 times as much. With msgspec (the extra
``fast``) it is 3.9 µs and 15.2 µs, 3.9 times as much. Parsing the JSON takes 2.8 µs (with msgspec 1.5 µs) of
these.

``tests/ontapjobs/test_fast_path.py`` guards the equality of both paths by generated records
(``test_both_ways_give_the_same_job_or_the_same_error``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from common.model.job import Job, UncheckedJob
from common.model.refs import RESULTS, JobRef, Scope
from common.model.states import JobState, read_state
from common.response.decoding import moment
from ontapjobs.records.job_record import (
    DATA_ENGINE_KEYS,
    JobRecord,
    Named,
    parse_record,
    read_links,
    read_named,
)

MAX_WORDS = 100
"""The limit of state words that are cached, since a server could send any number of them."""
_SHARED_KEYS = ("svm", "node")


class FastReader:
    """Decodes the ordinary records of one response.

    ``table`` and ``custom`` map the server's words to states. With ``intern`` the records are changed: their
    SVMs and nodes are replaced by shared, decoded ones.
    """

    def __init__(
        self,
        provider: str,
        endpoint: str,
        scope: Scope,
        table: Mapping[str, JobState],
        custom: Mapping[str, JobState] | None,
        *,
        intern: bool = False,
    ) -> None:
        self._origin = provider, endpoint, scope
        self._first_ref: JobRef | None = None
        self._tables = table, custom
        self._states: dict[str, tuple[JobState, bool]] = {}
        self._interned_keys = _SHARED_KEYS if intern else ()
        self._interned: dict[str, tuple[dict[str, Any], Named | None]] = {}
        self.now: datetime = datetime.now(UTC)
        """When the response was received; set again for each one if there are several."""

    def read(self, data: Any, known: JobRef | None = None, text: str | None = None) -> Job | None:
        """Return the job in a record, or None for a record that is not an ordinary one.

        ``known`` is the ref of the job that was asked for. ``text`` is the record as JSON: if given, the lazy
        fields of the job are read from it, which takes less memory than the decoded record.
        """
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
        links = get("_links")
        if type(links) is dict and RESULTS in links:
            return None
        for key in DATA_ENGINE_KEYS:
            if key in data:
                return None
        state, terminal = self._states.get(word) or self._state(word)
        if state is JobState.FAILED:
            return None
        for key in self._interned_keys:
            if key in data:
                self._intern(data, key)
        job = UncheckedJob()
        job.ref = (
            known
            if known is not None and known.id == id
            else (self._first_ref or self._checked_ref(id)).sibling(id)
        )
        job.state = state
        job.native_state = word
        job.operation = operation
        job.message = message
        job.progress = None
        job.created_at = None
        job.updated_at = None
        if not terminal:
            job.finished_at = None
            if text is not None:
                job.started_at = moment(get("start_time"))  # a wait reads it, to know how long the job ran
        job.errors = ()
        job.warnings = ()
        job.items = ()
        job.resolved = False
        job.observed_at = self.now
        job._source = data if text is None else text
        job._readers = _READERS
        job.__class__ = Job
        return cast("Job", job)

    def _checked_ref(self, id: str) -> JobRef:
        provider, endpoint, scope = self._origin
        self._first_ref = JobRef(provider, endpoint, id, scope)
        return self._first_ref

    def _state(self, word: str) -> tuple[JobState, bool]:
        state = read_state(word, *self._tables)
        result = state, state.terminal
        if len(self._states) < MAX_WORDS:
            self._states[word] = result
        return result

    def _intern(self, data: dict[str, Any], key: str) -> None:
        value = data[key]
        name = value.get("name") if type(value) is dict else None
        if type(name) is not str:
            return
        known, named = self._interned.get(name) or (None, None)
        if known != value:
            if not _all_text(value):
                return
            named = read_named(value)
            self._interned[name] = value, named
        data[key] = named


def _all_text(value: object, depth: int = 4) -> bool:
    # Only equal text is identical in every respect: 1, 1.0 and true are equal, but not the same.
    if type(value) is dict:
        return depth > 0 and all(_all_text(part, depth - 1) for part in value.values())
    return type(value) is str


def _started_at(source: _Source) -> datetime | None:
    return source.start_time if isinstance(source, JobRecord) else moment(_fields(source).get("start_time"))


def _finished_at(source: _Source) -> datetime | None:
    return source.end_time if isinstance(source, JobRecord) else moment(_fields(source).get("end_time"))


def _links(source: _Source) -> Mapping[str, str]:
    return source.links if isinstance(source, JobRecord) else read_links(_fields(source).get("_links"))[0]


def _record(source: _Source) -> JobRecord:
    return source if isinstance(source, JobRecord) else parse_record(_fields(source))


def _fields(source: dict[str, Any] | str) -> dict[str, Any]:
    return json.loads(source) if isinstance(source, str) else source


_Source = dict[str, Any] | str | JobRecord
_READERS: Mapping[str, Callable[[_Source], Any]] = {
    "started_at": _started_at,
    "finished_at": _finished_at,
    "links": _links,
    "record": _record,
}
