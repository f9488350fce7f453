"""What the platform's router says in the place of the API: never about a job, and whether a write left it."""

from __future__ import annotations

import httpx
import pytest

from cfjobs import ActionUncertain, ApiError, Bearer, CFJobs, JobState, PollPolicy
from cfjobs.router import read_router_error
from cfjobs.wire import parse_error
from common.response.http_response import HttpResponse
from tests.recording import Recorder, reply

pytestmark = pytest.mark.anyio

REFUSED = "dial tcp 10.0.0.1:9024: connect: connection refused"
X509 = "x509: certificate is valid for 53079ca3, not 1c0a"
NOT_FORWARDED = [
    (404, "unknown_route"),
    (503, "no_endpoints"),
    (400, "empty_host"),
    (503, "Connection Limit Reached"),
    (502, "route_service_unsupported"),
    (431, "max-request-size-exceeded"),
    (400, "invalid_cf_app_instance_header"),
    (400, "invalid_cf_process_instance_header"),
    (400, "invalid_route_service_signature"),
    (504, "expired_route_service_signature"),
    (502, f"endpoint_failure ({REFUSED})"),
    (502, "endpoint_failure (dial tcp 10.0.0.1:9024: i/o timeout)"),
    (502, f"endpoint_failure (incomplete request ({REFUSED}))"),
    (502, "endpoint_failure (No endpoints available)"),
    (502, "endpoint_failure (net/http: TLS handshake timeout)"),
    (503, f"endpoint_failure ({X509})"),
    (526, f"endpoint_failure (tls: failed to verify certificate: {X509})"),
    (525, "endpoint_failure (tls: first record does not look like a TLS handshake)"),
    (525, "endpoint_failure (remote error: tls: handshake failure)"),
    (496, "endpoint_failure (remote error: tls: bad certificate)"),
    (502, f"endpoint_failure ({REFUSED}), deprecated-semicolon-params"),
]
"""The statuses and words of gorouter's source, where it gave the request to nobody."""
MAYBE_FORWARDED = [
    (502, "endpoint_failure"),  # before August 2021 it had no reason
    (502, "endpoint_failure (EOF)"),
    (502, "endpoint_failure (read tcp 10.0.0.2:1->10.0.0.1:9024: read: connection reset by peer)"),
    (502, "endpoint_failure (write tcp 10.0.0.2:1->10.0.0.1:9024: write: broken pipe)"),
    (502, "endpoint_failure (context deadline exceeded)"),
    (499, "endpoint_failure (context canceled)"),
    (502, "endpoint_failure (timeout awaiting response headers; dial tcp)"),
    (502, "unknown_failure"),
    (400, "a_word_of_the_future"),
]


def routed(status: int, word: str) -> HttpResponse:
    return HttpResponse(status, (("x-cf-routererror", word),), b"so says the router")


def cf(status: int, word: str, *after: dict[str, object]) -> tuple[CFJobs, Recorder]:
    answer = reply(b"so says the router", status, headers={"X-Cf-RouterError": word})
    wire = Recorder(answer, *map(reply, after))
    policy = PollPolicy(initial=0.001, maximum=0.01)
    return CFJobs("https://api.example.org", auth=Bearer("t0ken"), transport=wire, policy=policy), wire


@pytest.mark.parametrize(("status", "word"), NOT_FORWARDED)
async def test_a_write_that_the_router_gave_to_nobody_is_certainly_not_carried_out(
    status: int, word: str
) -> None:
    source, wire = cf(status, word)
    with pytest.raises(ApiError) as caught:
        await source.start("DELETE", "/v3/apps/1")
    assert (caught.value.status, caught.value.sent, caught.value.transient) == (status, False, True)
    assert word.removesuffix(", deprecated-semicolon-params") in str(caught.value)
    assert len(wire.lines) == 1


@pytest.mark.parametrize(("status", "word"), MAYBE_FORWARDED)
async def test_a_write_that_the_router_may_have_passed_on_is_uncertain(status: int, word: str) -> None:
    source, wire = cf(status, word)
    with pytest.raises(ActionUncertain) as caught:
        await source.start("DELETE", "/v3/apps/1")
    assert word in str(caught.value)
    assert len(wire.lines) == 1


@pytest.mark.parametrize(("status", "word"), [*NOT_FORWARDED, *MAYBE_FORWARDED, (403, "unknown_route")])
async def test_to_a_wait_every_word_of_the_router_is_passing_trouble(status: int, word: str) -> None:
    source, _ = cf(status, word, {"guid": "1", "state": "COMPLETE"})
    assert (await source.wait("1", timeout=5)).state is JobState.SUCCEEDED


@pytest.mark.parametrize(("status", "word"), NOT_FORWARDED)
def test_the_routers_word_is_never_the_apis_whatever_the_body_holds(status: int, word: str) -> None:
    body = b'{"errors": [{"code": 10010, "title": "CF-ResourceNotFound", "detail": "Job not found"}]}'
    error = parse_error(HttpResponse(status, (("x-cf-routererror", word),), body))
    assert (error.from_api, error.not_found, error.code, error.message) == (False, False, None, None)
    assert (error.hint or "").endswith("no server of the API got the request")


@pytest.mark.parametrize(("status", "word"), MAYBE_FORWARDED)
def test_of_a_request_that_may_have_been_passed_on_the_hint_does_not_say_that_nobody_got_it(
    status: int, word: str
) -> None:
    error = parse_error(HttpResponse(status, (("x-cf-routererror", word),)))
    assert (error.hint or "").endswith("(X-Cf-RouterError)")


async def test_an_exception_shows_no_more_than_300_characters_of_the_routers_word() -> None:
    source, _ = cf(502, "x" * 900)
    with pytest.raises(ApiError) as caught:
        await source.get("1")
    assert f"says '{'x' * 300}' (" in str(caught.value)


def test_a_remark_beside_the_apis_own_response_changes_nothing() -> None:
    body = b'{"errors": [{"code": 10010, "title": "CF-ResourceNotFound", "detail": "Job not found"}]}'
    error = parse_error(HttpResponse(404, (("x-cf-routererror", "deprecated-semicolon-params"),), body))
    assert (error.from_api, error.not_found, error.code) == (True, True, "10010")


def test_several_words_count_as_not_forwarded_only_together() -> None:
    both = HttpResponse(
        502, (("x-cf-routererror", "no_endpoints"), ("x-cf-routererror", "endpoint_failure (EOF)"))
    )
    error = read_router_error(both)
    assert error is not None
    assert (error.word, error.forwarded) == ("no_endpoints, endpoint_failure (EOF)", True)


async def test_a_secret_in_the_routers_word_is_not_shown() -> None:
    source = CFJobs(
        "https://api.example.org",
        auth=Bearer("s3cret-of-the-caller"),
        transport=httpx.MockTransport(
            lambda _: httpx.Response(
                502, headers={"X-Cf-RouterError": "endpoint_failure (s3cret-of-the-caller)"}
            )
        ),
    )
    with pytest.raises(ActionUncertain) as caught:
        await source.start("POST", "/v3/apps")
    assert "s3cret" not in str(caught.value)
    assert "endpoint_failure" in str(caught.value)
