"""A wait through several states bears with trouble that shows twice in a row, on each system."""

from __future__ import annotations

import pytest

from common.simulator import faults
from tests.faults.matrix.cases import BLUEXP, CF, ONTAP, Column, bench

pytestmark = pytest.mark.anyio

LIMITED = {"errors": [{"code": 10013, "title": "CF-RateLimitExceeded", "detail": "Rate Limit Exceeded"}]}
TROUBLE = [
    faults.RetryAfter(5),
    faults.RetryAfter(5, date=True, status=429),
    faults.Status(429, {"Content-Type": "text/plain", "Retry-After": "7"}, LIMITED),
    faults.Html(502),
    faults.Html(504),
    faults.Hang(),
    faults.CutBody(7),
    faults.Reset(),
    faults.Refuse(9),
    faults.ContentType("text/plain"),
]
WAITING = {"ontap": "queued", "bluexp": "PENDING", "cf": "POLLING"}


@pytest.mark.parametrize("column", [ONTAP, BLUEXP, CF], ids=lambda column: column.name)
@pytest.mark.parametrize("trouble", TROUBLE, ids=str)
async def test_a_wait_bears_with_it(column: Column, trouble: faults.Fault) -> None:
    async with bench(column) as rig:
        script = [(WAITING[column.name], 5), (column.running, 30), (column.succeeded, None)]
        id = rig.sim.add_job(script)
        rig.sim.inject(lambda request: id in request.target, trouble, times=2, after=1)
        assert (await rig.source.wait(id, timeout=600)).succeeded
        rig.sim.verify()
