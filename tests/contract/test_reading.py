"""What a source says of a job, and how it is asked."""

from __future__ import annotations

from typing import Any

import pytest

import bluexp_jobs
import cfjobs
import ontapjobs
from common import (
    Capability,
    DecodeError,
    Fleet,
    Job,
    JobLike,
    JobNotFound,
    JobRef,
    JobSource,
    JobState,
    RateLimited,
    ServerError,
    Unsupported,
    UsageError,
    WrongSource,
    from_dict,
    to_dict,
)
from tests.cases import case
from tests.common.scripted import Answer, reply
from tests.contract.systems import NEVER_SEEN, PAGE, SYSTEMS, System
from tests.pickled import pickled

pytestmark = pytest.mark.anyio

RUNNING, SUCCEEDED = JobState.RUNNING, JobState.SUCCEEDED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "state"),
    [pytest.param(each, state, id=f"{each.name}-{state}") for each in SYSTEMS for state in each.words],
)
async def test_every_word_of_the_system_is_one_of_our_states(system: System, state: JobState) -> None:
    async with system.rig() as rig:
        job = await rig.source.get(rig.job((state, None)))
    assert (job.state, job.native_state, job.resolved) == (state, system.words[state], False)


@pytest.mark.parametrize(
    ("parse", "id", "word", "state"),
    [
        pytest.param(parse, id, word, state, id=f"{id}-{word}")
        for parse, id, states in (
            (ontapjobs.parse_job, "uuid", ontapjobs.STATES),
            (bluexp_jobs.parse_job, "id", bluexp_jobs.STATES),
            (cfjobs.parse_job, "guid", cfjobs.STATES),
        )
        for word, state in states.items()
    ],
)
def test_no_word_depends_on_letter_case_or_on_what_separates_its_parts(
    parse: Any, id: str, word: str, state: JobState
) -> None:
    for written in (word.upper(), word.title(), word.replace("_", "-"), word.replace("_", " ").upper()):
        record = {id: "1", "status" if id == "id" else "state": written}
        job = parse({"job": [record]} if id == "id" else record)
        assert (job.state, job.native_state) == (state, written)


NO_WORDS: list[Any] = ["FLORBING", "", "COMPLETED?", None]


async def test_a_word_that_nobody_knows_is_unknown(system: System) -> None:
    for word in NO_WORDS:
        with case(word):
            async with system.rig() as rig:
                job = await rig.source.get(rig.job((word, None)))
            assert (job.state, job.native_state) == (JobState.UNKNOWN, word)


async def test_a_caller_can_say_what_a_word_means(system: System) -> None:
    async with system.rig(states={"partially_done": JobState.PARTIAL}) as rig:
        job = await rig.source.get(rig.job(("PARTIALLY_DONE", None)))
    assert (job.state, job.native_state) == (JobState.PARTIAL, "PARTIALLY_DONE")


async def test_a_failed_job_has_all_of_its_errors_in_order(system: System) -> None:
    async with system.rig() as rig:
        job = await rig.source.get(rig.job((JobState.FAILED, None), **system.failure))
    assert tuple(error.message for error in job.errors) == system.messages


async def test_a_job_is_named_by_its_ref_the_refs_text_or_itself(system: System) -> None:
    async with system.rig() as rig:
        ref = rig.member.ref(rig.job((RUNNING, None)))
        names: list[JobLike] = [ref, str(ref), Job(ref, RUNNING), JobRef(ref.provider, "", ref.id)]
        assert [(await rig.source.get(name)).ref for name in names] == [ref] * 4


ODD_IDS = ["a/b", "space.delete~cf-space-1", "ä b", "100%", "a?b#c", "..."]


async def test_an_id_is_one_segment_whatever_is_in_it(system: System) -> None:
    async with system.rig() as rig:
        for id in ODD_IDS:
            with case(id):
                job = await rig.source.wait(rig.job((SUCCEEDED, None), id=id))
                assert (job.id, job.ref) == (id, rig.member.ref(id))
                assert JobRef.parse(str(job.ref)) == job.ref


STRANGERS: list[JobLike] = [
    JobRef("jenkins", "https://ci.example.org", "7"),
    JobRef("cf", "https://cf.elsewhere.org", "7"),
    "ontap://b/7",
]


async def test_a_strangers_job_is_refused_before_any_request(system: System) -> None:
    async with system.rig() as rig:
        for stranger in STRANGERS:
            with case(stranger):
                for ask in (rig.source.get, rig.source.wait):
                    with pytest.raises(WrongSource):
                        await ask(stranger)
                assert rig.wire.sent == []


NO_JOBS: list[Any] = ["", None, 5, b"id", ".."]


async def test_what_names_no_job_is_refused_before_any_request(system: System) -> None:
    async with system.rig() as rig:
        for nothing in NO_JOBS:
            with case(nothing):
                for ask in (rig.source.get, rig.source.wait):
                    with pytest.raises(UsageError):
                        await ask(nothing)
                assert rig.wire.sent == []


async def test_get_of_a_job_that_the_server_does_not_have_is_not_found(system: System) -> None:
    async with system.rig() as rig:
        with pytest.raises(JobNotFound) as caught:
            await rig.source.get(rig.named(NEVER_SEEN))
    assert caught.value.ref == rig.member.ref(NEVER_SEEN)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(503, text=PAGE), ServerError),
        (reply(429, text="slow down", Retry_After="7"), RateLimited),
        (reply(200, text=PAGE), DecodeError),
        (reply(200, []), DecodeError),
        (reply(200, {}), DecodeError),
    ],
    ids=["503", "429", "page", "array", "empty"],
)
async def test_get_raises_at_the_first_trouble(
    system: System, answer: Answer, expected: type[Exception]
) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [answer]
        with pytest.raises(expected):
            await rig.source.get(rig.named(NEVER_SEEN))
        assert rig.wire.sent == ["GET"]


async def test_get_raises_at_the_first_record_that_cannot_be_decoded(system: System) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [system.undecodable]
        with pytest.raises(DecodeError) as caught:
            await rig.source.get(rig.named(NEVER_SEEN))
        assert caught.value.path != "$"
        assert caught.value.ref == rig.member.ref(NEVER_SEEN)


@pytest.mark.parametrize(
    "answer", [reply(200, text=PAGE), reply(200, []), None], ids=["page", "array", "job"]
)
async def test_an_error_about_a_reply_names_the_request_also_once_it_was_stored(
    system: System, answer: Answer | None
) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [answer or system.undecodable]
        with pytest.raises(DecodeError) as caught:
            await rig.source.get(rig.named(NEVER_SEEN))
        error, request = caught.value, f"GET job {rig.member.ref(NEVER_SEEN).id}: "
    assert str(error).startswith(f"{request}{error.path}: ")
    assert str(error).count(request) == 1
    for stored in (pickled(error), from_dict(to_dict(error))):
        assert isinstance(stored, DecodeError)
        assert str(stored) == str(error)
        assert (stored.path, stored.ref) == (error.path, error.ref)


async def test_a_source_keeps_the_protocol(system: System) -> None:
    async with system.rig() as rig:
        assert isinstance(rig.source, JobSource)
        assert isinstance(rig.source, Fleet) == system.fleet
        assert rig.source.capabilities >= rig.member.capabilities


async def test_a_list_holds_every_job_and_where_there_is_none_nothing_is_sent(system: System) -> None:
    async with system.rig() as rig:
        if Capability.LIST not in rig.member.capabilities:
            with pytest.raises(Unsupported):
                rig.member.list()
            assert rig.wire.sent == []
            return
        wanted = {rig.member.ref(rig.job((state, None))) for state in system.words}
        assert {job.ref async for job in rig.member.list()} == wanted
