"""Ray: an async actor for each system runs all waits on it, so they share requests."""

import os
import sys
from typing import Any

import ray

from common import shared_source, to_dict


class System:
    """The waits on one system. Ray restarts a lost actor and its unfinished calls."""

    def __init__(self, target: str) -> None:
        self.target = target

    async def wait(self, ref: str) -> dict[str, Any]:
        """Return the outcome of a job as plain data."""
        settings = {"user": "admin", "password": os.environ["CLUSTER_PASSWORD"]}
        async with shared_source(self.target, settings=settings) as source:
            return to_dict(await source.wait(ref, timeout=3600, check=False))

    async def pid(self) -> int:
        """Return the process id of the actor."""
        return os.getpid()


def main() -> None:
    ray.init(num_cpus=1, include_dashboard=False, configure_logging=False, log_to_driver=False)
    remote: Any = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
    actors = remote(System).options(max_concurrency=10_000)
    system = actors.remote(os.environ["CLUSTER"])
    print("actor", ray.get(system.pid.remote()), flush=True)
    outcomes = ray.get([system.wait.remote(ref) for ref in sys.stdin.read().split()])
    print("states", *sorted({outcome.get("state", outcome.get("error")) for outcome in outcomes}))
    print("ended", len(outcomes))


if __name__ == "__main__":
    main()
