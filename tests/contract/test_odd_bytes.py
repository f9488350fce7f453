"""A byte in a text that JSON forbids hides no state, no error and no job, on any way that a job is read."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from bluexp_jobs import BlueXPJobs
from common import ApiError, DecodeError, Job, JobFailed, JobNotFound, JobState, wait_all
from common.response.decoding import REPAIRED
from common.simulator import faults
from ontapjobs import OntapJobs
from tests.common.scripted import Answer
from tests.contract.systems import BLUEXP, ONTAP, SOURCES, Rig, System, asked_for, name_of

pytestmark = pytest.mark.anyio
on_each = pytest.mark.parametrize("system", SOURCES, ids=name_of)
HALF = rb"\udc00"
"""Half of a surrogate pair, which JSON can write, and no text can have."""
bytes_of = pytest.mark.parametrize(
    "bad", [b"\xe9", b"\xff\xfe", b"\n", b"\x00", b"\xed\xa0\x80", HALF], ids=repr
)

ODD = "a name@@ of a file"
READ = "a name{} of a file"


def damaged(rig: Rig, bad: bytes) -> Answer:
    """The simulator's own reply, with a mark in its texts replaced by what no text may have."""

    async def answer(request: httpx.Request) -> httpx.Response:
        response = await rig.simulator.transport().handle_async_request(request)
        body = (await response.aread()).replace(b"@@", bad)
        return httpx.Response(
            response.status_code, headers={"Content-Type": "application/json"}, content=body
        )

    return answer


def fields(system: System) -> dict[str, Any]:
    """What a failed job has in this system, with the mark in its message."""
    if system.provider == "cf":
        return {"errors": [{"code": 10009, "title": "CF-UnableToPerform", "detail": ODD}]}
    return {"error": {"message": ODD, "code": "9"} if system.provider == "ontap" else ODD}


def read(bad: bytes) -> str:
    return READ.format("\ufffd" * (1 if bad == HALF else len(bad)))


def check(job: Job, bad: bytes) -> None:
    assert job.state is JobState.FAILED
    assert [error.message for error in job.errors] == [read(bad)]
    assert job.warnings == (REPAIRED,)


@bytes_of
async def test_get_and_wait_read_the_state_and_warn(system: System, bad: bytes) -> None:
    async with system.rig() as rig:
        job = rig.job((JobState.FAILED, None), **fields(system))
        rig.wire.reads += [damaged(rig, bad), damaged(rig, bad)]
        check(await rig.source.get(job), bad)
        with pytest.raises(JobFailed) as caught:
            await rig.source.wait(job, timeout=60)
        check(caught.value.job, bad)


@bytes_of
async def test_one_request_for_many_jobs_reads_them_all(bad: bytes) -> None:
    async with ONTAP.rig() as rig:
        odd = rig.job((JobState.FAILED, None), **fields(ONTAP))
        plain = rig.job((JobState.FAILED, None), error={"message": "plain", "code": "9"})
        rig.wire.reads += [damaged(rig, bad)]
        first, second = await wait_all(rig.source, [odd, plain], timeout=60, check=False)
        assert isinstance(first, Job)
        assert isinstance(second, Job)
        check(first, bad)
        assert second.warnings == ()
        assert rig.wire.sent == ["GET"]


@bytes_of
@pytest.mark.parametrize("system", [ONTAP, BLUEXP], ids=name_of)
async def test_a_list_reads_them_all(system: System, bad: bytes) -> None:
    async with system.rig() as rig:
        rig.job((JobState.FAILED, None), **fields(system))
        rig.job((JobState.RUNNING, None))
        rig.wire.reads += [damaged(rig, bad)]
        jobs = {job.state: job async for job in rig.member.list()}
        check(jobs[JobState.FAILED], bad)
        assert jobs[JobState.RUNNING].warnings == ()


@pytest.mark.parametrize(("raw_lines", "text"), [(False, "p\ufffdre\nend"), (True, "p\ufffdre\ufffdend")])
async def test_a_simulator_writes_like_a_careless_program(system: System, raw_lines: bool, text: str) -> None:
    async with system.rig() as rig:
        written = {
            "ontap": {"message": "père\nend"},
            "bluexp": {"type": "père\nend"},
            "cf": {"operation": "père\nend"},
        }
        job = rig.job((JobState.SUCCEEDED, None), **written[system.provider])
        rig.simulator.inject(None, faults.Latin1(raw_lines))
        read = await rig.source.wait(job, timeout=60)
        assert text in (read.message, read.operation)
        assert read.warnings == (REPAIRED,)


async def test_the_fast_path_leaves_such_a_record_to_the_general_one() -> None:
    async with ONTAP.rig() as rig:
        job = rig.job((JobState.RUNNING, 5), (JobState.SUCCEEDED, None), message=ODD)
        rig.wire.reads += [damaged(rig, b"\xe9")]
        first = await rig.source.get(job)
        assert (first.state, first.message, first.warnings) == (JobState.RUNNING, read(b"\xe9"), (REPAIRED,))
        assert first.record.message == read(b"\xe9")
        assert first.links["self"].endswith(first.id)


async def test_a_write_hands_over_its_job() -> None:
    async with ONTAP.rig() as rig:
        uuid = "b5145e1d-b53b-11ec-8252-005056bbd1a5"
        body = b'{"job": {"uuid": "%s", "state": "failure", "message": "p\xe9re"}}' % uuid.encode()
        started = rig.member.adopt(status=200, body=body)
        assert [job.warnings for job in started.jobs] == [(REPAIRED,)]
        assert started.jobs[0].errors[0].message == "p\ufffdre"
    async with BLUEXP.rig() as rig:
        started = rig.member.adopt(status=202, body=b'{"job-id": "j1", "note": "p\xe9re"}')
        assert [ref.id for ref in started.refs] == ["j1"]


@on_each
async def test_an_error_reads_its_code(system: System) -> None:
    bodies = {
        "ontap": (404, b'{"error": {"code": "4", "message": "no p\xe9re"}}'),
        "bluexp": (404, b'{"message": "no p\xe9re"}'),
        "cf": (404, b'{"errors": [{"code": 10010, "title": "x", "detail": "no p\xe9re"}]}'),
    }
    status, body = bodies[system.provider]

    async def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body)

    async with system.rig() as rig:
        rig.wire.reads += [answer]
        with pytest.raises(JobNotFound, match="no p\ufffdre"):
            await rig.source.get(rig.named("b5145e1d-b53b-11ec-8252-005056bbd1a5"))
        rig.wire.writes += [answer]
        with pytest.raises(ApiError, match="no p\ufffdre"):
            await rig.member.start(*system.write)


@on_each
@pytest.mark.parametrize("bad", [b"\xe9", b"\n"], ids=repr)
async def test_a_name_of_a_member_or_an_id_with_such_a_byte_is_no_answer(system: System, bad: bytes) -> None:
    shapes = {
        "ontap": b'{"uuid": "%s", "state": "success", "message": "%s"}',
        "bluexp": b'{"job": [{"id": "%s", "status": "COMPLETED", "type": "%s"}]}',
        "cf": b'{"guid": "%s", "state": "COMPLETE", "operation": "%s"}',
    }
    shape = shapes[system.provider]

    async def in_the_id(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=shape % (asked_for(request).encode() + bad, b""))

    async def in_a_name(request: httpx.Request) -> httpx.Response:
        body = shape % (asked_for(request).encode(), b"x")
        return httpx.Response(200, content=body.replace(b'": "', bad + b'": "'))

    async with system.rig() as rig:
        job = rig.job((JobState.RUNNING, None))
        for answer in (in_the_id, in_a_name):
            rig.wire.reads += [answer]
            with pytest.raises(DecodeError) as caught:
                await rig.source.get(job)
            assert caught.value.transient


@pytest.mark.parametrize("system", [ONTAP, BLUEXP], ids=name_of)
async def test_a_reply_to_a_write_that_names_no_readable_job_starts_none(system: System) -> None:
    body = b'{"job": {"uuid": "b5145e1d\xe9"}, "job-id": "b5145e1d\xe9"}'

    async with system.rig() as rig:

        async def answer(_: httpx.Request) -> httpx.Response:
            return httpx.Response(202, content=body)

        rig.wire.writes += [answer]
        started = await rig.member.start(*system.write)
        assert (started.refs, started.jobs) == ((), ())
        with pytest.raises(DecodeError, match="names no job to wait for"):
            _ = started.waitable


@pytest.mark.parametrize("system", [ONTAP, BLUEXP], ids=name_of)
async def test_a_record_that_cannot_be_read_does_not_hide_the_others_of_a_list(system: System) -> None:
    async def answer(_: httpx.Request) -> httpx.Response:
        key, id, word = ("records", "uuid", "state") if system is ONTAP else ("job", "id", "status")
        good = [{id: name, word: system.words[JobState.RUNNING]} for name in ("a", "b", "c")]
        bad = [{id: "d", word: 7}, "text", {id: "", word: "x"}]
        records = [value for pair in zip(good, bad, strict=True) for value in pair]
        return httpx.Response(200, json={key: records})

    async with system.rig() as rig:
        assert isinstance(rig.member, OntapJobs | BlueXPJobs)
        rig.wire.reads += [answer]
        jobs = rig.member.list()
        assert [(await anext(jobs)).id for _ in range(3)] == ["a", "b", "c"]
        with pytest.raises(DecodeError) as caught:
            await anext(jobs)
        assert caught.value.path.endswith(("records[1].state", "job[1].status"))
        assert len(caught.value.__notes__) == 2
        assert [job async for job in jobs] == []
