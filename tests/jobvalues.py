"""Any ref and any job, for property tests."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from common.model.job import ErrorArgument, ErrorDetail, Job, JobItem
from common.model.refs import JobRef
from common.model.states import JobState
from tests.jsonvalues import TEXTS

IDS = st.text(st.characters(), min_size=1, max_size=20)
"""Any text at all: slashes, question marks, spaces, emoji, lone surrogates."""
_LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
_HOSTS = st.one_of(
    st.lists(_LABEL, min_size=1, max_size=3).map(".".join),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map("[{}]".format),
)
_PORTS = st.just("") | st.integers(1, 65535).map(":{}".format)
ENDPOINTS: SearchStrategy[str] = st.just("") | st.builds(
    "{}://{}{}".format, st.sampled_from(["https", "http"]), _HOSTS, _PORTS
)
SCOPES = st.dictionaries(st.sampled_from(["account", "agent"]) | TEXTS, TEXTS, max_size=3)
_SEGMENTS = st.from_regex(r"[A-Za-z0-9_~$:-][A-Za-z0-9_~.-]{0,6}", fullmatch=True)
_PATHS = st.lists(_SEGMENTS, max_size=3).map(lambda parts: "".join(f"/{part}" for part in parts))
_BELOW = st.builds(lambda endpoint, path: endpoint and endpoint + path, ENDPOINTS, _PATHS)
"""Endpoints, some with a path."""
HINTS = st.dictionaries(st.sampled_from(["done", "results"]), TEXTS)
REFS: SearchStrategy[JobRef] = st.builds(
    JobRef, st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True), _BELOW, IDS, SCOPES, HINTS
)

_MAYBE = st.none() | TEXTS
_MOMENTS = st.none() | st.datetimes(
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])
).map(lambda moment: moment.replace(year=max(2, min(moment.year, 9998))).astimezone(UTC))
_ERRORS = st.lists(
    st.builds(
        ErrorDetail,
        TEXTS,
        code=_MAYBE,
        title=_MAYBE,
        target=_MAYBE,
        arguments=st.lists(st.builds(ErrorArgument, TEXTS, _MAYBE), max_size=2).map(tuple),
    ),
    max_size=2,
).map(tuple)
_STATES = st.sampled_from(JobState)


def _items(inner: SearchStrategy[tuple[JobItem, ...]]) -> SearchStrategy[tuple[JobItem, ...]]:
    one = st.builds(JobItem, TEXTS, TEXTS, _STATES, native_state=_MAYBE, errors=_ERRORS, items=inner)
    return st.lists(one, max_size=2).map(tuple)


JOBS: SearchStrategy[Job] = st.builds(
    Job,
    REFS,
    _STATES,
    native_state=_MAYBE,
    operation=_MAYBE,
    message=_MAYBE,
    progress=st.none() | st.floats(0.0, 1.0),
    created_at=_MOMENTS,
    started_at=_MOMENTS,
    updated_at=_MOMENTS,
    finished_at=_MOMENTS,
    errors=_ERRORS,
    warnings=st.lists(TEXTS, max_size=2).map(tuple),
    items=_items(_items(st.just(()))),
    links=st.dictionaries(TEXTS, TEXTS, max_size=2),
    resolved=st.booleans(),
)
