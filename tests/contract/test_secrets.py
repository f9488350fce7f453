"""Credentials reach no message, log, repr, pickle or ref, not even where a server sends them back."""

from __future__ import annotations

import base64
import logging
import pickle
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import anyio
import httpx
import pytest

from common import Action, Basic, Bearer, Event, Job, JobRef, JobsError, JobState, PollPolicy
from ontapjobs import OntapJobs
from tests.common.scripted import Answer, Script, outcome, raising
from tests.contract.systems import NEVER_SEEN, PAGE, TOKEN, System

pytestmark = pytest.mark.anyio

PASSWORD = "Pa55w0rd-of-mine"
BASIC = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()


def echo(status: int, body: str) -> Answer:
    """A server that sends the credentials back, in this body."""

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, text=body.replace("%s", request.headers["authorization"]))

    return answer


MISSING: Mapping[str, tuple[int, str]] = {
    "ontap": (404, '{"error": {"code": "4", "message": "no job for %s"}}'),
    "bluexp": (404, '{"statusCode": 404, "message": "no job for %s"}'),
    "cf": (404, '{"errors": [{"code": 10010, "title": "CF-ResourceNotFound", "detail": "no job for %s"}]}'),
}
"""The API's own word that there is no such job, in each system's shape."""

ECHOES: dict[str, Answer] = {
    "page": echo(500, "<html>you sent %s</html>"),
    "text": echo(403, "%s may not do this"),
    "error of ontap": echo(400, '{"error": {"code": "5", "message": "bad credentials %s"}}'),
    "error of bluexp": echo(400, '{"statusCode": 400, "message": "bad credentials %s"}'),
    "error of cf": echo(422, '{"errors": [{"code": 5, "title": "CF-Bad", "detail": "bad credentials %s"}]}'),
    "refused": raising(httpx.ConnectError(f"cannot connect with {TOKEN}")),
    "no JSON": echo(200, "%s"),
}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and all that hang on it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def words_of(*things: object) -> str:
    """All that these things say of themselves."""
    said: list[str] = []
    for thing in things:
        said += [str(thing), repr(thing)]
        if isinstance(thing, BaseException):
            said += [repr(thing.__dict__), *traceback.format_exception(thing)]
            said.append(repr(pickle.dumps(thing)))
    return "\n".join(said)


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ECHOES.values(), ids=ECHOES)
async def test_what_a_server_sends_back_of_the_token_is_masked(
    system: System, trouble: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    events: list[Event] = []
    async with system.rig(observer=events.append) as rig:
        rig.wire.reads += [trouble] * 20
        errors = [
            await outcome(rig.source.get(rig.named(NEVER_SEEN))),
            await outcome(rig.source.wait(rig.named(NEVER_SEEN), timeout=5)),
            await outcome(rig.source.wait(rig.named(NEVER_SEEN), policy=PollPolicy(outage_limit=5))),
        ]
        assert all(isinstance(error, JobsError) for error in errors)
        assert TOKEN not in words_of(*errors, *events, rig.source, rig.member)
    assert TOKEN not in caplog.text


async def test_the_apis_word_that_there_is_no_job_is_masked_too(
    system: System, caplog: pytest.LogCaptureFixture
) -> None:
    status, body = MISSING[system.provider]
    async with system.rig() as rig:
        rig.wire.reads += [echo(status, body)] * 20
        errors = [
            await outcome(rig.source.get(rig.named(NEVER_SEEN))),
            await outcome(rig.source.wait(rig.named(NEVER_SEEN))),
            await outcome(rig.source.wait(rig.named(NEVER_SEEN), timeout=1)),
            await outcome(rig.source.wait(Job(rig.member.ref(NEVER_SEEN), JobState.RUNNING))),
        ]
        assert TOKEN not in words_of(*errors)
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        echo(409, '{"error": {"code": "458784", "message": "no cancel for %s"}}'),
        echo(409, '{"error": {"code": "1", "message": "no cancel for %s"}}'),
        echo(502, PAGE + "%s"),
        echo(404, '{"error": {"code": "4", "message": "no job for %s"}}'),
    ],
    ids=["refused", "refused otherwise", "lost", "missing"],
)
@pytest.mark.parametrize(
    ("auth", "secrets"),
    [(Bearer(TOKEN), [TOKEN]), (("admin", PASSWORD), [PASSWORD, BASIC]), (Basic("admin", PASSWORD), [BASIC])],
    ids=["bearer", "pair", "basic"],
)
async def test_what_comes_back_of_an_action_is_masked(auth: Any, secrets: list[str], answer: Answer) -> None:
    async with OntapJobs("cluster1", auth=auth, transport=Script(answer)) as jobs:
        error = await outcome(jobs.act(NEVER_SEEN, Action.CANCEL))
        said = words_of(error, jobs)
    assert isinstance(error, JobsError)
    assert [secret for secret in secrets if secret in said] == []


async def test_credentials_of_an_auth_class_of_the_http_library_are_masked_too() -> None:
    auth = httpx.BasicAuth("admin", PASSWORD)
    transport = Script(ECHOES["page"])
    async with OntapJobs("cluster1", auth=auth, transport=transport) as jobs:
        error = await outcome(jobs.get(NEVER_SEEN))
        said = words_of(error, jobs)
    assert BASIC not in said


@pytest.mark.parametrize("trouble", ECHOES.values(), ids=ECHOES)
async def test_a_list_that_is_none_shows_nothing(system: System, trouble: Answer) -> None:
    """The plugin in ``tests/leaks`` looks at the frames too, here and in every test."""
    async with system.rig() as rig:
        rig.wire.reads += [trouble] * 20
        with pytest.raises(JobsError) as caught:
            async for _ in rig.member.list():
                pass
    assert TOKEN not in words_of(caught.value)


@pytest.mark.parametrize("trouble", ECHOES.values(), ids=ECHOES)
async def test_nothing_that_hangs_on_an_exception_holds_a_request_or_a_body(
    system: System, trouble: Answer
) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [trouble] * 20
        errors = [
            await outcome(rig.source.get(rig.named(NEVER_SEEN))),
            await outcome(rig.source.wait(rig.named(NEVER_SEEN), timeout=1)),
        ]
    found = [link for error in errors if isinstance(error, Exception) for link in chain(error)]
    assert [link for link in found if type(link).__module__.startswith("http")] == []
    assert [link for link in found if TOKEN in repr(link.__dict__)] == []


async def test_a_ref_and_a_job_hold_no_credentials(system: System) -> None:
    async with system.rig() as rig:
        job = await rig.source.get(rig.job((JobState.FAILED, None), **system.failure))
        ref: JobRef = job.ref
        assert TOKEN not in words_of(job, ref, job.record)
        assert TOKEN.encode() not in pickle.dumps(job)


async def test_a_wait_that_is_cut_leaves_no_credentials_in_its_exception(system: System) -> None:
    async with system.rig() as rig:
        with anyio.fail_after(60):
            error = await outcome(rig.source.wait(rig.job((JobState.RUNNING, None)), timeout=30))
    assert TOKEN not in words_of(error)
