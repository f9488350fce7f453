"""Select the jobs of one system by state and by the filters of its list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from common.model.errors import UsageError
from common.model.job import Job
from common.model.states import JobState
from common.providers import get_provider
from common.sources.base import BaseSource


def read_filters(texts: Iterable[str]) -> dict[str, Any]:
    """Return ``key=value`` texts as the keywords of ``list``; a key that is repeated has several values."""
    filters: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--filter must be key=value, such as svm_name=vs1, not {text[:40]!r}")
        key = key.strip().replace(".", "_").replace("-", "_")
        known = filters.get(key)
        filters[key] = value if known is None else [*([known] if isinstance(known, str) else known), value]
    return filters


def select(source: BaseSource, states: Sequence[JobState], filters: Mapping[str, Any]) -> AsyncIterator[Job]:
    """Return the jobs that match. Raise `UsageError` and `Unsupported` before any request.

    The server filters by state where it can. States are compared here too, since a server may have no word
    for one of them.
    """
    by_state = state_filter(source, states, filters)
    try:
        jobs = source.list(**filters, **by_state)
    except UsageError:
        if not by_state:
            raise
        jobs = source.list(**filters)
    return _in_states(jobs, states)


def state_filter(
    source: BaseSource, states: Sequence[JobState], filters: Mapping[str, Any]
) -> dict[str, JobState | list[JobState]]:
    """Return the filter by which the server may select these states itself; empty where it has none."""
    name = get_provider(source.provider).state_filter
    if not name or not states or name in filters:
        return {}
    return {name: states[0] if len(states) == 1 else list(states)}


async def count(source: BaseSource, states: Sequence[JobState], filters: Mapping[str, Any]) -> int:
    """Return how many jobs match: by the server's own count where it has one, else by reading them."""
    server_count = getattr(source, "count", None)
    by_state = state_filter(source, states, filters)
    if server_count is not None and (by_state or not states):
        try:
            number: int = await server_count(**filters, **by_state)
        except UsageError:
            if not by_state:
                raise
        else:
            return number
    return len([job async for job in select(source, states, filters)])


async def _in_states(jobs: AsyncIterator[Job], states: Sequence[JobState]) -> AsyncIterator[Job]:
    async for job in jobs:
        if not states or job.state in states:
            yield job
