"""One request for many jobs: how it is split, paged and refused, and what trouble with it never becomes."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import anyio
import httpx
import pytest

from common import Bearer, Job, JobNotFound, JobRef, JobSet, PollPolicy, SourceError, WaitTimeout
from common.model.errors import AuthenticationError, DecodeError
from common.sources.base import replace_observers
from common.telemetry.events import EventKind
from ontapjobs import OntapJobs
from ontapjobs.driver import OntapDriver
from ontapjobs.simulator import OntapSimulator
from tests.common.scripted import about, outcomes
from tests.leaks.tracebacks import Looks, linked

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

JOBS = "/api/cluster/jobs"
POLICY = PollPolicy(initial=1, maximum=1)

Intercept = Callable[[httpx.Request], httpx.Response | None]


class Way(httpx.AsyncBaseTransport):
    """The way to the simulator: counts, times and measures; ``intercept`` may answer in its place."""

    def __init__(self, simulator: OntapSimulator) -> None:
        self._inner = simulator.transport()
        self.intercept: Intercept = lambda _: None
        self.lists: list[float] = []
        """When lists, and their pages, were asked for."""
        self.gets: list[tuple[str, float]] = []
        """Which jobs were asked for by themselves, and when."""
        self.longest = 0
        self.asked_for: list[list[str]] = []
        self.latency = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.longest = max(self.longest, len(request.url.raw_path))
        now = anyio.current_time()
        if is_list(request):
            self.lists.append(now)
            self.asked_for.append(ids_of(request))
        else:
            self.gets.append((unquote(request.url.path.rpartition("/")[2]), now))
        await anyio.sleep(self.latency)
        return self.intercept(request) or await self._inner.handle_async_request(request)


def is_list(request: httpx.Request) -> bool:
    return request.url.path == JOBS


def ids_of(request: httpx.Request) -> list[str]:
    return str(request.url.params.get("uuid", "")).split("|")


def on_lists(answer: Callable[[httpx.Request], httpx.Response | None]) -> Intercept:
    return lambda request: answer(request) if is_list(request) else None


def cluster(**options: Any) -> tuple[OntapSimulator, Way, OntapJobs]:
    simulator = OntapSimulator(seed=1, **options)
    way = Way(simulator)
    source = OntapJobs("cluster1.example.com", auth=Bearer("t"), transport=way, policy=POLICY)
    return simulator, way, source


def crowd(simulator: OntapSimulator, number: int, ends: float = 3.5, end: str = "success") -> list[str]:
    return [simulator.add_job([("running", ends), (end, None)]) for _ in range(number)]


def succeeded(found: list[Job | Exception]) -> bool:
    return all(isinstance(each, Job) and each.succeeded for each in found)


def page(records: list[Any], following: str | None = None) -> httpx.Response:
    links = {"next": {"href": following}} if following else {}
    return httpx.Response(200, json={"records": records, "num_records": len(records), "_links": links})


def record(id: str, state: Any = "running", **fields: Any) -> dict[str, Any]:
    return {"uuid": id, "state": state, **fields}


def api_error(status: int, code: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return httpx.Response(status, json={"error": {"message": "no", "code": code}}, headers=named)


# The request


@pytest.mark.slow
async def test_a_thousand_waits_are_seven_requests_a_poll_of_less_than_six_thousand_bytes_each() -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 1000, ends=1.5)
    assert succeeded(await outcomes(*(source.wait(id) for id in ids)))
    assert way.gets == []
    assert len(way.lists) <= 3 * 7
    assert way.longest <= 6100
    assert max(map(len, way.asked_for)) >= 140


async def test_ids_that_are_no_uuid_never_join() -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 3)
    odd = [
        "*",
        "!x",
        "a|b",
        ids[0] + "|" + ids[1],
        ids[0].replace("-", ""),
        f" {ids[0]}",
        ids[0] + "\n",
        "٣" * 36,
    ]
    found = await outcomes(*(source.wait(id) for id in (*ids, *odd)))
    assert succeeded(found[:3])
    assert all(isinstance(each, JobNotFound) for each in found[3:])
    assert all(set(asked) <= set(ids) for asked in way.asked_for)
    assert {id for id, _ in way.gets} == set(odd)


@pytest.mark.parametrize("shape", [str.upper, str.title, str.lower])
async def test_a_uuid_matches_in_any_letter_case_and_the_job_keeps_the_callers(
    shape: Callable[[str], str],
) -> None:
    _, way, source = cluster()
    ids = [shape(str(UUID(int=0xABCDEF << 100 | n, version=4))) for n in range(3)]

    def answer(request: httpx.Request) -> httpx.Response:
        state = "success" if anyio.current_time() > 2.5 else "running"
        return page([record(id.lower(), state) for id in ids_of(request)])

    way.intercept = answer
    found = await outcomes(*(source.wait(id) for id in ids))
    assert succeeded(found)
    assert way.gets == []
    assert [job.ref.id for job in found if isinstance(job, Job)] == ids


async def test_one_job_in_two_letter_cases_is_two_waits_that_both_end() -> None:
    _, way, source = cluster()
    id = str(UUID(int=0xABCDEF << 100, version=4))
    way.intercept = lambda request: page([record(id, "success")]) if is_list(request) else None
    assert succeeded(await outcomes(source.wait(id), source.wait(id.upper())))


# Pages


@pytest.mark.slow
@pytest.mark.parametrize("short_pages", [False, True])
@pytest.mark.parametrize("page_size", [1, 7, 10, 1000])
async def test_pages_are_followed_to_the_end(short_pages: bool, page_size: int) -> None:
    simulator, way, source = cluster(short_pages=short_pages, page_size=page_size)
    ids = crowd(simulator, 20)
    assert succeeded(await outcomes(*(source.wait(id) for id in ids)))
    assert way.gets == []


@pytest.mark.parametrize("status", [503, 401, 403, 414])
async def test_what_came_on_the_pages_before_a_failure_is_told(status: int) -> None:
    simulator, way, source = cluster(page_size=1)
    first, last = sorted(crowd(simulator, 2, ends=0.5))
    way.intercept = on_lists(
        lambda request: httpx.Response(status) if "start.uuid" in request.url.params else None
    )
    way.latency = 1.0
    found, _ = await outcomes(source.wait(first, timeout=2.5), source.wait(last, timeout=2.5))
    # The second page is the second request, and nothing of the first one was asked for again.
    assert isinstance(found, Job)
    assert found.succeeded
    assert first not in [id for id, _ in way.gets]


async def test_a_failure_of_a_later_page_is_that_of_the_jobs_which_are_still_to_come() -> None:
    simulator, way, source = cluster(page_size=1)
    ids = sorted(crowd(simulator, 2, ends=100))
    told: list[tuple[EventKind, str]] = []
    replace_observers([source], (), [lambda event: told.append((event.kind, event.ref.id))])
    way.intercept = on_lists(
        lambda request: httpx.Response(503) if "start.uuid" in request.url.params else None
    )
    await outcomes(*(source.wait(id, timeout=0.5) for id in ids))
    assert (EventKind.SEEN, ids[0]) in told
    assert (EventKind.TROUBLE, ids[0]) not in told
    assert (EventKind.SEEN, ids[1]) not in told
    assert (EventKind.TROUBLE, ids[1]) in told


@pytest.mark.slow
async def test_only_an_id_that_is_on_no_page_is_asked_for_by_itself() -> None:
    simulator, way, source = cluster(short_pages=True, page_size=4)
    ids = crowd(simulator, 20, ends=30)
    missing = [ids[0], ids[7], ids[19]]
    for id in missing:
        del simulator.jobs[id]
    found = await outcomes(*(source.wait(id) for id in ids))
    assert all(isinstance(each, JobNotFound) == (id in missing) for id, each in zip(ids, found, strict=True))
    assert {id for id, _ in way.gets} == set(missing)


async def test_a_page_that_names_itself_as_the_next_one_is_the_last() -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 3)
    way.intercept = on_lists(
        lambda request: page([record(ids[0], "success")], str(request.url.raw_path.decode()))
    )
    with anyio.fail_after(100):
        assert succeeded(await outcomes(*(source.wait(id) for id in ids)))


async def test_a_list_without_end_hangs_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ontapjobs.driver.MAX_PAGES", 20)
    simulator, way, source = cluster()
    ids = crowd(simulator, 3)
    way.latency = 1.0
    numbers = iter(range(10**9))
    way.intercept = on_lists(lambda _: page([], f"{JOBS}?start.uuid={next(numbers)}"))
    found: list[Job | Exception] = []
    with anyio.move_on_after(600):
        found = await outcomes(*(source.wait(id) for id in ids))
    assert len(way.lists) == 20
    assert succeeded(found)


@pytest.mark.parametrize(
    "href", ["https://elsewhere.example.com/api/cluster/jobs?x=1", "//elsewhere/x", "https://[", "x"]
)
async def test_a_next_page_elsewhere_is_not_followed_and_fails_no_wait(href: str) -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 3, ends=20)
    asked: list[str] = []

    def first_page(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return page([record(id, now_state(3.5)) for id in ids[:2]], href)

    way.intercept = on_lists(first_page)
    assert succeeded(await outcomes(*(source.wait(id) for id in ids)))
    assert len(asked) == 1  # a list whose pages cannot be followed is as good as refused for a while
    assert "uuid=" in asked[0]


@pytest.mark.parametrize("whole", [0, 1])
async def test_the_failure_of_a_page_keeps_nothing_that_the_server_sent(whole: int) -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 3, ends=100)
    first = page([record(ids[0])], f"{JOBS}?start.uuid={ids[0]}")
    echo = httpx.Response(200, text="<html>t0ken-that-came-back</html>")
    way.intercept = on_lists(lambda request: first if whole and "start." not in str(request.url) else echo)
    async with JobSet(source, ids, timeout=5) as jobs:
        jobs.close()
        ended = [outcome async for outcome in jobs]
    errors = [error for outcome in ended if isinstance(outcome, WaitTimeout) for error in linked(outcome)]
    assert any(isinstance(error, DecodeError) for error in errors)
    shown = [text for error in errors for _, text in Looks().shown_by(error)]
    assert not [text for text in shown if "t0ken" in text]


# Too long


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "status"), [(4000, 414), (2000, 413), (1000, 431)])
async def test_what_is_too_long_is_halved_until_it_fits_and_never_becomes_a_thousand_requests(
    limit: int, status: int
) -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 600, ends=1.5)
    way.intercept = on_lists(
        lambda request: (
            httpx.Response(status, text="<h1>Too Long</h1>") if len(request.url.raw_path) > limit else None
        )
    )
    assert succeeded(await outcomes(*(source.wait(id) for id in ids)))
    assert len(way.gets) <= 20  # whoever is left over when the others have their places
    per_request = (limit // 2) // 39 - 2
    polls = 3
    assert len(way.lists) <= 40 + polls * (600 // per_request + 1)


@pytest.mark.parametrize(("jobs", "room", "held"), [(100, 60, range(45, 51)), (5, 2, range(2, 3))])
async def test_what_is_too_long_is_sent_again_in_halves(jobs: int, room: int, held: range) -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, jobs)
    way.intercept = on_lists(lambda request: httpx.Response(414) if len(ids_of(request)) > room else None)
    assert succeeded(await outcomes(*(source.wait(id) for id in ids)))
    sizes = [len(asked) for asked in way.asked_for]
    assert sizes[0] == jobs
    assert sizes[1] == sizes[2]
    assert sizes[1] in held


async def test_where_even_two_are_too_long_each_is_asked_for_by_itself() -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 20)
    way.intercept = on_lists(lambda _: httpx.Response(414, text="<h1>Too Long</h1>"))
    assert succeeded(await outcomes(*(source.wait(id) for id in ids)))
    assert len(way.lists) <= 20
    assert anyio.current_time() < 6


# Refused, or ignored


@pytest.mark.slow
@pytest.mark.parametrize("batch", ["refuse", "ignore"])
@pytest.mark.parametrize("short_pages", [False, True])
async def test_a_filter_that_is_refused_or_ignored_means_single_requests_and_a_list_a_minute(
    batch: Any, short_pages: bool
) -> None:
    simulator, way, source = cluster(batch=batch, short_pages=short_pages, page_size=5)
    ids = crowd(simulator, 4, ends=130.5)
    crowd(simulator, 10, ends=130.5)
    assert succeeded(await outcomes(*(source.wait(id) for id in ids)))
    rounds = [at for n, at in enumerate(way.lists) if n == 0 or at > way.lists[n - 1] + 30]
    assert len(rounds) <= 3
    assert all(later >= earlier + 60 for earlier, later in itertools.pairwise(rounds))
    assert all(120 <= count <= 135 for count in Counter(id for id, _ in way.gets).values())


@pytest.mark.parametrize("state", ["running", "failure"])
@pytest.mark.parametrize("place", [0, 1, 3], ids=["first", "between", "last"])
async def test_a_list_with_a_job_that_nobody_asked_for_tells_of_none(place: int, state: str) -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 3, ends=1.5)

    def answer(request: httpx.Request) -> httpx.Response:
        records = [record(id, "failure") for id in ids_of(request)]
        return page([*records[:place], record(str(UUID(int=7)), state), *records[place:]])

    way.intercept = on_lists(answer)
    assert succeeded(await outcomes(*(source.wait(id) for id in ids)))
    assert {id for id, _ in way.gets} == set(ids)


@pytest.mark.slow
async def test_a_filter_that_is_understood_after_all_is_used_again() -> None:
    simulator, way, source = cluster(batch="refuse")
    ids = crowd(simulator, 10, ends=200)

    async def upgrade() -> Job:
        await anyio.sleep(30)
        simulator.batch = "accept"
        return await source.get(ids[0])

    assert succeeded((await outcomes(*(source.wait(id) for id in ids), upgrade()))[:-1])
    assert max(at for _, at in way.gets) < 63


@pytest.mark.slow
@pytest.mark.parametrize(
    ("refusal", "passes"),
    [
        (api_error(401, "6691623"), False),
        (api_error(429, "0", Retry_After="2"), True),
        (api_error(500, "1"), True),
        (api_error(503, "1", Retry_After="2"), True),
        (httpx.Response(502, text="<html>Bad gateway</html>"), True),
        (httpx.Response(400, text="<html>Bad request</html>"), True),
        (api_error(400, "65562"), True),
        (api_error(500, "262160"), True),
        (httpx.Response(200, text="<html>Maintenance</html>"), True),
        (httpx.Response(302, headers={"Location": "/login"}), True),
    ],
    ids=str,
)
async def test_overload_never_turns_a_list_into_single_requests(
    refusal: httpx.Response, passes: bool
) -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 100, ends=2)
    left = [1, 1, 1]

    def answer(_: httpx.Request) -> httpx.Response | None:
        if passes and not left:
            return None
        if left:
            left.pop()
        return httpx.Response(refusal.status_code, headers=refusal.headers, content=refusal.content)

    way.intercept = on_lists(answer)
    found = await outcomes(*(source.wait(id) for id in ids))
    assert way.gets == []
    assert len(way.lists) < 20
    if passes:
        assert succeeded(found)
    else:
        assert all(isinstance(each, AuthenticationError) for each in found)
        assert len(set(map(id, found))) == 100


@pytest.mark.parametrize("newcomer", [False, True])
async def test_retry_after_on_a_list_is_a_floor_for_the_whole_source(newcomer: bool) -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 5, ends=2)
    refusals = [api_error(429, "0", Retry_After="40")]
    way.intercept = on_lists(lambda _: refusals.pop() if refusals else None)

    async def late() -> Job:
        await anyio.sleep(10)
        return await source.wait(ids[-1])

    works = [*(source.wait(id) for id in ids[:-1]), late() if newcomer else source.wait(ids[-1])]
    assert succeeded(await outcomes(*works))
    times = way.lists + [at for _, at in way.gets]
    assert [at for at in times if 0.1 < at < 39.9] == []
    assert anyio.current_time() == about(40)


async def test_retry_after_on_a_list_never_holds_the_source_for_longer_than_two_minutes() -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 5, ends=2)
    refusals = [api_error(503, "0", Retry_After="3600")]
    way.intercept = on_lists(lambda _: refusals.pop() if refusals else None)
    assert succeeded(await outcomes(*(source.wait(id) for id in ids)))
    assert anyio.current_time() == about(120)


async def test_a_list_that_fails_on_a_later_page_is_no_word_on_who_is_absent() -> None:
    simulator, way, source = cluster(page_size=5)
    ids = crowd(simulator, 20, ends=2)
    failing = [True] * 3
    way.intercept = on_lists(
        lambda request: (
            api_error(503, "1") if "start.uuid" in request.url.params and failing and failing.pop() else None
        )
    )
    assert succeeded(await outcomes(*(source.wait(id) for id in ids)))
    assert way.gets == []


# Records


BAD_STATES: list[Any] = [7, ["running"], {"a": 1}, True]


@pytest.mark.parametrize("state", BAD_STATES, ids=str)
async def test_a_record_that_cannot_be_decoded_does_not_spoil_the_others(state: Any) -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 20, ends=5)
    way.intercept = lambda request: (
        page([record(id, state if id == ids[0] else now_state(5)) for id in ids_of(request)])
        if is_list(request)
        else httpx.Response(200, json=record(ids[0], state))
    )
    bad, *others = await outcomes(*(source.wait(id) for id in ids))
    assert isinstance(bad, DecodeError)
    assert bad.ref == source.ref(ids[0])
    assert succeeded(others)
    assert {id for id, _ in way.gets} == {ids[0]}
    assert len(way.gets) == 3


def now_state(ends: float) -> str:
    return "success" if anyio.current_time() >= ends else "running"


@pytest.mark.parametrize("junk", [None, 7, "x", [], {}, {"state": "running"}, {"uuid": 7}], ids=str)
async def test_a_record_that_is_none_does_not_fail_or_hang_a_wait(junk: Any) -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 20, ends=5)
    way.intercept = on_lists(
        lambda request: page([*(record(id, now_state(5)) for id in ids_of(request)), junk])
    )
    with anyio.move_on_after(100) as scope:
        assert succeeded(await outcomes(*(source.wait(id) for id in ids)))
    assert not scope.cancelled_caught


@pytest.mark.parametrize("junk", [None, "x", {}, {"state": "failure"}, {"uuid": None}], ids=str)
async def test_a_record_without_an_id_does_not_spoil_a_list(junk: Any) -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 3)
    way.intercept = on_lists(
        lambda request: page([junk, *(record(id, now_state(3)) for id in ids_of(request))])
    )
    assert succeeded(await outcomes(*(source.wait(id) for id in ids)))
    assert way.gets == []


@pytest.mark.parametrize(
    "body", [{}, {"num_records": 0}, {"records": None}, {"records": 7}, {"records": "x"}], ids=str
)
async def test_a_list_that_has_no_records_does_not_fail_or_hang_a_wait(body: Any) -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 5, ends=5)
    way.intercept = on_lists(lambda _: httpx.Response(200, json=body))
    with anyio.move_on_after(100) as scope:
        assert succeeded(await outcomes(*(source.wait(id) for id in ids)))
    assert not scope.cancelled_caught


@pytest.mark.slow
async def test_a_stale_list_costs_one_request_a_poll_and_not_two() -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 10, ends=100)
    way.intercept = on_lists(
        lambda request: page([record(id, now_state(100)) for id in ids_of(request) if id != ids[0]])
    )
    assert succeeded(await outcomes(*(source.wait(id) for id in ids)))
    assert 95 <= len(way.gets) <= 105
    assert len([asked for asked in way.asked_for if ids[0] in asked]) <= 3


async def test_a_job_that_shows_late_is_found_once_it_is_in_the_list() -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 5, ends=10)
    late = simulator.jobs.pop(ids[0])

    async def show() -> Job:
        await anyio.sleep(1.5)
        simulator.jobs[late.id] = late
        return await source.get(late.id)

    assert succeeded((await outcomes(*(source.wait(id) for id in ids), show()))[:-1])
    assert len(way.gets) <= 5


async def test_unchanged_records_are_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 50, ends=20.5)
    decoded = Counter[str]()
    genuine = OntapDriver.decode_batch_record

    def counting(driver: OntapDriver, ref: JobRef, record: Any) -> Job:
        decoded[ref.id] += 1
        return genuine(driver, ref, record)

    monkeypatch.setattr(OntapDriver, "decode_batch_record", counting)
    assert succeeded(await outcomes(*(source.wait(id) for id in ids)))
    assert way.gets == []
    assert set(decoded.values()) == {2}


async def test_what_was_seen_last_says_when_it_was_seen_also_where_nothing_had_changed() -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 2, ends=1000)
    asked_at: list[datetime] = []

    def note(_: httpx.Request) -> None:
        asked_at.append(datetime.now(UTC))

    way.intercept = on_lists(note)
    found = await outcomes(*(source.wait(id, timeout=20) for id in ids))
    for each in found:
        assert isinstance(each, WaitTimeout)
        assert each.job is not None
        assert each.job.observed_at >= asked_at[-1]


async def test_how_long_a_job_of_a_list_has_been_running_is_told_by_the_servers_clock() -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 2)
    records = [record(id, start_time="2020-01-01T10:00:00Z") for id in ids]
    headers = {"Date": "Wed, 01 Jan 2020 10:10:00 GMT"}
    way.intercept = lambda _: httpx.Response(200, json={"records": records}, headers=headers)
    policy = PollPolicy(initial=1, maximum=60)
    await outcomes(*(source.wait(id, timeout=30, policy=policy) for id in ids))
    assert len(way.lists) == 1


async def test_a_list_and_a_single_request_tell_the_same_of_a_job() -> None:
    simulator, _, source = cluster()
    fields: dict[str, Any] = {"message": "no space", "code": 7, "error": {"message": "no space", "code": "7"}}
    ids = [simulator.add_job([("failure", None)], **fields) for _ in range(2)]
    listed = await outcomes(*(source.wait(id, check=False) for id in ids))
    assert listed == [await source.get(id) for id in ids]


@pytest.mark.slow
async def test_a_list_of_too_many_bytes_fails_or_hangs_no_wait_for_ever() -> None:
    simulator, way, source = cluster()
    ids = crowd(simulator, 10, ends=5)
    body = json.dumps({"records": [], "padding": "x" * (17 << 20)}).encode()
    way.intercept = on_lists(lambda _: httpx.Response(200, content=body))
    with anyio.move_on_after(100) as scope:
        found = await outcomes(*(source.wait(id) for id in ids))
        assert succeeded(found) or all(isinstance(each, SourceError) for each in found)
    assert not scope.cancelled_caught
