"""A wait through several states survives a fault that two requests in a row meet, on each system."""

from __future__ import annotations

import pytest

from common.simulator import faults
from tests.faults.matrix.cases import BLUEXP, CF, ONTAP, Target, open_rig

pytestmark = pytest.mark.anyio

RATE_LIMITED = {"errors": [{"code": 10013, "title": "CF-RateLimitExceeded", "detail": "Rate Limit Exceeded"}]}
FAULTS = [
    faults.RetryAfter(5),
    faults.RetryAfter(5, date=True, status=429),
    faults.Status(429, {"Content-Type": "text/plain", "Retry-After": "7"}, RATE_LIMITED),
    faults.Html(502),
    faults.Html(504),
    faults.Hang(),
    faults.CutBody(7),
    faults.Reset(),
    faults.Refuse(9),
    faults.ContentType("text/plain"),
]
QUEUED = {"ontap": "queued", "bluexp": "PENDING", "cf": "POLLING"}


@pytest.mark.slow
@pytest.mark.parametrize("target", [ONTAP, BLUEXP, CF], ids=lambda target: target.name)
@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_a_wait_survives_a_fault_that_two_requests_meet(target: Target, fault: faults.Fault) -> None:
    async with open_rig(target) as rig:
        script = [(QUEUED[target.name], 5), (target.running, 30), (target.succeeded, None)]
        id = rig.simulator.add_job(script)
        rig.simulator.inject(lambda request: id in request.target, fault, times=2, after=1)
        assert (await rig.source.wait(id, timeout=600)).succeeded
        rig.simulator.verify()
