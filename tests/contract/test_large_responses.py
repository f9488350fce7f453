"""A response of megabytes holds no event loop: it is decoded in a thread, to the same jobs."""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from bluexp_jobs import BlueXPJobs
from cfjobs import CFJobs
from common import ApiError, Bearer
from common.response import large_json
from common.response.large_json import LARGE, loads_large
from common.sources.http import HttpSource
from ontapjobs import OntapJobs

pytestmark = pytest.mark.anyio

UUID = "b5145e1d-b53b-11e8-8252-005056bbd8f5"
COUNT = 12_000


def ontap_record(number: int) -> dict[str, Any]:
    return {
        "uuid": f"{number:08x}-b53b-11e8-8252-005056bbd8f5",
        "state": "running",
        "code": number,
        "message": "Creating volume vol_0123456789 in svm svm_0123456789",
    }


def ontap(transport: httpx.AsyncBaseTransport) -> OntapJobs:
    return OntapJobs("cluster1", auth=Bearer("token"), transport=transport)


def bluexp(transport: httpx.AsyncBaseTransport) -> BlueXPJobs:
    return BlueXPJobs(account="account-x1", agent="agent", auth=Bearer("token"), transport=transport)


def cf(transport: httpx.AsyncBaseTransport) -> CFJobs:
    return CFJobs("https://api.example.org", auth=Bearer("token"), transport=transport)


async def listed(source: Any) -> int:
    return len([job async for job in source.list()])


async def warned(source: Any) -> int:
    return len((await source.get(UUID)).warnings)


async def volumes(source: Any) -> int:
    return len((await source.get(UUID)).items)


async def started(source: Any) -> int:
    return len((await source.start("POST", "/api/storage/volumes", json={})).refs)


MANY = [ontap_record(number) for number in range(COUNT)]
BLUEXP_JOB = {"id": UUID, "status": "COMPLETED", "time": 1651852160000}
VOLUMES = [
    {"id": f"a-volume-with-a-long-name-of-some-eighty-characters-{n:040}", "status": "SUCCESS"}
    for n in range(COUNT)
]
BACKUP = {"multi-volume-backup": {"volume": VOLUMES}}
WARNINGS = [
    {"detail": f"warning {number} about something that takes many words to say: {'x' * 60}"}
    for number in range(COUNT)
]

CASES: dict[str, tuple[Callable[..., HttpSource], Callable[[Any], Awaitable[int]], Any]] = {
    "list of ontap": (ontap, listed, {"records": MANY, "num_records": COUNT}),
    "write of ontap": (ontap, started, {"jobs": MANY}),
    "list of bluexp": (bluexp, listed, {"job": [{**BLUEXP_JOB, "id": f"{UUID}{n}"} for n in range(COUNT)]}),
    "job of bluexp": (bluexp, volumes, {"job": {**BLUEXP_JOB, "data": BACKUP}}),
    "job of cf": (cf, warned, {"guid": UUID, "state": "COMPLETE", "n": 1, "warnings": WARNINGS}),
}


@pytest.mark.slow
@pytest.mark.parametrize(("make", "ask", "data"), CASES.values(), ids=CASES)
async def test_a_large_response_is_decoded_in_a_thread_while_the_loop_goes_on(
    make: Callable[..., HttpSource],
    ask: Callable[[Any], Awaitable[int]],
    data: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = json.dumps(data).encode()
    assert len(body) > LARGE
    threads: set[int] = set()
    turns: list[int] = []

    def integer(digits: str) -> int:
        threads.add(threading.get_ident())
        return int(digits)

    async def count_turns() -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            turns.append(threading.get_ident())

    monkeypatch.setattr(large_json, "read_integer", integer)
    answer = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    async with make(answer) as source, anyio.create_task_group() as group:
        group.start_soon(count_turns)
        assert await ask(source) == COUNT
        group.cancel_scope.cancel()
    assert threads
    assert threading.get_ident() not in threads
    assert turns


@pytest.mark.slow
async def test_a_call_that_is_cancelled_while_a_response_is_decoded_ends_at_once_and_the_source_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, released = threading.Event(), threading.Event()

    def integer(digits: str) -> int:
        begun.set()
        released.wait(10)
        return int(digits)

    async def cancel_once_begun(scope: anyio.CancelScope) -> None:
        while not begun.is_set():
            await anyio.lowlevel.checkpoint()
        scope.cancel()

    monkeypatch.setattr(large_json, "read_integer", integer)
    pages = [json.dumps({"records": MANY}).encode(), json.dumps({"records": MANY[:1]}).encode()]
    async with ontap(httpx.MockTransport(lambda _: httpx.Response(200, content=pages.pop(0)))) as source:
        async with anyio.create_task_group() as group:
            group.start_soon(cancel_once_begun, group.cancel_scope)
            await listed(source)
        assert not released.is_set()
        assert await listed(source) == 1
        released.set()


async def test_an_error_of_megabytes_is_not_the_apis() -> None:
    body = json.dumps({"error": {"code": "4", "message": "x" * LARGE}}).encode()
    async with ontap(httpx.MockTransport(lambda _: httpx.Response(404, content=body))) as source:
        with pytest.raises(ApiError) as caught:
            await source.get(UUID)
    assert caught.value.transient
    assert len(str(caught.value)) < 1000


def test_what_is_read_is_what_json_reads() -> None:
    data: Any = {"records": [{"a": 1, "b": [1.5, -0.0, 1e400, 10**30, None, True]}, {}, [[{"": "é\ud800"}]]]}
    text = json.dumps(data)
    assert repr(loads_large(text)) == repr(json.loads(text))
