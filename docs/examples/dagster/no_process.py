"""Follow jobs without a process that waits: a sensor polls all of them at each tick."""

import dagster as dg

from ontapjobs.dagster import OntapResource, job_metadata, job_sensor


@dg.asset
async def volume_jobs(ontap: OntapResource) -> dg.MaterializeResult[None]:
    refs = await ontap.start_job("POST", "/api/storage/volumes", body={"name": "vol1"})
    return dg.MaterializeResult(metadata={"jobs": refs})


# The sensor materializes this asset; assets that depend on it then run by their automation conditions.
volume = dg.AssetSpec("volume", deps=[volume_jobs])


class Ended(dg.Config):
    jobs: list[str]


@dg.op
async def report(context: dg.OpExecutionContext, config: Ended, ontap: OntapResource) -> None:
    outcomes = await ontap.wait_for_jobs(config.jobs, check=False)
    context.log.info("\n".join(map(str, outcomes)))
    context.add_output_metadata(job_metadata(*outcomes))


@dg.job
def report_jobs() -> None:
    report()


sensor = job_sensor(
    "volume_jobs_ended",
    resource="ontap",
    started="volume_jobs",
    ended="volume",
    job=report_jobs,
    run_config=lambda outcomes: dg.RunConfig({"report": Ended(jobs=[str(each.ref) for each in outcomes])}),
    default_status=dg.DefaultSensorStatus.RUNNING,
)

defs = dg.Definitions(
    assets=[volume_jobs, volume],
    jobs=[report_jobs],
    sensors=[sensor],
    resources={
        "ontap": OntapResource(
            target=dg.EnvVar("CLUSTER"), user="admin", password=dg.EnvVar("CLUSTER_PASSWORD")
        )
    },
)
