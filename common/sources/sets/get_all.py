"""One look at many jobs, also of several systems."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from common.concurrency import run_together
from common.model.job import JobLike
from common.sources.base import BaseSource, look_at
from common.sources.batch_look import Outcome
from common.sources.fleet import Member, route_all


async def get_all(source: Member, jobs: Iterable[JobLike]) -> list[Outcome]:
    """Poll many jobs once, and return them in the order of ``jobs``.

    On ONTAP this takes one request for about 150 jobs, and one more for each job that is not in the response;
    elsewhere one request for each job. The systems of a `Fleet` are polled at the same time. For a job that
    cannot be read, the `JobsError` that ``get`` would raise is returned. If a system does not answer, or
    answers 401 or 429, its remaining jobs get the same error without a request. A failed job is no error.

    Raise `WrongSource` or `UsageError` for any of the jobs before the first request.
    """
    routed = route_all(source, jobs)
    places: dict[BaseSource, list[int]] = {}
    for place, (owner, _) in enumerate(routed):
        places.setdefault(owner, []).append(place)
    outcomes: dict[int, Outcome] = {}

    async def look(owner: BaseSource, mine: list[int]) -> None:
        found = await look_at(owner, [routed[place][1] for place in mine])
        outcomes.update(zip(mine, found, strict=True))

    await run_together([partial(look, owner, mine) for owner, mine in places.items()])
    return [outcomes[place] for place in range(len(routed))]
