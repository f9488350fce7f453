"""What the daemon of the tests runs: a sensor, and a job that waits for what it is told to."""

import dagster as dg

from ontapjobs.dagster import OntapResource, job_sensor


class Wait(dg.Config):
    """The jobs to wait for."""

    jobs: list[str]
    cancel: bool = False


@dg.op
async def wait(config: Wait, ontap: OntapResource) -> None:
    """Wait for jobs."""
    await ontap.wait_for_jobs(config.jobs, cancel_jobs=config.cancel)


@dg.job
def waiting() -> None:
    """A run with one step, in a process of its own."""
    wait()


@dg.sensor(job=waiting, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def wanted(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Run the job once for each materialization of ``wanted``, whose metadata is the config."""
    found = context.instance.fetch_materializations(dg.AssetKey("wanted"), 10, context.cursor, ascending=True)
    requests = []
    for record in found.records:
        assert record.asset_materialization is not None
        values = {key: value.value for key, value in record.asset_materialization.metadata.items()}
        requests.append(dg.RunRequest(run_config={"ops": {"wait": {"config": values}}}))
    return dg.SensorResult(requests, cursor=found.cursor or None)


defs = dg.Definitions(
    jobs=[waiting],
    sensors=[
        wanted,
        job_sensor(
            "followed",
            resource="ontap",
            started="started",
            ended="ended",
            minimum_interval_seconds=1,
            default_status=dg.DefaultSensorStatus.RUNNING,
        ),
    ],
    resources={
        "ontap": OntapResource(
            target=dg.EnvVar("CLUSTER"), user="admin", password=dg.EnvVar("CLUSTER_PASSWORD")
        )
    },
)
