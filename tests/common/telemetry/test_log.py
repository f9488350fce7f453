"""What the log is told of waits, at which level, by which logger, and in which fields."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from common import Event, Job, JobSet, PollPolicy, TransportError, WaitTimeout
from tests.common.lab import Lab, fair
from tests.common.scripted import (
    ENDPOINT,
    JOB,
    Script,
    done,
    error,
    gone,
    job,
    running,
    source,
    unavailable,
)

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

REF = f"cf://api.example.org/{JOB}"


def fields(record: logging.LogRecord, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in names)


def lines(
    caplog: pytest.LogCaptureFixture, level: int, logger: str = "jobsource.cf"
) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == logger and record.levelno == level]


async def test_the_happy_path_is_silent_above_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "jobsource")
    async with source(Script(running, job("POLLING"), done)) as jobs:
        await jobs.wait(JOB)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_each_change_of_state_is_one_line_at_info_by_the_providers_logger(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "jobsource.cf")
    async with source(Script(running, running, job("POLLING"), done)) as jobs:
        await jobs.wait(JOB)
    told = lines(caplog, logging.INFO)
    assert [record.getMessage() for record in told] == [f"{REF} RUNNING", f"{REF} SUCCEEDED"]
    assert [fields(record, "job_ref", "event", "state", "error") for record in told] == [
        (REF, "changed", "RUNNING", None),
        (REF, "changed", "SUCCEEDED", None),
    ]


async def test_a_wait_that_resumes_logs_its_state_only_if_it_is_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with source(Script(running, done)) as jobs:
        seen = await jobs.get(JOB)
        caplog.set_level(logging.INFO, "jobsource.cf")
        await jobs.wait(seen)
    assert [fields(record, "state")[0] for record in lines(caplog, logging.INFO)] == ["SUCCEEDED"]


async def test_each_retry_is_told_at_debug_with_its_attempt_and_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "jobsource.cf")
    limited = error(429, 10013, Retry_After="30")
    async with source(Script(running, unavailable, limited)) as jobs:
        with pytest.raises(WaitTimeout):
            await jobs.wait(JOB, timeout=20)
    told = [record for record in lines(caplog, logging.DEBUG) if fields(record, "event") == ("trouble",)]
    names = ("job_ref", "state", "error", "attempt", "next_in")
    assert [fields(record, *names) for record in told] == [
        (REF, "RUNNING", "ServerError", 1, pytest.approx(0.5, abs=0.5)),
        (REF, "RUNNING", "RateLimited", 2, None),
    ]


@pytest.mark.slow
async def test_an_outage_is_one_warning_and_one_line_when_it_is_over_however_many_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "jobsource.lab")
    lab = Lab(*map(str, range(1000)), room=100)
    async with JobSet(lab, list(lab.ends), changes=True):
        await anyio.sleep(5)
        lab.trouble = lambda _: TransportError("the server is down")
        await anyio.sleep(60)
        lab.trouble = fair
        await anyio.sleep(60)
    (warned,) = lines(caplog, logging.WARNING, "jobsource.lab")
    assert fields(warned, "event", "error", "jobs") == ("outage", "TransportError", 1000)
    assert warned.getMessage().endswith("; jobs waited for: 1000")
    (over,) = [each for each in lines(caplog, logging.INFO, "jobsource.lab") if "again" in each.getMessage()]
    event, failures, seconds = fields(over, "event", "failures", "seconds")
    assert event == "recovered"
    assert failures > 1000
    assert 55 < seconds < 100


async def test_the_next_outage_is_another_warning(caplog: pytest.LogCaptureFixture) -> None:
    async with source(Script(unavailable, running, unavailable, running, done)) as jobs:
        await jobs.wait(JOB)
    assert len(lines(caplog, logging.WARNING)) == 2


async def test_a_failure_of_another_kind_is_one_more_warning_once_an_outage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limited = error(429, 10013)
    async with source(Script(unavailable, limited, unavailable, limited, done)) as jobs:
        await jobs.wait(JOB)
    told = [fields(record, "error") for record in lines(caplog, logging.WARNING)]
    assert told == [("ServerError",), ("RateLimited",)]


async def test_waits_that_begin_and_end_within_an_outage_bring_no_warning_of_their_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "jobsource.cf")
    async with source(Script(*[unavailable] * 50, done)) as jobs:
        for _ in range(3):
            with pytest.raises(WaitTimeout):
                await jobs.wait(JOB, timeout=3)
        await jobs.wait(JOB)
    assert [fields(record, "event") for record in caplog.records] == [
        ("outage",),
        ("recovered",),
        ("changed",),
    ]


async def test_one_job_that_fails_among_others_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lab = Lab("good", "bad")
    lab.trouble = lambda ids: TransportError("no") if "bad" in ids else None
    async with JobSet(lab, ["good", "bad"]):
        await anyio.sleep(60)
    assert len(lines(caplog, logging.WARNING, "jobsource.lab")) == 1


async def test_all_events_are_told_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "jobsource.cf")
    limited = error(429, 10013, Retry_After="30")
    async with source(Script(running, limited, gone, done), policy=PollPolicy(gone_grace=60)) as jobs:
        await jobs.wait(JOB)
    told = [fields(record, "event")[0] for record in lines(caplog, logging.DEBUG)]
    assert told == ["seen", "throttled", "trouble", "gone", "trouble", "seen", "ended"]
    assert f"{ENDPOINT} throttles: no poll for 30.0 s" in caplog.text


async def test_a_line_about_a_function_of_the_caller_names_the_job(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Job | Event) -> None:
        raise RuntimeError("the dashboard is down")

    async with source(Script(done), observer=broken) as jobs:
        await jobs.wait(JOB, on_update=broken)
    told = lines(caplog, logging.ERROR)
    assert {record.getMessage() for record in told} >= {f"{REF}: on_update failed"}
    assert {fields(record, "job_ref")[0] for record in told} == {REF}


async def test_a_provider_that_is_silenced_silences_no_other(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "jobsource.cf")
    caplog.set_level(logging.INFO, "jobsource")
    lab = Lab()
    lab.end("a", 2)
    await lab.wait("a")
    async with source(Script(unavailable, done)) as jobs:
        await jobs.wait(JOB)
    assert lines(caplog, logging.WARNING) == []
    assert len(lines(caplog, logging.INFO, "jobsource.lab")) == 2
