"""Thousands of waits that reach their deadline together: each in time, and none at the cost of the loop."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from common import Job, JobState, PollPolicy, WaitTimeout
from common.polling.deadlines import EXPIRED_AT_ONCE
from tests.common.lab import Lab
from tests.common.scripted import about, outcomes

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

MANY = 3 * EXPIRED_AT_ONCE
RARELY = PollPolicy(initial=100, maximum=100, start_grace=0)


@pytest.mark.slow
async def test_waits_with_one_deadline_end_some_in_each_turn_of_the_loop() -> None:
    lab = Lab(*(f"job-{n}" for n in range(MANY)), room=1000, policy=RARELY)
    ended: list[float] = []
    turns: list[int] = []

    async def one(n: int) -> None:
        with pytest.raises(WaitTimeout) as caught:
            await lab.wait(f"job-{n}", timeout=5)
        assert caught.value.ref is not None
        assert caught.value.ref.id == f"job-{n}"
        ended.append(anyio.current_time())

    async def count() -> None:
        await anyio.sleep(5)
        while len(ended) < MANY and len(turns) < MANY:
            turns.append(len(ended) - sum(turns))
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        for n in range(MANY):
            group.start_soon(one, n)
        group.start_soon(count)
    assert ended == [about(5)] * MANY
    # Between two counts there may be two turns: trio runs the tasks of one turn in any order.
    assert max(turns) <= 2 * EXPIRED_AT_ONCE
    # Not one at a time either: each turn looks for input, and may have replies to read.
    assert sum(1 for turn in turns if turn) <= 12
    assert lab._current_poller().idle


async def test_no_request_is_sent_for_waits_that_are_at_their_deadline() -> None:
    lab = Lab(*(f"job-{n}" for n in range(20)), policy=PollPolicy(initial=1, maximum=1))
    found = await outcomes(*(lab.wait(f"job-{n}", timeout=4) for n in range(20)))
    assert all(isinstance(each, WaitTimeout) for each in found)
    assert max(lab.times) < 4


@pytest.mark.slow
async def test_waits_without_a_deadline_go_on_while_others_expire() -> None:
    lab = Lab(*(f"job-{n}" for n in range(50)), room=1000)
    lab.end("job-49", 9)
    waits = [lab.wait(f"job-{n}", timeout=1 + n % 7) for n in range(49)]
    found = await outcomes(*waits, lab.wait("job-49"))
    assert all(isinstance(each, WaitTimeout) for each in found[:-1])
    assert isinstance(found[-1], Job)
    assert found[-1].state is JobState.SUCCEEDED
    assert lab.times == [about(n) for n in range(10)]
