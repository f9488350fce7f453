"""A foundation that counts requests: waits slow down to the policy's maximum, and only a 429 says stop."""

from __future__ import annotations

import itertools
import time

import anyio
import httpx
import pytest

from cfjobs import Bearer, CFJobs, PollPolicy
from cfjobs.simulator import CFSimulator
from cfjobs.wire import parse_budget
from common import wait_all
from common.polling.throttle import Budget
from common.response.http_response import HttpResponse

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]
HOUR, API = 3600.0, "https://api.example.org"
EDGES = ("0", "2000", "18000", "20000")


def headers(**values: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"x-ratelimit-{name}", value) for name, value in values.items())


def test_the_budget_is_read_from_the_headers_against_the_servers_own_clock() -> None:
    date = ("date", "Tue, 14 Nov 2023 22:13:20 GMT")  # 1,700,000,000 s after the epoch
    reply = HttpResponse(200, (date, *headers(limit="2000", remaining="700", reset="1700000100")))
    assert parse_budget(reply) == Budget(2000, 800, 100.0)


def test_a_count_stands_for_the_tenth_of_the_limit_above_it() -> None:
    told = [parse_budget(HttpResponse(200, headers(limit="20000", remaining=n, reset="9"))) for n in EDGES]
    assert [budget and budget.remaining for budget in told] == [1000, 3000, 19_000, 20_000]


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
        (("9", "0", "1700000100"), Budget(9, 0.45, 100.0)),
        (("9", "-3", "1700000100"), Budget(9, 0.45, 100.0)),
        (("9", "1", "1699999999"), Budget(9, 1.45, 0.0)),
        (("9", "1", "1700086400"), Budget(9, 1.45, 86_400.0)),
        (("9", "1", "1800000000"), Budget(9, 1.45, 86_400.0)),
        (("1" + "0" * 15, "1", "1700000100"), Budget(10**15, 1 + 10**15 / 20, 100.0)),
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
async def test_waits_live_on_a_budget_and_leave_some_of_it() -> None:
    simulator = CFSimulator(rate_limit=2000)
    guids = [simulator.add_job([("PROCESSING", HOUR / 2 * n), ("COMPLETE", None)]) for n in range(1, 6)]
    eager = PollPolicy(fraction=0.0)  # five jobs, each every second: nine times the budget
    transport = simulator.transport()
    async with CFJobs(API, auth=Bearer("t"), transport=transport, policy=eager) as jobs:
        ended = await wait_all(jobs, guids, timeout=12 * HOUR)
    assert all(job.succeeded for job in ended)
    assert [request.status for request in simulator.journal if request.status != 200] == []
    began = simulator.journal[0].at
    for hour in range(3):
        spent = [r for r in simulator.journal if hour * HOUR <= r.at - began < (hour + 1) * HOUR]
        assert len(spent) < 2000


@pytest.mark.parametrize("processes", [1, 3])
async def test_a_budget_too_small_for_the_waits_ends_in_silence_until_it_is_renewed(processes: int) -> None:
    simulator = CFSimulator(rate_limit=60, rate_limit_processes=processes)
    guids = [simulator.add_job([("PROCESSING", 2 * HOUR), ("COMPLETE", None)]) for _ in range(10)]
    async with CFJobs(API, auth=Bearer("t"), transport=simulator.transport()) as jobs:
        ended = await wait_all(jobs, guids, timeout=12 * HOUR)
    assert all(job.succeeded for job in ended)
    refused = [request.at - simulator.journal[0].at for request in simulator.journal if request.status == 429]
    assert 0 < len(refused) < 8 * 4  # what was in flight beside the first refusal of each window


@pytest.mark.slow
@pytest.mark.parametrize("counts", [(0,), (2000,), (0, 6000, 4000)], ids=str)
@pytest.mark.parametrize("seconds", [60, 86_400])
async def test_without_a_429_each_job_is_asked_about_within_the_maximum(
    counts: tuple[int, ...], seconds: int
) -> None:
    asked: dict[str, list[float]] = {}
    began, turns = time.time(), itertools.cycle(counts)

    def answer(request: httpx.Request) -> httpx.Response:
        guid = request.url.path.rpartition("/")[2]
        asked.setdefault(guid, []).append(anyio.current_time())
        told = {"limit": "20000", "remaining": str(next(turns)), "reset": str(int(began) + seconds)}
        return httpx.Response(200, json={"guid": guid, "state": "PROCESSING"}, headers=dict(headers(**told)))

    policy = PollPolicy(initial=0.5, maximum=7.0)
    async with CFJobs(API, auth=Bearer("t"), transport=httpx.MockTransport(answer), policy=policy) as jobs:
        await wait_all(jobs, [f"j{n}" for n in range(40)], timeout=100, check=False)
    gaps = [late - early for times in asked.values() for early, late in itertools.pairwise(times)]
    assert len(asked) == 40
    assert max(gaps) <= 7.1
    assert min(gaps) > 0.9  # of a budget that is nearly used up, it takes less than the policy allows


async def test_a_job_of_seconds_is_learnt_of_in_seconds_though_nothing_seems_left() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        done = anyio.current_time() - began >= 5
        told = headers(limit="20000", remaining="0", reset=str(int(time.time()) + 1800))
        return httpx.Response(
            200, json={"guid": "g", "state": "COMPLETE" if done else "PROCESSING"}, headers=dict(told)
        )

    began = anyio.current_time()
    async with CFJobs(API, auth=Bearer("t"), transport=httpx.MockTransport(answer)) as jobs:
        assert (await jobs.wait("g")).succeeded
    assert anyio.current_time() - began < 10


async def test_a_budget_that_others_have_used_up_fails_no_wait() -> None:
    simulator = CFSimulator(rate_limit=20)
    guids = [simulator.add_job([("PROCESSING", 300.0), ("COMPLETE", None)]) for _ in range(10)]
    async with CFJobs(API, auth=Bearer("t"), transport=simulator.transport()) as jobs:
        for _ in range(20):
            await jobs.get(guids[0])
        ended = await wait_all(jobs, guids, timeout=6 * HOUR)
    assert all(job.succeeded for job in ended)


async def test_a_broker_that_takes_an_hour_costs_two_requests_a_minute() -> None:
    simulator = CFSimulator()
    minutes = [("POLLING", 60.0)] * 60
    guid = simulator.add_job([("PROCESSING", 5.0), *minutes, ("COMPLETE", None)])
    async with CFJobs(API, auth=Bearer("t"), transport=simulator.transport()) as jobs:
        assert (await jobs.wait(guid)).succeeded
    assert anyio.current_time() - simulator.journal[0].at <= 5 + 3_600 + 2
    assert 115 <= len(simulator.journal) <= 135
