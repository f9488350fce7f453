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
    """Return one observation of each of many jobs, in the order of ``jobs``.

    Where the server answers for many jobs at once (ONTAP) that takes one list request for some 150 of them,
    and one more for each job that the list does not have; elsewhere it takes one request for each job. The
    systems behind a `Fleet` are asked at the same time. In the place of a job that could not be read is the
    `JobsError` that ``get`` would have raised. Where a system does not answer, or refuses with 401 or 429,
    the rest of its jobs get that error and cost no request. A job that failed is no error here.

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
