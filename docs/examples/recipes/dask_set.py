"""Dask: an async task waits for a set of jobs, and runs again on another worker if its own is lost."""

import os
import sys
from typing import Any

from distributed import Client, LocalCluster

from common import shared_source, to_dict, wait_all


async def wait(refs: list[str]) -> list[dict[str, Any]]:
    """Return the outcome of each job as plain data. This runs in the event loop of a worker."""
    settings = {"user": "admin", "password": os.environ["CLUSTER_PASSWORD"]}
    async with shared_source(os.environ["CLUSTER"], settings=settings) as source:
        return [to_dict(each) for each in await wait_all(source, refs, timeout=3600, check=False)]


def main() -> None:
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        print("workers", *client.run(os.getpid).values(), flush=True)
        refs = sys.stdin.read().split()
        halves = [refs[::2], refs[1::2]]
        futures = client.map(wait, halves, pure=False)  # the result of a pure task would be cached
        outcomes = [outcome for half in client.gather(futures) for outcome in half]
    print("states", *sorted({outcome.get("state", outcome.get("error")) for outcome in outcomes}))
    print("ended", len(outcomes))


if __name__ == "__main__":
    main()
