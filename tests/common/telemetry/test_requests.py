"""What observers are told of requests, and the trace context that requests send."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import anyio
import httpx
import pytest
from opentelemetry import baggage, context

from cfjobs import UAAPassword
from common import Event, TransportError, WaitTimeout
from common.sources.base import replace_observers
from common.telemetry.requests import RequestEvent
from tests.cfjobs.foundation import Foundation
from tests.common.scripted import (
    ENDPOINT,
    JOB,
    Answer,
    Script,
    done,
    never,
    raising,
    running,
    source,
    unavailable,
)
from tests.common.telemetry.exported import Telemetry

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

SERVER = {"url.scheme": "https", "server.address": "api.example.org", "server.port": 443}


class Requests:
    """An observer of requests, beside the events of waits."""

    def __init__(self, headers: Mapping[str, str] | Exception | None = None) -> None:
        self.headers = headers or {}
        self.told: list[RequestEvent] = []

    def __call__(self, event: Event) -> None: ...

    def trace_headers(self) -> Mapping[str, str]:
        if isinstance(self.headers, Exception):
            raise self.headers
        return self.headers

    def request_ended(self, event: RequestEvent) -> None:
        self.told.append(event)
        if isinstance(self.headers, Exception):
            raise self.headers


def keeping(headers: list[httpx.Headers], answer: Answer) -> Answer:
    """The same answer; the headers of each request are kept."""

    async def kept(request: httpx.Request) -> httpx.Response:
        headers.append(request.headers)
        return await answer(request)

    return kept


async def test_each_request_is_told_with_its_server_and_status() -> None:
    seen = Requests()
    async with source(Script(unavailable, running, done), observer=seen) as jobs:
        await jobs.wait(JOB)
        await jobs.start("POST", "/v3/apps/1/actions/restart")
    assert [(each.method, each.origin, each.status, each.error) for each in seen.told] == [
        ("GET", ENDPOINT, 503, None),
        ("GET", ENDPOINT, 200, None),
        ("GET", ENDPOINT, 200, None),
        ("POST", ENDPOINT, 200, None),
    ]
    assert all(each.seconds >= 0 for each in seen.told)


async def test_a_request_without_a_response_is_told_with_the_reason() -> None:
    seen = Requests()
    script = Script(raising(httpx.ConnectTimeout("late")), never)
    async with source(script, observer=seen) as jobs:
        with pytest.raises(TransportError):
            await jobs.get(JOB)
        with pytest.raises(WaitTimeout):
            await jobs.wait(JOB, timeout=2)
    (failed, cut) = seen.told
    assert (failed.status, failed.error) == (None, "ConnectTimeout")
    assert cut.error == anyio.get_cancelled_exc_class().__name__


async def test_an_observer_that_joins_later_is_told_too() -> None:
    early, late = Requests(), Requests()
    async with source(Script(done), observer=early) as jobs:
        replace_observers([jobs], (), [late])
        await jobs.wait(JOB)
    assert len(early.told) == len(late.told) == 1


async def test_what_the_callers_own_headers_say_takes_precedence() -> None:
    sent: list[httpx.Headers] = []
    script = Script(keeping(sent, done))
    async with source(script, observer=Requests({"traceparent": "ours", "X-A": "ours"})) as jobs:
        await jobs.start("POST", "/v3/x", headers={"traceparent": "theirs"})
    assert (sent[0]["traceparent"], sent[0]["x-a"]) == ("theirs", "ours")


async def test_an_observer_that_fails_stops_no_request(caplog: pytest.LogCaptureFixture) -> None:
    async with source(Script(done), observer=Requests(RuntimeError("no"))) as jobs:
        assert (await jobs.wait(JOB)).succeeded
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert told == [
        "the observer failed on the headers of a request",
        "the observer failed on a request",
    ]


async def test_sign_ins_are_told_and_send_nothing_of_an_observers() -> None:
    seen, wire = Requests({"traceparent": "00-1-2-01"}), Foundation()
    async with wire.jobs(UAAPassword("admin", "s3cret")) as jobs:
        replace_observers([jobs], (), [seen])
        await jobs.get("j")
    assert [(each.method, each.origin) for each in seen.told] == [
        ("GET", "https://api.example.org"),
        ("POST", "https://login.example.org"),
        ("GET", "https://api.example.org"),
    ]
    assert ["traceparent" in request.headers for request in wire.requests] == [False, False, True]


# --- OpenTelemetry


async def test_requests_are_counted_by_status_under_the_names_of_the_conventions(
    telemetry: Telemetry,
) -> None:
    script = Script(unavailable, running, raising(httpx.ConnectTimeout("late")), done)
    async with source(script, observer=telemetry.observer) as jobs:
        await jobs.wait(JOB)
        await jobs.start("DELETE", "/v3/apps/1")
    get = {**SERVER, "http.request.method": "GET"}
    expected = [
        ({**get, "http.response.status_code": 503, "error.type": "503"}, 1),
        ({**get, "http.response.status_code": 200}, 2),
        ({**get, "error.type": "ConnectTimeout"}, 1),
        ({**SERVER, "http.request.method": "DELETE", "http.response.status_code": 200}, 1),
    ]
    assert sorted(telemetry.requests, key=str) == sorted(expected, key=str)


async def test_a_request_sends_the_trace_context_of_its_task_and_no_baggage(telemetry: Telemetry) -> None:
    sent: list[httpx.Headers] = []
    token = context.attach(baggage.set_baggage("user", "alice"))
    tracer = telemetry.tracers.get_tracer("caller")
    try:
        async with source(Script(keeping(sent, done)), observer=telemetry.observer) as jobs:
            with tracer.start_as_current_span("caller") as span:
                await jobs.wait(JOB)
            await jobs.get(JOB)
    finally:
        context.detach(token)
    trace = span.get_span_context()
    inside, outside = sent
    assert inside["traceparent"].startswith(f"00-{trace.trace_id:032x}-{trace.span_id:016x}-")
    assert not {"traceparent", "tracestate"} & set(outside)
    assert "baggage" not in {*inside, *outside}


async def test_without_its_observer_no_trace_context_is_sent(telemetry: Telemetry) -> None:
    sent: list[httpx.Headers] = []
    async with source(Script(keeping(sent, done)), observer=lambda _: None) as jobs:
        with telemetry.tracers.get_tracer("caller").start_as_current_span("caller"):
            await jobs.wait(JOB)
    assert "traceparent" not in sent[0]
