"""What did not change between two polls is not decoded again, and yet seen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from cfjobs import Bearer, Job, JobRef, JobState, WaitTimeout
from cfjobs.driver import CFDriver
from cfjobs.simulator import CFSimulator
from common.sources.http import HttpSource
from common.sources.reader import COMPARED

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]


class CountingDriver(CFDriver):
    """Counts what it decodes."""

    decoded = 0

    def parse_job(self, body: bytes, ref: JobRef) -> Job:
        self.decoded += 1
        return super().parse_job(body, ref)


class CountingJobs(HttpSource):
    """A foundation's jobs, over a driver that counts."""

    def __init__(self, simulator: CFSimulator) -> None:
        options = {"transport": simulator.transport()}
        super().__init__(CountingDriver, "https://api.example.org", auth=Bearer("t"), options=options)

    @property
    def decoded(self) -> int:
        assert isinstance(self._driver, CountingDriver)
        return self._driver.decoded


def foundation(**fields: Any) -> tuple[CountingJobs, str]:
    simulator = CFSimulator()
    guid = simulator.add_job([("PROCESSING", 20.5), ("COMPLETE", None)], **fields)
    return CountingJobs(simulator), guid


async def test_a_job_is_decoded_once_for_each_of_its_states() -> None:
    source, guid = foundation()
    assert (await source.wait(guid)).state is JobState.SUCCEEDED
    assert source.decoded == 2


async def test_a_reply_too_large_to_keep_is_decoded_at_each_poll() -> None:
    source, guid = foundation(warnings=["w" * COMPARED])
    assert (await source.wait(guid)).state is JobState.SUCCEEDED
    assert source.decoded > 10


async def test_the_last_observation_is_of_the_last_answer() -> None:
    source, guid = foundation()
    before = datetime.now(UTC)
    with pytest.raises(WaitTimeout) as caught:
        await source.wait(guid, timeout=10.5)
    assert source.decoded == 1
    assert caught.value.job is not None
    assert before <= caught.value.job.observed_at <= datetime.now(UTC)


async def test_a_get_is_always_read_anew() -> None:
    source, guid = foundation()
    first = await source.get(guid)
    await anyio.sleep(1)
    assert await source.get(guid) == first
    assert source.decoded == 2
