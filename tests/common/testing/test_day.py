"""Twenty-four hours with each simulated system, on both event loops: how many requests, and when."""

from __future__ import annotations

import anyio
import pytest

from common import JobState
from common.providers import get_provider
from common.testing import ScriptedSource, run
from tests.contract.systems import SOURCES, System, name_of

DAY = 24 * 3600.0

pytestmark = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@pytest.mark.slow
@pytest.mark.parametrize("system", SOURCES, ids=name_of)
def test_a_wait_of_a_day_takes_the_requests_of_a_day(system: System, backend: str) -> None:
    found = get_provider(system.name).simulator
    assert found is not None
    simulator = found()()

    async def main() -> float:
        words = system.words
        id = simulator.add_job([(words[JobState.RUNNING], DAY), (words[JobState.SUCCEEDED], None)])
        async with system.connect(transport=simulator.transport()) as source:
            assert (await source.wait(id)).succeeded
        return anyio.current_time()

    ended = run(main, backend=backend)
    slowest = system.connect().policy.maximum
    assert DAY <= ended <= DAY + slowest + 1
    assert DAY / slowest <= len(simulator.journal) <= DAY / slowest + 200


@pytest.mark.slow
def test_a_scripted_day_is_as_long(backend: str) -> None:
    source = ScriptedSource()
    job = source.add_job([("running", DAY), "succeeded"])

    async def main() -> float:
        assert (await source.wait(job)).succeeded
        return anyio.current_time()

    assert DAY <= run(main, backend=backend) <= DAY + source.policy.maximum
    assert source.polls(job)[-1] >= DAY
