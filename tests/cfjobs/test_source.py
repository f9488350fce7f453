"""Cloud Foundry's jobs over HTTP: the very requests, odd guids, and what each answer means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx

from cfjobs import (
    Action,
    ApiError,
    AuthenticationError,
    Bearer,
    CFJobs,
    DecodeError,
    JobFailed,
    JobNotFound,
    JobRef,
    JobState,
    RateLimited,
    ServerError,
    Unsupported,
)
from tests.recording import Answer, Recorder, reply

pytestmark = pytest.mark.anyio

GUID = "b19ae525-cbd3-4155-b156-dc0c2a431b4c"
ODD = [
    ("space.delete~cf-space-1f", "space.delete~cf-space-1f"),
    ("service_broker.catalog.synchronize~x", "service_broker.catalog.synchronize~x"),
    ("a/b", "a%2Fb"),
    ("../../v3/apps", "..%2F..%2Fv3%2Fapps"),
    ("a?b=c", "a%3Fb%3Dc"),
    ("a#b", "a%23b"),
    ("a b", "a%20b"),
    ("a\r\nX-Evil: 1", "a%0D%0AX-Evil%3A%201"),
    ("a%2Fb", "a%252Fb"),
    ("a+b;c,d", "a%2Bb%3Bc%2Cd"),
    ("~", "~"),
    ("...", "..."),
]


def job(state: str = "PROCESSING", guid: str = GUID, **more: Any) -> dict[str, Any]:
    return {"guid": guid, "operation": "app.delete", "state": state, **more}


def cf(*answers: Answer) -> tuple[CFJobs, Recorder]:
    """A source whose requests are recorded."""
    wire = Recorder(*answers)
    return CFJobs("https://api.example.org", auth=Bearer("t0ken"), transport=wire), wire


def error(code: int, title: str) -> dict[str, Any]:
    return {"errors": [{"code": code, "title": title, "detail": "said the controller"}]}


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> Iterator[respx.MockRouter]:
    """Mocks below httpx's own transport; every route must be called, and nothing else may be."""
    monkeypatch.delenv("JOBSOURCE_HTTP")  # as for users: where respx is loaded, httpx sends
    with respx.mock(assert_all_called=True, assert_all_mocked=True) as mock:
        yield mock


# --- requests


async def test_get_is_one_plain_request(router: respx.MockRouter) -> None:
    route = router.get(f"https://api.example.org/v3/jobs/{GUID}").respond(json=job("COMPLETE"))
    async with CFJobs("api.example.org", auth=Bearer("bearer t0ken")) as source:
        assert (await source.get(GUID)).succeeded
    sent = route.calls.last.request
    assert sent.url.raw_path.decode() == f"/v3/jobs/{GUID}"
    assert sent.headers["Authorization"] == "Bearer t0ken"
    assert sent.headers["Accept"] == "application/json"


@pytest.mark.parametrize(("guid", "segment"), ODD)
async def test_a_guid_is_one_segment_whatever_is_in_it(guid: str, segment: str) -> None:
    source, wire = cf(reply(job(guid=guid)))
    assert (await source.get(guid)).id == guid
    assert wire.lines == [f"GET /v3/jobs/{segment}"]
    assert wire.hosts == {"api.example.org"}


@pytest.mark.parametrize(("guid", "segment"), ODD)
async def test_a_ref_carries_a_guid_through_its_text(guid: str, segment: str) -> None:
    source, wire = cf(reply(job(guid=guid)))
    text = str(source.ref(guid))
    assert text == f"cf://api.example.org/{segment}"
    assert (await source.get(text)).ref == JobRef("cf", "https://api.example.org", guid)
    assert wire.lines == [f"GET /v3/jobs/{segment}"]


@pytest.mark.parametrize(("guid", "segment"), ODD)
@pytest.mark.parametrize("base", ["", "https://api.example.org", "https://proxy.internal:8443/cf"])
def test_a_location_gives_a_guid_bound_to_our_own_endpoint(base: str, guid: str, segment: str) -> None:
    source, _ = cf(reply({}))
    adopted = source.adopt(status=202, headers={"Location": f"{base}/v3/jobs/{segment}"})
    assert adopted.refs == (JobRef("cf", "https://api.example.org", guid),)


async def test_the_first_poll_comes_after_1_4_seconds_unless_a_policy_says_otherwise() -> None:
    assert CFJobs("https://api.example.org", auth=Bearer("t")).policy.initial == 1.4


async def test_a_list_is_unsupported_before_any_request() -> None:
    source, wire = cf(reply({}))
    with pytest.raises(Unsupported, match="cannot be listed"):
        source.list()
    with pytest.raises(Unsupported, match="cannot be listed"):
        source.list("anything", state=JobState.RUNNING)
    assert wire.requests == []


@pytest.mark.parametrize("action", list(Action))
async def test_an_action_is_unsupported_before_any_request(action: Action) -> None:
    source, wire = cf(reply({}))
    with pytest.raises(Unsupported, match="do not support"):
        await source.act(GUID, action)
    with pytest.raises(Unsupported, match="cancelled"):
        source.watch(GUID, on_cancel="cancel")
    assert wire.requests == []
    assert source.capabilities == frozenset()


# --- answers


async def test_a_failed_job_is_still_a_reply_and_wait_raises_all_its_errors() -> None:
    errors = [
        {"code": 10008, "title": "CF-UnprocessableEntity", "detail": "first"},
        {"code": 290006, "title": "CF-JobTimeout", "detail": "second"},
    ]
    source, _ = cf(reply(job("FAILED", errors=errors, warnings=[{"detail": "w"}, {"detail": "w"}])))
    found = await source.get(GUID)
    assert (found.state, found.warnings) == (JobState.FAILED, ("w",))
    with pytest.raises(JobFailed, match=r"first \[CF-UnprocessableEntity, code 10008\]; second") as caught:
        await source.wait(GUID)
    assert [detail.code for detail in caught.value.job.errors] == ["10008", "290006"]


async def test_only_the_controllers_own_code_means_that_a_job_is_unknown() -> None:
    source, _ = cf(reply(error(10010, "CF-ResourceNotFound"), 404))
    with pytest.raises(JobNotFound):
        await source.get(GUID)


@pytest.mark.parametrize(
    "answer",
    [
        reply(
            b"404 Not Found: Requested route does not exist.\n",
            404,
            headers={"X-Cf-RouterError": "unknown_route"},
        ),
        reply(error(10010, "CF-ResourceNotFound"), 404, headers={"X-Cf-RouterError": "unknown_route"}),
        reply(error(10000, "CF-NotFound"), 404),
        reply(b"<html>no such host</html>", 404),
    ],
)
async def test_a_404_of_a_router_or_a_proxy_passes_by_itself(answer: Answer) -> None:
    source, _ = cf(answer)
    with pytest.raises(ApiError) as caught:
        await source.get(GUID)
    assert caught.value.transient


@pytest.mark.parametrize("code", [10013, 10014, 10016])
async def test_a_rate_limit_says_for_how_long(code: int) -> None:
    headers = {"Retry-After": "240", "Content-Type": "text/plain; charset=utf-8"}
    source, _ = cf(reply(error(code, "CF-RateLimitExceeded"), 429, headers=headers))
    with pytest.raises(RateLimited) as caught:
        await source.get(GUID)
    assert (caught.value.code, caught.value.retry_after, caught.value.transient) == (str(code), 240.0, True)


@pytest.mark.parametrize(
    ("answer", "expected", "transient"),
    [
        (reply(error(1000, "CF-InvalidAuthToken"), 401), AuthenticationError, False),
        (reply({"code": 10001, "title": "CF-ServiceError", "detail": "flat"}, 502), ServerError, True),
        (reply(error(20004, "UaaUnavailable"), 503), ServerError, True),
        (reply(error(10008, "CF-UnprocessableEntity"), 422), ApiError, False),
        (reply(b"upstream connect error", 503), ServerError, True),
    ],
)
async def test_errors_have_their_class_and_say_whether_they_pass(
    answer: Answer, expected: type[ApiError], transient: bool
) -> None:
    source, _ = cf(answer)
    with pytest.raises(expected) as caught:
        await source.get(GUID)
    assert type(caught.value) is expected
    assert caught.value.transient is transient


async def test_the_request_id_is_kept_for_support() -> None:
    source, _ = cf(reply(error(10001, "CF-x"), 500, headers={"X-VCAP-Request-ID": "req-1::suffix"}))
    with pytest.raises(ServerError, match="request req-1::suffix") as caught:
        await source.get(GUID)
    assert caught.value.request_id == "req-1::suffix"


async def test_a_reply_without_a_guid_is_of_no_job_and_passes() -> None:
    source, _ = cf(reply({"state": "COMPLETE"}))
    with pytest.raises(DecodeError, match="cannot be identified") as caught:
        await source.get(GUID)
    assert (caught.value.path, caught.value.transient) == ("$.guid", True)


# --- taking over the job of a write


@pytest.mark.parametrize(
    ("status", "location"),
    [
        (202, None),
        (202, "/v3/apps/1"),
        (202, "/v3/jobs/"),
        (202, "/v3/jobs"),
        (202, "https://api.example.org/v3/deployments/jobs"),
        (200, f"/v3/jobs/{GUID}"),
        (204, None),
    ],
)
def test_not_every_reply_has_a_job(status: int, location: str | None) -> None:
    source, _ = cf(reply({}))
    headers = {"Location": location} if location else {}
    adopted = source.adopt(status=status, headers=headers)
    assert (adopted.refs, adopted.jobs) == ((), ())


async def test_the_writes_warnings_are_kept_once_each() -> None:
    source, _ = cf(reply({}))
    response = httpx.Response(
        202,
        headers=[
            ("Location", f"/v3/jobs/{GUID}"),
            ("X-Cf-Warnings", "first%2C+with+comma,second"),
            ("X-Cf-Warnings", "second"),
        ],
    )
    assert source.adopt(response).warnings == ("first, with comma", "second")


async def test_a_failed_write_raises_what_the_controller_said() -> None:
    source, _ = cf(reply({}))
    with pytest.raises(ApiError, match="said the controller") as caught:
        source.adopt(status=422, body=error(10008, "CF-UnprocessableEntity"))
    assert (caught.value.status, caught.value.code) == (422, "10008")
