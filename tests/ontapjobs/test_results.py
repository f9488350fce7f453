"""Writes of many records: what became of each of them is read once their job has ended."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs
import httpx
import pytest

import ontapjobs.writes.results
from common import (
    Adopted,
    ErrorDetail,
    Fleet,
    Job,
    JobFailed,
    JobPartiallyFailed,
    JobRef,
    JobState,
    PollPolicy,
    UsageError,
    WaitTimeout,
    from_dict,
    to_dict,
    wait_all,
)
from common.simulator import NewJob
from ontapjobs import JobRecord, OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.common.virtual import cancelled_at, count_awaits
from tests.pickled import pickled

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

HOST = "https://cluster1.example.com"
LUNS = "/api/storage/luns"
POSTED = {"records": [{"name": "lun1"}, {"name": "lun2"}, {"name": "lun3"}]}
DUPLICATE = {"message": "duplicate entry", "code": "1", "target": "records[1]"}
DETAIL = ErrorDetail("duplicate entry", code="1", target="records[1]")
POLICY = PollPolicy(initial=1, maximum=4)
BUSY = httpx.Response(503, text="<html>busy</html>")
FORBIDDEN = httpx.Response(403, json={"error": {"message": "not authorized for that command", "code": "6"}})

Intercept = Callable[[httpx.Request], httpx.Response | None]


def asks_for_results(request: httpx.Request) -> bool:
    return "job_results_uuid" in request.url.params


@attrs.define(eq=False)
class Cluster(httpx.AsyncBaseTransport):
    """The way to a simulated cluster; ``intercept`` may answer a request for results in its place."""

    simulator: OntapSimulator
    intercept: Intercept = lambda _: None
    lines: list[str] = attrs.field(factory=list[str])

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.lines.append(f"{request.method} {request.url.raw_path.decode()}")
        await anyio.sleep(0.01)
        answer = self.intercept(request) if asks_for_results(request) else None
        return answer or await self.simulator.transport().handle_async_request(request)

    @property
    def results(self) -> list[str]:
        """The requests for results."""
        return [line for line in self.lines if "job_results_uuid" in line]

    @asynccontextmanager
    async def source(self) -> AsyncGenerator[OntapJobs, None]:
        """A source of this cluster, as any process may have one."""
        async with OntapJobs(HOST, auth=("u", "p"), transport=self, policy=POLICY) as source:
            yield source


def cluster(*errors: dict[str, Any], end: str = "success", seconds: float = 10, **results: Any) -> Cluster:
    """A cluster whose writes of many records have these errors in their results."""
    job = NewJob([("running", seconds), (end, None)], {"results": {"errors": list(errors), **results}})
    return Cluster(OntapSimulator(on_write=job))


async def written(cluster: Cluster, inline: float | None = None) -> Adopted:
    async with cluster.source() as source:
        return await source.start("POST", LUNS, json=POSTED, inline=inline)


# --- what the job becomes


async def test_a_success_with_errors_among_its_records_is_partial() -> None:
    way = cluster(DUPLICATE)
    async with way.source() as source:
        started = await source.start("POST", LUNS, json=POSTED)
        with pytest.raises(JobPartiallyFailed, match=r"duplicate entry \[code 1, target records\[1\]\]"):
            await source.wait(started.refs[0])
        job = await source.wait(started.refs[0], check=False)
    assert (job.state, job.native_state, job.errors) == (JobState.PARTIAL, "success", (DETAIL,))
    assert [(item.id, item.kind, item.state) for item in job.items] == [
        ("lun1", "record", JobState.SUCCEEDED),
        ("lun3", "record", JobState.SUCCEEDED),
        ("records[1]", "record", JobState.FAILED),
    ]
    assert job.items[2].errors == (DETAIL,)
    assert way.results == [f"GET {LUNS}?job_results_uuid={job.id}"] * 2  # once for each wait


async def test_a_success_without_any_stays_one_and_has_its_records() -> None:
    way = cluster()
    async with way.source() as source:
        [job] = await wait_all(source, (await written(way)).waitable)
    assert job.succeeded
    assert [item.id for item in job.items] == ["lun1", "lun2", "lun3"]
    assert job.warnings == ()
    assert isinstance(job.record, JobRecord)
    assert job.record.extra["results"]["records"] == POSTED["records"]


async def test_a_failure_stays_one_and_says_what_each_record_says() -> None:
    way = cluster(DUPLICATE, end="failure", records=[{"name": "lun1"}])
    async with way.source() as source:
        started = await source.start("POST", LUNS, json=POSTED)
        with pytest.raises(JobFailed, match="duplicate entry") as caught:
            await source.wait(started.refs[0])
    job = caught.value.job
    assert job.state is JobState.FAILED
    assert job.errors[-1] == DETAIL
    assert job.items[0].state is JobState.UNKNOWN  # done, perhaps, and undone again


async def test_an_error_of_the_rollback_counts() -> None:
    way = cluster(rollback_errors=[{"message": "lun1 is mapped", "code": 5374}])
    async with way.source() as source:
        job = await source.wait((await written(way)).refs[0], check=False)
    assert job.state is JobState.PARTIAL
    assert job.errors == (ErrorDetail("lun1 is mapped", code="5374", title="while rolling back"),)


ODD_ERRORS: dict[str, tuple[Any, str]] = {
    "one alone": (DUPLICATE, "duplicate entry"),
    "nested": ([{"error": DUPLICATE}], "duplicate entry"),
    "text": (["duplicate entry"], "duplicate entry"),
    "text alone": ("duplicate entry", "duplicate entry"),
    "without a message": ([{"code": "1"}], "the server gave no reason"),
    "a number": ([7], "7"),
    "an array": ([[1]], "[1]"),
}


@pytest.mark.parametrize(("errors", "message"), ODD_ERRORS.values(), ids=ODD_ERRORS)
async def test_no_error_is_lost_whatever_its_form(errors: Any, message: str) -> None:
    way = cluster()
    way.intercept = lambda _: httpx.Response(200, json={"records": None, "errors": errors})
    async with way.source() as source:
        job = await source.wait((await written(way)).refs[0], check=False)
    assert (job.state, [error.message for error in job.errors]) == (JobState.PARTIAL, [message])


async def test_an_odd_byte_hides_no_error_and_the_job_says_so() -> None:
    way = cluster()
    way.intercept = lambda _: httpx.Response(200, content=b'{"errors": [{"message": "no space on p\xe9re"}]}')
    async with way.source() as source:
        job = await source.wait((await written(way)).refs[0], check=False)
    assert (job.state, job.errors[0].message) == (JobState.PARTIAL, "no space on p\ufffdre")
    assert "U+FFFD" in job.warnings[0]


async def test_a_record_with_an_error_of_its_own_is_a_failed_item() -> None:
    way = cluster(records=[{"uuid": "1"}, {"uuid": "2", "error": {"message": "no space"}}, "odd"])
    async with way.source() as source:
        job = await source.wait((await written(way)).refs[0], check=False)
    assert [(item.id, item.state.name) for item in job.items] == [
        ("1", "SUCCEEDED"),
        ("2", "FAILED"),
        ("3", "SUCCEEDED"),
    ]
    assert job.errors == job.items[1].errors == (ErrorDetail("no space", target="2"),)


@pytest.mark.parametrize(
    ("record", "id"),
    [
        ({"name": "lun1", "uuid": "u1", "path": "/vol/lun1"}, "u1"),
        ({"name": "lun1", "path": "/vol/lun1"}, "lun1"),
        ({"path": "/vol/lun1", "uuid": None}, "/vol/lun1"),
        ({"svm": {"name": "vs1"}}, "1"),
    ],
)
async def test_a_record_is_called_by_the_best_that_it_has(record: dict[str, Any], id: str) -> None:
    way = cluster(records=[record])
    async with way.source() as source:
        job = await source.wait((await written(way)).refs[0], check=False)
    assert [item.id for item in job.items] == [id]


async def test_results_that_are_only_counted_are_results() -> None:
    way = cluster()
    way.intercept = lambda _: httpx.Response(200, json={"num_records": 0})
    async with way.source() as source:
        job = await source.wait((await written(way)).refs[0])
    assert (job.state, job.items, job.warnings) == (JobState.SUCCEEDED, (), ())


async def test_only_an_error_that_names_a_record_of_the_write_makes_an_item() -> None:
    errors = [{"message": "a", "target": target} for target in ("records[0].name", "records", "name", None)]
    undone = [{"message": "b", "target": "records[2]"}]
    way = cluster(*errors, records=[], rollback_errors=undone)
    async with way.source() as source:
        job = await source.wait((await written(way)).refs[0], check=False)
    assert [(item.id, len(item.errors)) for item in job.items] == [("records[0]", 1)]
    assert len(job.errors) == 5


async def test_a_list_that_goes_round_in_circles_ends_and_one_without_an_end_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ontapjobs.writes.results, "MAX_PAGES", 3)
    way = cluster()

    def page(number: int) -> httpx.Response:
        link = {"next": {"href": f"{LUNS}?job_results_uuid=1&page={number}"}}
        return httpx.Response(200, json={"records": [{"name": "a"}], "_links": link})

    async with way.source() as source:
        way.intercept = lambda _: page(len(way.results) % 2)
        job = await source.wait((await written(way)).refs[0])
        assert (len(job.items), job.warnings, len(way.results)) == (3, (), 3)
        way.intercept = lambda _: page(len(way.results))
        job = await source.wait((await written(way)).refs[0])
    assert len(job.items) == 3
    assert job.warnings[0].endswith("the results have more than 3 pages")


async def test_results_are_read_to_their_last_page() -> None:
    way = cluster()
    following = [{"next": {"href": f"{LUNS}?job_results_uuid=1&start.index={index}"}} for index in range(2)]
    pages = [
        {"records": [], "_links": following[0]},
        {"records": [{"name": "a"}], "_links": following[1]},
        {"records": [{"name": "b"}], "errors": [DUPLICATE]},
    ]
    way.intercept = lambda _: httpx.Response(200, json=pages[len(way.results) - 1])
    async with way.source() as source:
        job = await source.wait((await written(way)).refs[0], check=False)
    assert [item.id for item in job.items] == ["a", "b", "records[1]"]
    assert len(way.results) == 3


# --- where the link is kept


async def test_the_write_alone_tells_the_link_and_any_process_goes_on_from_the_refs_text() -> None:
    way = cluster(DUPLICATE)
    [ref] = (await written(way)).refs
    text = str(ref)
    assert text == f"ontap://cluster1.example.com/{ref.id}?results={LUNS}"
    async with way.source() as elsewhere:
        for job in (text, JobRef.parse(text), pickled(ref)):
            assert (await elsewhere.wait(job, check=False)).state is JobState.PARTIAL
        async with Fleet([elsewhere]) as fleet:
            assert (await fleet.wait(text, check=False)).state is JobState.PARTIAL


@pytest.mark.parametrize("seconds", [0, 5, 60])
async def test_any_process_goes_on_from_a_stored_job_also_one_that_has_ended(seconds: float) -> None:
    way = cluster(DUPLICATE, seconds=20)
    [ref] = (await written(way)).refs
    way.intercept = lambda _: BUSY
    await anyio.sleep(seconds)
    async with way.source() as first:
        stored = json.dumps(to_dict(await first.get(ref)))
    way.intercept = lambda _: None
    await anyio.sleep(30)
    async with way.source() as elsewhere:
        job = await elsewhere.wait(from_dict(json.loads(stored)), check=False)
        assert (job.state, job.ref, job.ref.hints) == (JobState.PARTIAL, ref, ref.hints)
        asked = len(way.lines)
        assert await elsewhere.wait(from_dict(to_dict(job)), check=False) == attrs.evolve(job, record=None)
        assert len(way.lines) == asked  # nothing is left to be read


async def test_a_job_that_names_its_results_itself_needs_no_hint() -> None:
    way = cluster(DUPLICATE)
    [ref] = (await written(way)).refs
    links = {"results": {"href": f"https://proxy.example{LUNS}?job_results_uuid={ref.id}"}}
    way.simulator.jobs[ref.id].fields = {**way.simulator.jobs[ref.id].fields, "_links": links}
    async with way.source() as source:
        assert (await source.wait(ref.id, check=False)).state is JobState.PARTIAL
    assert way.results == [f"GET {LUNS}?job_results_uuid={ref.id}"]


async def test_a_write_that_ended_inline_is_waited_for_by_its_ref() -> None:
    way = cluster(DUPLICATE, seconds=1)
    started = await written(way, inline=15)
    assert (started.status, [job.state for job in started.jobs]) == (201, [JobState.SUCCEEDED])
    assert started.waitable == started.refs
    async with way.source() as source:
        outcomes = await wait_all(source, started.waitable, check=False)
        assert [outcome.ref for outcome in outcomes] == list(started.refs)
        assert isinstance(outcomes[0], Job)
        assert outcomes[0].state is JobState.PARTIAL
        assert (await source.wait(started.jobs[0], check=False)).state is JobState.PARTIAL


async def test_the_link_gives_a_path_alone_whoever_it_names() -> None:
    way = cluster()
    async with way.source() as source:
        for href in (f"https://evil.example{LUNS}?job_results_uuid=7", f"//evil.example/x{LUNS}", LUNS):
            body = {"job": {"uuid": "7", "_links": {"results": {"href": href}}}}
            [ref] = source.adopt(status=202, body=body).refs
            assert ref.hints == (("results", LUNS),)
        odd = f"{LUNS}?svm.name=vs1&job_results_uuid=8"
        body = {"job": {"uuid": "7", "_links": {"results": {"href": odd}}}}
        [ref] = source.adopt(status=202, body=body).refs
        assert source.ref(str(ref)).hints == ref.hints == (("results", odd),)


@pytest.mark.parametrize("href", ["", "/x", "/api/../x", "/api/a b", "/api/%2e%2e/x", "/v1" * 999, 7, None])
async def test_a_link_that_is_no_path_of_the_api_is_no_hint(href: Any) -> None:
    async with cluster().source() as source:
        body = {"job": {"uuid": "7", "_links": {"results": {"href": href}}}}
        assert source.adopt(status=202, body=body).refs[0].hints == ()


@pytest.mark.parametrize(
    "query", ["results=/secret", "results=/api/../x", "results=", "done=500", "done=yes", "done="]
)
async def test_a_hint_that_no_write_gave_is_refused_before_any_request(query: str) -> None:
    way = cluster()
    async with way.source() as source:
        with pytest.raises(UsageError, match="the ref's hint"):
            await source.wait(f"ontap://cluster1.example.com/7?{query}")
    assert way.lines == []


# --- how it is read


async def test_a_watch_tells_the_end_once_with_its_results() -> None:
    way = cluster(DUPLICATE)
    async with way.source() as source:
        states = [job.state async for job in source.watch((await written(way)).refs[0])]
    assert states == [JobState.RUNNING, JobState.PARTIAL]


async def test_the_end_of_a_job_with_results_is_a_line_of_the_log_as_any_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "jobsource.ontap")
    way = cluster()
    async with way.source() as source:
        await source.wait((await written(way)).refs[0])
    changes = [vars(each)["state"] for each in caplog.records if vars(each).get("event") == "changed"]
    assert changes == ["RUNNING", "SUCCEEDED"]


async def test_waits_for_one_job_share_its_results_also_without_the_hint() -> None:
    way = cluster(DUPLICATE)
    [ref] = (await written(way)).refs
    async with way.source() as source:
        outcomes = await wait_all(source, [ref.id, ref, ref.id, str(ref)], check=False)
    assert [outcome.state for outcome in outcomes if isinstance(outcome, Job)] == [JobState.PARTIAL] * 4
    assert len(way.results) == 1


async def test_jobs_of_one_request_have_each_its_own() -> None:
    way = cluster(DUPLICATE)
    async with way.source() as source:
        refs = [(await source.start("POST", LUNS, json=POSTED)).refs[0] for _ in range(5)]
        plain = way.simulator.add_job([("running", 10), ("success", None)])
        outcomes = await wait_all(source, [*refs, plain], check=False)
    states = [outcome.state for outcome in outcomes if isinstance(outcome, Job)]
    assert states == [JobState.PARTIAL] * 5 + [JobState.SUCCEEDED]
    assert sorted(way.results) == sorted(f"GET {LUNS}?job_results_uuid={ref.id}" for ref in refs)
    assert not any(f"GET /api/cluster/jobs/{ref.id}" in line for line in way.lines for ref in refs)
    assert source._current_poller().idle


@pytest.mark.slow
async def test_passing_trouble_is_waited_out_and_the_job_is_not_asked_about_any_more() -> None:
    way = cluster(DUPLICATE)
    way.intercept = lambda _: BUSY if anyio.current_time() < 1000 else None
    way.simulator.retention = 2000
    async with way.source() as source:
        job = await source.wait((await written(way)).refs[0], check=False)
    assert job.state is JobState.PARTIAL
    assert anyio.current_time() >= 1000
    assert way.lines[way.lines.index(way.results[0]) :] == way.results


PASSING: dict[str, httpx.Response] = {
    "a router": httpx.Response(404, text="<html>no route</html>"),
    "overload": httpx.Response(400, json={"error": {"message": "too many requests", "code": "262160"}}),
    "a page": httpx.Response(200, text="<html>sign in</html>"),
    "half a reply": httpx.Response(200, text='{"records": ['),
}


@pytest.mark.parametrize("answer", PASSING.values(), ids=PASSING)
async def test_what_is_not_the_apis_word_is_passing_trouble(answer: httpx.Response) -> None:
    way = cluster(DUPLICATE)
    way.intercept = lambda _: answer if len(way.results) < 4 else None
    async with way.source() as source:
        job = await source.wait((await written(way)).refs[0], check=False)
    assert (job.state, job.warnings, len(way.results)) == (JobState.PARTIAL, (), 4)


LASTING: dict[str, httpx.Response] = {
    "forbidden": FORBIDDEN,
    "gone": httpx.Response(404, json={"error": {"message": "entry doesn't exist", "code": "4"}}),
    "no such API": httpx.Response(404, json={"error": {"message": "API not found", "code": "3"}}),
    "refused": httpx.Response(400, json={"error": {"message": "unknown field", "code": "262197"}}),
    "a redirect to another server": httpx.Response(
        302, headers={"location": "https://sso.example.com/login"}
    ),
    "refused without a word": httpx.Response(403, json={"error": {}}),
    "no results": httpx.Response(200, json={"name": "something else"}),
    "of another form": httpx.Response(200, json={"records": [], "errors": True}),
}


@pytest.mark.parametrize("answer", LASTING.values(), ids=LASTING)
@pytest.mark.parametrize("end", ["success", "failure"])
async def test_any_other_failure_leaves_the_state_and_adds_a_warning(
    answer: httpx.Response, end: str
) -> None:
    way = cluster(DUPLICATE, end=end)
    way.intercept = lambda _: answer
    async with way.source() as source:
        job = await source.wait((await written(way)).refs[0], check=False)
        assert job.native_state == end
        assert job.state is {"success": JobState.SUCCEEDED, "failure": JobState.FAILED}[end]
        [warning] = job.warnings
        assert warning.startswith("the results of its records could not be read: ")
        assert "access to /api/cluster/jobs" not in warning
        assert ("answered 403: not authorized for that command (code 6)" in warning) == (answer is FORBIDDEN)
        assert (await source.wait(job, check=False)) is job
    assert len(way.results) == 1


async def test_what_the_first_pages_told_counts_though_the_next_is_refused() -> None:
    way = cluster()
    first = {"errors": [DUPLICATE], "_links": {"next": {"href": f"{LUNS}?job_results_uuid=1&start.index=1"}}}
    way.intercept = lambda _: FORBIDDEN if len(way.results) > 1 else httpx.Response(200, json=first)
    async with way.source() as source:
        job = await source.wait((await written(way)).refs[0], check=False)
    assert (job.state, len(job.warnings)) == (JobState.PARTIAL, 1)


@pytest.mark.slow
@pytest.mark.parametrize("timeout", [20, 0])
async def test_a_deadline_ends_the_wait_and_the_error_has_the_end_of_the_job(timeout: float) -> None:
    way = cluster(DUPLICATE)
    way.intercept = lambda _: BUSY
    [ref] = (await written(way)).refs
    await anyio.sleep(0 if timeout else 20)
    begun = anyio.current_time()
    async with way.source() as source:
        with pytest.raises(WaitTimeout, match=r"ended SUCCEEDED 'success' .*, but the results of") as caught:
            await source.wait(ref, timeout=timeout)
        assert anyio.current_time() - begun == pytest.approx(timeout, abs=0.1)
        assert not caught.value.final
        ended = caught.value.job
        assert ended is not None
        way.intercept = lambda _: None
        way.simulator.jobs[ref.id].fields = {**way.simulator.jobs[ref.id].fields, "state": "running"}
        assert (await source.wait(ended, check=False, timeout=0)).state is JobState.PARTIAL


@pytest.mark.slow
@pytest.mark.parametrize("timeout", [20, 0])
async def test_a_failure_is_told_at_the_deadline_with_what_is_known(timeout: float) -> None:
    way = cluster(DUPLICATE, end="failure")
    way.intercept = lambda _: BUSY
    [ref] = (await written(way)).refs
    await anyio.sleep(0 if timeout else 20)
    async with way.source() as source:
        with pytest.raises(JobFailed) as caught:
            await source.wait(ref, timeout=timeout)
    assert "could not be read: GET the results" in caught.value.job.warnings[0]


async def test_without_a_deadline_it_is_given_up_after_the_outage_limit() -> None:
    way = cluster(DUPLICATE)
    way.intercept = lambda _: BUSY
    async with way.source() as source:
        job = await source.wait((await written(way)).refs[0], policy=PollPolicy(outage_limit=600))
    assert (job.state, len(job.warnings)) == (JobState.SUCCEEDED, 1)
    assert 600 <= anyio.current_time() <= 700


async def test_timeout_0_reads_the_job_and_its_results() -> None:
    way = cluster(DUPLICATE)
    [ref] = (await written(way)).refs
    async with way.source() as source:
        with pytest.raises(WaitTimeout, match="last seen RUNNING"):
            await source.wait(ref, timeout=0)
        await anyio.sleep(20)
        assert (await source.wait(ref, timeout=0, check=False)).state is JobState.PARTIAL


async def test_get_reads_them_too_and_says_where_it_could_not() -> None:
    way = cluster(DUPLICATE)
    [ref] = (await written(way)).refs
    async with way.source() as source:
        assert (await source.get(ref)).state is JobState.RUNNING
        assert way.results == []
        await anyio.sleep(20)
        way.intercept = lambda _: BUSY
        job = await source.get(ref)
        assert (job.state, len(job.warnings)) == (JobState.SUCCEEDED, 1)
        way.intercept = lambda _: None
        assert (await source.get(job)).state is JobState.PARTIAL
        again = await source.wait(job, check=False)  # it costs one request: that it had failed is forgotten
        assert (again.state, again.warnings) == (JobState.PARTIAL, ())


async def test_a_named_state_counts_once_the_results_are_known() -> None:
    way = cluster(DUPLICATE)
    async with way.source() as source:
        [ref] = (await written(way)).refs
        with pytest.raises(JobPartiallyFailed):
            await source.wait(ref, until={JobState.SUCCEEDED})
        assert (await source.wait(ref, until={JobState.PARTIAL})).state is JobState.PARTIAL


async def test_a_cancelled_wait_leaves_nothing_and_a_cancelled_step_of_a_watch_goes_on() -> None:
    way = cluster(DUPLICATE)
    [ref] = (await written(way)).refs
    await anyio.sleep(20)
    async with way.source() as source:
        awaits = await count_awaits(source.wait(ref, check=False))
        for number in range(1, awaits + 1):
            await cancelled_at(number, source.wait(ref, check=False))
            assert source._current_poller().idle
            watch = source.watch(ref)
            if await cancelled_at(number, watch.__anext__()):
                assert [job.state async for job in watch] == [JobState.PARTIAL]


async def test_a_job_that_is_lost_while_its_results_are_read_has_ended_all_the_same() -> None:
    way = cluster(DUPLICATE)
    [ref] = (await written(way)).refs
    way.intercept = lambda _: BUSY
    async with way.source() as source:
        watch = source.watch(ref)
        assert (await watch.__anext__()).state is JobState.RUNNING
        with anyio.move_on_after(60):
            await watch.__anext__()
        way.intercept = lambda _: httpx.Response(200, json={"records": [], "errors": [DUPLICATE]})
        del way.simulator.jobs[ref.id]
        assert (await watch.__anext__()).state is JobState.PARTIAL


async def test_a_connection_that_breaks_is_passing_trouble() -> None:
    way = cluster(DUPLICATE)
    trouble = [httpx.ReadError("reset"), httpx.ConnectError("refused")]

    def broken(_: httpx.Request) -> httpx.Response | None:
        if trouble:
            raise trouble.pop()
        return None

    way.intercept = broken
    async with way.source() as source:
        job = await source.wait((await written(way)).refs[0], check=False)
    assert (job.state, trouble) == (JobState.PARTIAL, [])
