"""Write metrics in Prometheus' text format, with an observer and no other package."""

import asyncio
from collections import Counter

from common import Event, EventKind
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator, faults


def outcome(event: Event) -> str:
    if event.error is not None:
        return type(event.error).__name__
    return event.job.state.name if event.job and event.kind is EventKind.ENDED else event.kind.name


class Metrics:
    """Counts failed polls by error, and ended waits by outcome."""

    def __init__(self) -> None:
        self.failed_polls: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        if event.kind is EventKind.TROUBLE:
            self.failed_polls[type(event.error).__name__] += 1
        elif event.kind in (EventKind.ENDED, EventKind.ABANDONED):
            self.ended[outcome(event)] += 1

    def text(self) -> str:
        """Return the body of a response to GET /metrics."""
        lines = [f'jobs_failed_polls_total{{error="{name}"}} {n}' for name, n in self.failed_polls.items()]
        lines += [f'jobs_waits_ended_total{{outcome="{name}"}} {n}' for name, n in self.ended.items()]
        return "\n".join(lines)


async def main() -> None:
    cluster, metrics = OntapSimulator(), Metrics()
    uuids = [cluster.add_job([("running", 10), (end, None)]) for end in ("success", "failure")]
    cluster.inject("GET *", faults.Status(503), times=2)
    async with OntapJobs(
        "cluster1", auth=("admin", "x"), transport=cluster.transport(), observer=metrics
    ) as jobs:
        for uuid in uuids:
            await jobs.wait(uuid, check=False)
    print(metrics.text())


asyncio.run(main())

# jobs_failed_polls_total{error="ServerError"} 2
# jobs_waits_ended_total{outcome="SUCCEEDED"} 1
# jobs_waits_ended_total{outcome="FAILED"} 1
