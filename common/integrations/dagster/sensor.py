"""The sensor: it follows the jobs that an asset has started, without a process that waits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from common.hosts.portal import portal
from common.integrations.dagster.cursor import Cursor
from common.integrations.dagster.failures import JOBS, job_metadata
from common.integrations.dagster.resource import JobsResource
from common.integrations.outcomes import worth_retrying
from common.model.errors import JobNotFound, JobsError, UsageError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import JobState
from common.sources.batch_look import Outcome
from common.sources.sets.get_all import get_all
from common.sources.sets.wait_all import wait_all

LOOK_BACK = timedelta(days=1)
"""How far the first tick looks back; most systems have deleted older jobs."""
CONFIRM = 20.0
"""Seconds for which a tick polls a job that is not found: it may be new, or the server may be wrong."""
PAGE = 1000
"""Events that are read at a time."""

RunConfigOf = Callable[[Sequence[Outcome]], dg.RunConfig | Mapping[str, Any]]


def job_sensor(
    name: str,
    *,
    resource: str,
    started: dg.AssetKey | str | Sequence[str],
    ended: dg.AssetKey | str | Sequence[str] | None = None,
    job: Any = None,
    run_config: RunConfigOf | None = None,
    minimum_interval_seconds: int = 30,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """Return a sensor that follows the jobs of an asset, and reports how they ended.

    ``started`` is that asset: ``jobs`` in the metadata of its materializations is a ref, or a list of them.
    ``resource`` is the key of the `JobsResource` for their system. Each tick polls all open jobs, on ONTAP
    with one request for about 150 of them.

    ``ended`` is the asset that gets an event for each job that ended: a materialization if the job succeeded,
    otherwise an observation, with the same partition and with `job_metadata`. ``job`` runs once for each tick
    in which jobs ended; its config is what ``run_config`` returns for their outcomes, each of which has
    ``ref``. Metadata that names no job of the system is reported by an observation and a warning in the
    tick's log, and starts no run. If a tick is interrupted, an event or a run may occur twice.

    ``minimum_interval_seconds`` must be less than the seconds for which the system keeps a job that has ended
    (ONTAP: 300). Raise `UsageError` without ``ended`` and ``job``, and for one of ``job`` and ``run_config``.
    """
    if ended is None and job is None:
        raise UsageError("job_sensor() needs ended= or job=, to report how jobs ended")
    if (job is None) != (run_config is None):
        raise UsageError("job_sensor() takes job= and run_config= only together")
    started_asset = dg.AssetKey.from_coercible(started)
    ended_asset = None if ended is None else dg.AssetKey.from_coercible(ended)

    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        cursor = Cursor.parse(context.cursor)
        _read_started(context.instance, started_asset, cursor)
        with portal() as loop:
            outcomes = loop.call(_look, getattr(context.resources, resource), cursor)
        over: dict[str, Outcome] = {}
        events: list[dg.AssetMaterialization | dg.AssetObservation] = []
        for ref, outcome in outcomes.items():
            _, partition = cursor.jobs[ref]
            if cursor.take(ref, outcome):
                over[ref] = outcome
                if ended_asset is not None:
                    events.append(_event(ended_asset, ref, outcome, partition))
        ended_jobs = {ref: each for ref, each in over.items() if not isinstance(each, UsageError)}
        for each in over.values():
            if isinstance(each, UsageError):
                context.log.warning(
                    "%s names what is no job of the system: %s", started_asset.to_user_string(), each
                )
        requests = []
        if ended_jobs and run_config is not None:
            key = hashlib.sha256("\n".join(sorted(ended_jobs)).encode()).hexdigest()
            requests.append(dg.RunRequest(run_key=key, run_config=run_config(list(ended_jobs.values()))))
        return dg.SensorResult(
            run_requests=requests or None,
            asset_events=events,
            cursor=cursor.dump(),
            skip_reason=None if requests else _summary(over, outcomes),
        )

    return dg.SensorDefinition(
        name=name,
        evaluation_fn=tick,
        job=job,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        description=f"How the jobs ended that {started_asset.to_user_string()} started.",
        required_resource_keys={resource},
    )


def _read_started(instance: dg.DagsterInstance, asset: dg.AssetKey, cursor: Cursor) -> None:
    """Add the jobs that were started since the last tick."""
    since = None if cursor.read else (datetime.now(UTC) - LOOK_BACK).timestamp()
    wanted = dg.AssetRecordsFilter(asset, after_timestamp=since)
    more = True
    while more:
        found = instance.fetch_materializations(wanted, PAGE, cursor.read, ascending=True)
        for record in found.records:
            materialization = record.asset_materialization
            jobs: Any = materialization.metadata.get(JOBS) if materialization is not None else None
            for ref in _listed(jobs.value if jobs is not None else ()):
                cursor.add(ref, record.partition_key)
        cursor.read = found.cursor or cursor.read
        more = found.has_more


def _listed(jobs: str | Iterable[str]) -> list[str]:
    return [jobs] if isinstance(jobs, str) else list(map(str, jobs))


async def _look(resource: JobsResource, cursor: Cursor) -> dict[str, Outcome]:
    """Return the last observation of each open job, or the error with which it was read."""
    outcomes: dict[str, Outcome] = {}
    jobs: dict[str, Job | JobRef] = {}
    async with resource.shared() as source:
        for text, (state, _) in cursor.jobs.items():
            try:
                ref = source.ref(text)
            except JobsError as error:  # a job of another system
                outcomes[text] = error
            else:
                jobs[text] = ref if state is None else Job(ref, JobState[state], observed_at=cursor.looked_at)
        outcomes.update(zip(jobs, await get_all(source, jobs.values()), strict=True))
        absent = [text for text, outcome in outcomes.items() if isinstance(outcome, JobNotFound)]
        if absent:
            waits = wait_all(source, [jobs[text] for text in absent], timeout=CONFIRM, check=False)
            outcomes.update(zip(absent, await waits, strict=True))
    cursor.looked_at = datetime.now(UTC)
    return outcomes


def _event(
    asset: dg.AssetKey, ref: str, outcome: Outcome, partition: str | None
) -> dg.AssetMaterialization | dg.AssetObservation:
    succeeded = isinstance(outcome, Job) and outcome.succeeded
    return (dg.AssetMaterialization if succeeded else dg.AssetObservation)(
        asset,
        description=str(outcome),
        metadata={**job_metadata(outcome), JOBS: dg.MetadataValue.json([ref])},
        partition=partition,
    )


def _summary(over: Mapping[str, Outcome], outcomes: Mapping[str, Outcome]) -> str:
    """Return one sentence about a tick. Raise the error if no job could be read, and no later tick can."""
    unread = [each for ref, each in outcomes.items() if isinstance(each, JobsError) and ref not in over]
    if unread and len(unread) == len(outcomes) and not any(map(worth_retrying, unread)):
        raise unread[0]
    not_jobs = [each for each in over.values() if isinstance(each, UsageError)]
    text = f"{len(over) - len(not_jobs)} jobs ended, {len(outcomes) - len(over)} are open"
    if not_jobs:
        text += f"; {len(not_jobs)} named are no jobs of the system: {not_jobs[0]}"
    return f"{text}; {len(unread)} of them could not be read: {unread[0]}" if unread else text
