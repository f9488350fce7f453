"""What nobody on the way, no server and no stored id can bring about, on each of the three systems.

The index of what is promised; what is not tested here is tested there:

- Ids: one encoded segment, by every call, on the very wire: here. What is none: `tests/test_bad_input.py`.
- Paths of writes: `test_start.py`; on sockets, `test_sockets.py`.
- Refs of other systems, and stored ones: `tests/test_bad_input.py`, `tests/common/model/test_refs.py`.
- Next links: same origin, not in circles: `tests/ontapjobs/test_source.py`, `test_sweeping.py` beside it.
- Job links and Location give an id alone: here; all forms in the providers' `test_wire.py`, `test_source.py`.
- Redirects are not followed with credentials: here; over the caller's client,
  `tests/common/http/test_client.py`.
- Header injection: here, `tests/common/auth/test_credentials.py`, `tests/common/test_options.py`.
- Bodies: bombs here; every other bound, `tests/common/response/test_body.py`, and in `tests/common/http`
  `test_client.py` and `test_aiohttp_backend.py`.
- Secrets: what a server sends back, `test_secrets.py`; logs, `tests/common/http/test_log.py`; pickles,
  `tests/common/auth/test_credentials.py`; what error trackers keep, and `start`: here.
- TLS: `tests/common/http/test_tls.py`.
"""

from __future__ import annotations

import json
import logging
import pickle
import traceback
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from bluexp_jobs import BlueXPJobs
from common import (
    Action,
    ActionUncertain,
    ApiError,
    Bearer,
    DecodeError,
    Job,
    JobsError,
    JobState,
    UsageError,
    to_dict,
)
from common.response.body import MAX_BODY
from common.sources.http import HttpSource
from tests.contract.systems import BLUEXP, CF, ONTAP, SOURCES, TOKEN, System, name_of
from tests.contract.test_secrets import ECHOES, words_of
from tests.contract.test_sockets import connect
from tests.loopback import Loopback, raw
from tests.recording import Chunks, Recorder, bomb, reply

pytestmark = pytest.mark.anyio
on_each = pytest.mark.parametrize("system", SOURCES, ids=name_of)
# httpx leaves its own generators to the garbage collector where a body is not read to its end.
unread = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

JOBS = {
    "ontap": "/api/cluster/jobs/",
    "bluexp": "/account/account-sim/providers/cloudmanager_cbs/api/v1/job/",
    "cf": "/v3/jobs/",
}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def record_of(system: System, id: str) -> dict[str, Any]:
    """A job that has ended, as its system writes it."""
    word = system.words[JobState.SUCCEEDED]
    if system is BLUEXP:
        return {"job": [{"id": id, "status": word}]}
    return {"uuid" if system is ONTAP else "guid": id, "state": word}


def handing_over(system: System, id: str, link: str) -> httpx.Response:
    """A write's reply: the id of its job, or where the system writes one, a link to it."""
    if system is ONTAP:
        return httpx.Response(202, json={"job": {"_links": {"self": {"href": link}}}})
    if system is BLUEXP:
        return httpx.Response(202, json={"job-id": id})
    return httpx.Response(202, headers={"Location": link})


# --- ids

IDS = {
    "climbs": "../../secret",
    "climbs out": "..%2f..%2fsecret",
    "encoded dots": "%2e%2e",
    "encoded twice": "%252e%252e",
    "dots and a parameter": "..;a=b",
    "a query": "j1?fields=secret&return_timeout=120",
    "a fragment": "j1#secret",
    "an action": "j1?action=cancel",
    "a host": "//evil.example/j1",
    "a URL": "https://evil.example/j1",
    "a login": "@evil.example",
    "backslashes": "\\\\evil.example\\..\\j1",
    "a space": "j 1",
    "another request": "j1 HTTP/1.1\r\nHost: evil.example\r\n\r\nGET /",
    "a line": "j1\n",
    "a null": "\0",
    "a delete": "\x7f",
    "beyond ASCII": "jöb-作业-😀",
    "half a character": "\udc80\ud800",
    "a percent": "%",
    "operators": "!a|b*",
    "a matrix": "a;b,c=d&e+f",
}
ENCODABLE = {name: id for name, id in IDS.items() if id.isascii()}
REFUSED = {"empty": "", "a dot": ".", "two dots": "..", "long": "x" * 10_000}

Call = Callable[[HttpSource, str], Awaitable[Any]]


async def get(source: HttpSource, id: str) -> Any:
    return await source.get(id)


async def wait(source: HttpSource, id: str) -> Any:
    return await source.wait(id, timeout=0, check=False)


async def by_ref(source: HttpSource, id: str) -> Any:
    return await source.get(str(source.ref(id)))


async def by_job(source: HttpSource, id: str) -> Any:
    return await source.wait(Job(source.ref(id), JobState.RUNNING), timeout=0)


async def act(source: HttpSource, id: str) -> Any:
    return await source.act(id, Action.CANCEL)


def calls(system: System) -> list[Call]:
    return [get, wait, by_ref, by_job, *([act] if system is ONTAP else [])]


@pytest.mark.slow
@on_each
@pytest.mark.parametrize("id", IDS.values(), ids=IDS)
@pytest.mark.usefixtures("library")
async def test_whatever_is_in_an_id_it_is_one_segment_of_one_path_on_the_wire(
    system: System, id: str
) -> None:
    segment = quote(id, safe="", errors="surrogatepass")
    body = json.dumps(record_of(system, id)).encode()
    with Loopback(lambda *_: raw(body)) as server:
        async with connect(system, server.url) as source:
            for call in calls(system):
                await call(source, id)
    targets = [head.split("\r\n")[0].split(" ")[1] for head in server.heads]
    assert len(targets) == len(calls(system)) + (system is ONTAP)  # which reads the job after the action
    assert {target.partition("?")[0] for target in targets} == {JOBS[system.provider] + segment}
    assert {target.partition("?")[2] for target in targets} <= {"", "fields=*", "action=cancel"}
    assert [head for head in server.heads if "evil.example" in head.split("\r\n", 1)[1]] == []


@on_each
@pytest.mark.parametrize("id", REFUSED.values(), ids=REFUSED)
async def test_an_id_that_no_encoding_makes_safe_is_refused(system: System, id: str) -> None:
    wire = Recorder(reply(record_of(system, id)))
    async with system.connect(transport=wire) as source:
        for call in calls(system):
            with pytest.raises(UsageError):
                await call(source, id)
        link = JOBS[system.provider] + (id.replace(".", "%2e") or "/")
        with suppress(DecodeError):  # or it hands over nothing
            assert source.adopt(handing_over(system, id, link)).refs == ()
    assert wire.requests == []


# --- links


@pytest.mark.slow
@on_each
@pytest.mark.parametrize(
    "host", ["https://evil.example", "//evil.example", "http://127.0.0.1:9", "ftp://x", ""]
)
@pytest.mark.parametrize(
    "id", [id for id in IDS.values() if id.isascii()], ids=[n for n, id in IDS.items() if id.isascii()]
)
async def test_a_link_gives_an_id_and_nothing_else(system: System, id: str, host: str) -> None:
    segment = quote(id, safe="")
    link = f"{host}{JOBS[system.provider]}{segment}?fields=secret#x"
    wire = Recorder(handing_over(system, id, link), reply(record_of(system, id)))
    async with system.connect(transport=wire) as source:
        started = await source.start(*system.write)
        assert started.refs == (source.ref(id),)
        assert (await source.wait(*started.waitable)).succeeded
        own = httpx.URL(source.endpoint).host
    assert wire.hosts == {own}
    assert wire.lines[1].split(" ")[1].partition("?")[0] == JOBS[system.provider] + segment
    assert "secret" not in wire.lines[1].replace(segment, "")


@pytest.mark.parametrize(
    "link",
    [
        "/v3/apps/1",
        "/v3/jobs/",
        "/v3/jobs",
        "https://[",
        "javascript:alert(1)",
        "",
        "/v3/jobs/%ff",
        "/jobs/a/b",
    ],
)
async def test_a_link_to_no_job_gives_none(link: str) -> None:
    for system in (ONTAP, CF):
        async with system.connect(transport=Recorder(handing_over(system, "", link))) as source:
            assert (await source.start(*system.write)).refs == ()


# --- redirects


@pytest.mark.slow
@on_each
@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
)
@pytest.mark.parametrize("elsewhere", [True, False], ids=["elsewhere", "here"])
@pytest.mark.usefixtures("library")
async def test_no_redirect_is_followed_with_or_without_credentials(
    system: System, status: str, elsewhere: bool
) -> None:
    with Loopback(lambda *_: raw(record_of(system, "j1"))) as other:
        target = f"{other.url}/take" if elsewhere else "/take"
        with Loopback(lambda *_: raw(b"", status, Location=target)) as server:
            async with connect(system, server.url) as source:
                for call in (get(source, "j1"), source.start(*system.write), source.start("POST", "/x")):
                    with pytest.raises(ApiError) as caught:
                        await call
                    assert caught.value.status == int(status[:3])
        assert len(server.heads) == 3
        assert [head for head in server.heads if "/take" in head.split("\r\n")[0]] == []
    assert other.heads == []


# --- headers

INJECTED = "a\r\nX-Evil: 1"


@on_each
async def test_nothing_that_a_caller_passes_begins_another_header(system: System) -> None:
    wire = Recorder(reply({}))
    with pytest.raises(UsageError, match="user_agent"):
        system.connect(transport=wire, user_agent=INJECTED)
    with pytest.raises(UsageError, match="token"):
        Bearer(INJECTED)
    for name in ("account", "agent"):
        names: dict[str, Any] = {"account": "a", "agent": "g", name: INJECTED}
        with pytest.raises(UsageError, match=f"{name}="):
            BlueXPJobs(**names, auth=Bearer(TOKEN), transport=wire)
    async with system.connect(transport=wire) as source:
        for headers in ({"X-A": INJECTED}, {INJECTED: "1"}, {"X-A": "1\n"}, {"X-A\r": "1"}):
            with pytest.raises(UsageError, match="headers="):
                await source.start(*system.write, headers=headers)
        for ids in ({"method": f"POST {INJECTED}"}, {"path": f"/{INJECTED}"}):
            given: dict[str, Any] = {"method": "POST", "path": system.write[1], **ids}
            with pytest.raises(UsageError):
                await source.start(**given)
    assert wire.requests == []


# --- bodies


def nested(system: System) -> bytes:
    """A job, 100,000 levels deep."""
    record = json.dumps(record_of(system, "j1"))[:-1]
    return f'{record}, "x": {"[" * 100_000}{"]" * 100_000}}}'.encode()


@on_each
async def test_json_without_end_is_no_reply_and_costs_no_stack(system: System) -> None:
    async with system.connect(transport=Recorder(reply(nested(system)))) as source:
        with pytest.raises(DecodeError, match="too deep"):
            await source.get("j1")
        with pytest.raises(ActionUncertain, match="too deep"):
            await source.start(*system.write)
        assert source.adopt(status=202, body=nested(system)).refs == ()


@pytest.mark.slow
@on_each
@unread
async def test_a_bomb_is_refused_in_its_first_piece(system: System) -> None:
    bodies: list[Chunks] = []

    def answer(_: httpx.Request) -> httpx.Response:
        bodies.append(Chunks(bomb()))
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=bodies[-1])

    async with system.connect(transport=Recorder(answer)) as source:
        tracemalloc.start()
        try:
            with pytest.raises(DecodeError, match="larger than"):
                await source.get("j1")
            with pytest.raises(ActionUncertain, match="larger than"):
                await source.start(*system.write)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert [body.taken for body in bodies] == [2, 2]
    assert peak < 4 * MAX_BODY


@pytest.mark.slow
@on_each
@unread
@pytest.mark.usefixtures("library")
async def test_a_bomb_on_a_socket_takes_no_more_memory_than_the_bound(system: System) -> None:
    packed = b"".join(piece for piece, _ in zip(bomb(), range(3), strict=False))  # 512 MiB of it
    with Loopback(lambda *_: raw(packed, Content_Encoding="gzip")) as server:
        async with connect(system, server.url) as source:
            tracemalloc.start()
            try:
                with pytest.raises(DecodeError, match="larger than"):
                    await source.get("j1")
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
    assert peak < 4 * MAX_BODY


# --- secrets

PACKAGES = tuple(
    f"{Path(__file__).parents[2] / name}/" for name in ("common", "ontapjobs", "bluexp_jobs", "cfjobs")
)


def locals_of(error: BaseException) -> str:
    """What an error tracker keeps of an exception's frames: the values of every variable, as text.

    The frames of the caller and of the HTTP library are their own.
    """
    said: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        found = traceback.TracebackException.from_exception(seen, capture_locals=True)
        for frame in found.stack:
            if frame.filename.startswith(PACKAGES):
                said += [
                    f"{frame.filename}:{frame.lineno} {name} = {value}"
                    for name, value in (frame.locals or {}).items()
                ]
        seen = seen.__cause__ or seen.__context__
    assert error.__traceback__ is not None  # ours may have no frames in it: see `common.model.tracebacks`
    return "\n".join(said)


@on_each
@pytest.mark.parametrize("trouble", ECHOES.values(), ids=ECHOES)
async def test_a_write_and_its_error_show_no_secret(
    system: System, trouble: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with system.rig() as rig:
        rig.wire.writes += [trouble]
        with pytest.raises(JobsError) as caught:
            await rig.member.start(*system.write, json={"a": "b"})
    assert TOKEN not in words_of(caught.value) + caplog.text


@pytest.mark.slow
@on_each
@unread
@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
@pytest.mark.usefixtures("library")
async def test_no_variable_of_ours_in_a_traceback_shows_a_secret(
    system: System, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(level)
    for answer in ([], raw(b"?", Content_Encoding="br"), raw(b"", "401 Unauthorized"), raw(b"", "503 Busy")):
        with Loopback(lambda *_, answer=answer: answer) as server:
            async with connect(system, server.url) as source:
                for call in (get(source, "j1"), source.start(*system.write)):
                    with pytest.raises(JobsError) as caught:
                        await call
                    assert TOKEN not in locals_of(caught.value)


@on_each
async def test_what_is_kept_of_work_holds_no_secret(system: System) -> None:
    async with system.rig() as rig:
        started = await rig.member.start(*system.write)
        job = await rig.member.get(started.refs[0])
        for kept in (started, job, job.ref, str(job.ref), to_dict(job), rig.member):
            assert TOKEN not in f"{kept}{kept!r}"
        for kept in (started, job, job.ref):
            assert TOKEN.encode() not in pickle.dumps(kept)
        for secretive in (rig.member, rig.member._client):
            with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
                pickle.dumps(secretive)
