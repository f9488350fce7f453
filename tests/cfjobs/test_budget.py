"""A foundation that counts requests: waits slow down, none fails, and others are left their part."""

from __future__ import annotations

import time

import anyio
import pytest

from cfjobs import Bearer, CFJobs
from cfjobs.simulator import CFSimulator
from cfjobs.wire import parse_budget
from common import wait_all
from common.polling.throttle import Budget
from common.response.http_response import HttpResponse

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]
HOUR = 3600.0


def headers(**values: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"x-ratelimit-{name}", value) for name, value in values.items())


def test_the_budget_is_read_from_the_headers_against_the_servers_own_clock() -> None:
    date = ("date", "Tue, 14 Nov 2023 22:13:20 GMT")  # 1,700,000,000 s after the epoch
    reply = HttpResponse(200, (date, *headers(limit="2000", remaining="700", reset="1700000100")))
    assert parse_budget(reply) == Budget(2000, 700, 100.0)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"limit": "5"},
        {"limit": "x", "remaining": "1", "reset": "1"},
        {"remaining": "1", "reset": "9"},
        {"limit": "9", "reset": "9"},
        {"limit": "9", "remaining": "1"},
        {"limit": "-1", "remaining": "1", "reset": "9"},
        {"limit": "0", "remaining": "0", "reset": "9"},
        {"limit": "9", "remaining": "1", "reset": "9" * 400},
        {"limit": "9", "remaining": "1", "reset": "-" + "9" * 400},
        {"limit": "9" * 400, "remaining": "1", "reset": "9"},
    ],
    ids=lambda values: str(values)[:60],
)
def test_a_budget_that_is_not_told_whole_is_none(values: dict[str, str]) -> None:
    assert parse_budget(HttpResponse(200, headers(**values))) is None


@pytest.mark.parametrize(
    ("sent", "budget"),
    [
        (("1", "1", "1700000100"), Budget(1, 1, 100.0)),
        (("9", "0", "1700000100"), Budget(9, 0, 100.0)),
        (("9", "-3", "1700000100"), Budget(9, 0, 100.0)),
        (("9", "1", "1699999999"), Budget(9, 1, 0.0)),
        (("9", "1", "1700086400"), Budget(9, 1, 86_400.0)),
        (("9", "1", "1800000000"), Budget(9, 1, 86_400.0)),
        (("1" + "0" * 15, "1", "1700000100"), Budget(10**15, 1, 100.0)),
        (("1" + "0" * 14 + "1", "1", "1700000100"), None),
    ],
)
def test_a_budget_lies_within_what_can_be(sent: tuple[str, str, str], budget: Budget | None) -> None:
    date = ("date", "Tue, 14 Nov 2023 22:13:20 GMT")
    values = headers(limit=sent[0], remaining=sent[1], reset=sent[2])
    assert parse_budget(HttpResponse(200, (date, *values))) == budget


def test_without_the_servers_clock_the_reset_is_held_to_this_machines() -> None:
    values = headers(limit="9", remaining="1", reset=str(int(time.time()) + 100))
    budget = parse_budget(HttpResponse(200, values))
    assert budget is not None
    assert budget.seconds == pytest.approx(100.0, abs=30.0)


@pytest.mark.slow
async def test_a_hundred_waits_live_on_a_small_budget_and_leave_some_of_it() -> None:
    simulator = CFSimulator(rate_limit=200)
    guids = [simulator.add_job([("PROCESSING", 60.0 * n), ("COMPLETE", None)]) for n in range(100)]
    async with CFJobs("https://api.example.org", auth=Bearer("t"), transport=simulator.transport()) as jobs:
        ended = await wait_all(jobs, guids, timeout=12 * HOUR)
    assert all(job.succeeded for job in ended)
    assert [request.status for request in simulator.journal if request.status != 200] == []
    began = simulator.journal[0].at
    for hour in range(int((anyio.current_time() - began) // HOUR) + 1):
        spent = [r for r in simulator.journal if hour * HOUR <= r.at - began < (hour + 1) * HOUR]
        assert len(spent) < 200


async def test_a_budget_that_others_have_used_up_fails_no_wait() -> None:
    simulator = CFSimulator(rate_limit=20)
    guids = [simulator.add_job([("PROCESSING", 300.0), ("COMPLETE", None)]) for _ in range(10)]
    async with CFJobs("https://api.example.org", auth=Bearer("t"), transport=simulator.transport()) as jobs:
        for _ in range(20):
            await jobs.get(guids[0])
        ended = await wait_all(jobs, guids, timeout=6 * HOUR)
    assert all(job.succeeded for job in ended)


async def test_a_broker_that_takes_an_hour_costs_two_requests_a_minute() -> None:
    simulator = CFSimulator()
    minutes = [("POLLING", 60.0)] * 60
    guid = simulator.add_job([("PROCESSING", 5.0), *minutes, ("COMPLETE", None)])
    async with CFJobs("https://api.example.org", auth=Bearer("t"), transport=simulator.transport()) as jobs:
        assert (await jobs.wait(guid)).succeeded
    assert anyio.current_time() - simulator.journal[0].at <= 5 + 3_600 + 2
    assert 115 <= len(simulator.journal) <= 135
