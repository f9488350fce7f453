"""A Cloud Foundry that answers by script: one answer a request, the last one for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Unpack

import anyio
import anyio.lowlevel
import attrs
import httpx
import pytest

from cfjobs import CFJobs
from common import Bearer, Job, PollPolicy, SourceOptions
from tests.common.virtual import HANGS

ENDPOINT = "https://api.example.org"
JOB = "7f2c3b9e-5d0a-4c6e-9a51-0b7d3c1a9e42"
OTHER = "b1946ac9-2f1d-4a8e-8d5c-6c1d0f2e7a90"
TOKEN = "s3cret-token"

Answer = Callable[[httpx.Request], Awaitable[httpx.Response]]


def about(seconds: float) -> Any:
    """A moment in virtual time, give or take what a poller may wait to gather requests."""
    return pytest.approx(seconds, abs=0.1)


def reply(status: int, data: object = None, *, text: str = "", **headers: str) -> Answer:
    """Answer with this status; underscores in the names of headers stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_: httpx.Request) -> httpx.Response:
        if data is None:
            return httpx.Response(status, text=text, headers=named)
        return httpx.Response(status, json=data, headers=named)

    return answer


def job(state: object = "PROCESSING", **fields: Any) -> Answer:
    """Answer with the job that was asked for."""

    async def answer(request: httpx.Request) -> httpx.Response:
        guid = request.url.path.rpartition("/")[2]
        record = {"guid": guid, "state": state, "operation": "app.delete", **fields}
        return httpx.Response(200, json=record)

    return answer


def error(status: int, code: int, title: str = "CF-Error", **headers: str) -> Answer:
    """Answer with an error in the API's own words."""
    return reply(status, {"errors": [{"code": code, "title": title, "detail": "so says the API"}]}, **headers)


def raising(failure: Exception) -> Answer:
    """Give no answer, but this."""

    async def answer(_: httpx.Request) -> httpx.Response:
        raise failure

    return answer


def after(seconds: float, answer: Answer) -> Answer:
    """The same answer, so many seconds later."""

    async def late(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(seconds)
        return await answer(request)

    return late


running = job("PROCESSING")
done = job("COMPLETE")
failed = job("FAILED")
undecodable = job(["PROCESSING"])
gone = error(404, 10010, "CF-ResourceNotFound")
unavailable = reply(503, text="<html>down for a moment</html>")
never = after(1e9, done)


@attrs.frozen
class Sent:
    """One request that was sent, and when."""

    id: str
    at: float
    method: str = "GET"


class Script(httpx.AsyncBaseTransport):
    """A transport that gives each request the next answer; ``by_id`` has scripts for single jobs.

    ``sent`` are the requests so far, ``open`` how many have neither failed nor had their reply closed.
    """

    def __init__(self, *answers: Answer, by_id: dict[str, list[Answer]] | None = None) -> None:
        self._answers = list(answers)
        self._by_id = by_id or {}
        self.sent: list[Sent] = []
        self.open = 0

    @property
    def times(self) -> list[float]:
        """When the requests were sent."""
        return [sent.at for sent in self.sent]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        id = request.url.path.rpartition("/")[2]
        self.sent.append(Sent(id, anyio.current_time(), request.method))
        answers = self._by_id.get(id, self._answers)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.open += 1
        try:
            await anyio.lowlevel.checkpoint()
            response = await answer(request)
        except BaseException:
            self.open -= 1
            raise
        body = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, stream=_Stream(self, body))


class _Stream(httpx.AsyncByteStream):
    def __init__(self, script: Script, body: bytes) -> None:
        self._script = script
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await anyio.lowlevel.checkpoint()
        yield self._body

    async def aclose(self) -> None:
        self._script.open -= 1


def source(script: httpx.AsyncBaseTransport, **options: Unpack[SourceOptions]) -> CFJobs:
    """A source whose server plays this script, and which polls as a `PollPolicy` without arguments says."""
    options.setdefault("transport", script)
    options.setdefault("policy", PollPolicy())
    return CFJobs(ENDPOINT, auth=Bearer(TOKEN), **options)


async def outcome(work: Awaitable[Job]) -> Job | Exception:
    """What became of a wait: the job, or what it raised."""
    try:
        return await work
    except Exception as failure:
        return failure


async def outcomes(*works: Awaitable[Job]) -> list[Job | Exception]:
    """What became of several waits that went on at the same time, in their order."""
    found: dict[int, Job | Exception] = {}

    async def run(number: int, work: Awaitable[Job]) -> None:
        found[number] = await outcome(work)

    with anyio.fail_after(HANGS):
        async with anyio.create_task_group() as group:
            for number, work in enumerate(works):
                group.start_soon(run, number, work)
    return [found[number] for number in range(len(works))]
