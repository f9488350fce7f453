"""How jobs ended, as Dagster shows and stores it: metadata, and failures that are tried again or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import dagster as dg

from common.integrations.outcomes import failure_of, failures_of
from common.model.errors import JobsError
from common.model.serialize import to_dict
from common.sources.batch_look import Outcome

JOBS = "jobs"
"""The key of metadata under which the refs of jobs are."""
SHOWN = 100
"""So many outcomes are stored whole with one event: Dagster keeps its events in one table."""


def job_metadata(*outcomes: Outcome) -> dict[str, dg.MetadataValue]:
    """Return metadata for a ``MaterializeResult``, an ``Output`` or an event about jobs.

    ``jobs`` has their refs, ``states`` how many ended in which state, and ``outcomes`` each as plain data
    that `from_dict` reads: a hundred at most, those that did not succeed first.
    """
    first = sorted(outcomes, key=lambda outcome: failure_of(outcome) is None)[:SHOWN]
    return {
        JOBS: dg.MetadataValue.json([str(outcome.ref) for outcome in outcomes if outcome.ref is not None]),
        "states": dg.MetadataValue.json(count_states(outcomes)),
        "outcomes": dg.MetadataValue.json([to_dict(outcome) for outcome in first]),
    }


def count_states(outcomes: Sequence[Outcome]) -> Mapping[str, int]:
    """Return how many jobs ended in which state, or with which error."""
    return Counter(
        type(outcome).__name__ if isinstance(outcome, JobsError) else outcome.state.name
        for outcome in outcomes
    )


def failure(outcomes: Sequence[Outcome], *, retryable: bool = True) -> dg.Failure:
    """Return what a step fails with, because of those jobs that did not succeed.

    A retry policy counts only where another try may end otherwise, and not at all unless ``retryable``.
    """
    text, worthwhile = failures_of(outcomes)
    return dg.Failure(text, metadata=job_metadata(*outcomes), allow_retries=retryable and worthwhile)
