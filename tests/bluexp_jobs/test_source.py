"""BlueXP's jobs over HTTP: the very requests, and what each answer means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import respx

from bluexp_jobs import (
    Action,
    ActionUncertain,
    ApiError,
    Bearer,
    BlueXPJobs,
    Capability,
    DecodeError,
    ErrorDetail,
    JobNotFound,
    JobRef,
    JobState,
    PermissionDenied,
    ServerError,
    Unsupported,
    UsageError,
    WrongSource,
)
from tests.recording import Answer, Recorder, reply

pytestmark = pytest.mark.anyio

ID = "6f0c2a4e-8a9e-4f6e-9b61-0d7a0c1c8a11"
API = "/account/account-x1/providers/cloudmanager_cbs/api/v1"
HOST = "https://api.bluexp.netapp.com"


def record(status: str = "IN_PROGRESS", id: str = ID) -> dict[str, Any]:
    return {"id": id, "type": "backup-working-environment", "status": status, "error": ""}


def bluexp(
    *answers: Answer, account: str = "account-x1", agent: str = "agent-1"
) -> tuple[BlueXPJobs, Recorder]:
    """A source whose requests are recorded."""
    wire = Recorder(*answers)
    return BlueXPJobs(account=account, agent=agent, auth=Bearer("t0ken"), transport=wire), wire


async def ids(jobs: Any) -> list[str]:
    return [job.id async for job in jobs]


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> Iterator[respx.MockRouter]:
    """Mocks below httpx's own transport; every route must be called, and nothing else may be."""
    monkeypatch.delenv("JOBSOURCE_HTTP")  # as for users: where respx is loaded, httpx sends
    with respx.mock(assert_all_called=True, assert_all_mocked=True) as mock:
        yield mock


# --- requests


async def test_get_sends_the_token_and_the_agent(router: respx.MockRouter) -> None:
    route = router.get(f"{HOST}{API}/job/{ID}").respond(json={"job": [record()]})
    async with BlueXPJobs(account="account-x1", agent="agent-1", auth=Bearer("t0ken")) as source:
        job = await source.get(ID)
    sent = route.calls.last.request
    assert job.state is JobState.RUNNING
    assert sent.url.raw_path.decode() == f"{API}/job/{ID}"
    assert sent.headers["Authorization"] == "Bearer t0ken"
    assert sent.headers["x-agent-id"] == "agent-1clients"
    assert sent.headers["Accept"] == "application/json"


@pytest.mark.parametrize(
    ("agent", "header"),
    [
        ("agent-1", "agent-1clients"),
        ("agent-1clients", "agent-1clients"),
        ("clients-1", "clients-1clients"),
        ("agent-1clientsclients", "agent-1clientsclients"),
    ],
)
async def test_the_agents_suffix_is_added_only_where_it_is_missing(agent: str, header: str) -> None:
    source, wire = bluexp(reply({"job": [record()]}), agent=agent)
    await source.get(ID)
    assert wire.sent("x-agent-id") == [header]


@pytest.mark.parametrize(
    ("account", "segment"),
    [
        ("account-x1", "account-x1"),
        ("0d5a8b7c-1111-4222-8333-444455556666", "0d5a8b7c-1111-4222-8333-444455556666"),
        ("a/../b", "a%2F..%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("%2e%2e", "%252e%252e"),
    ],
)
async def test_the_account_is_one_encoded_segment_and_not_validated(account: str, segment: str) -> None:
    source, wire = bluexp(reply({"job": [record()]}), account=account)
    await source.get(ID)
    assert wire.lines == [f"GET /account/{segment}/providers/cloudmanager_cbs/api/v1/job/{ID}"]


@pytest.mark.parametrize("account", [".", ".."])
def test_an_account_that_would_climb_out_of_its_path_is_refused(account: str) -> None:
    with pytest.raises(UsageError, match="account="):
        bluexp(reply({}), account=account)


def test_an_agent_that_is_nothing_but_the_suffix_is_refused() -> None:
    with pytest.raises(UsageError, match="agent="):
        bluexp(reply({}), agent="clients")


@pytest.mark.parametrize(
    ("id", "segment"), [("a/../b", "a%2F..%2Fb"), ("a b?c#d", "a%20b%3Fc%23d"), ("\n", "%0A")]
)
async def test_an_id_is_one_encoded_segment(id: str, segment: str) -> None:
    source, wire = bluexp(reply({"job": [record(id=id)]}))
    assert (await source.get(id)).id == id
    assert wire.lines == [f"GET {API}/job/{segment}"]


async def test_another_host_is_a_matter_of_the_endpoint() -> None:
    wire = Recorder(reply({"job": record()}))
    source = BlueXPJobs(
        account="a", agent="g", auth=Bearer("t"), endpoint="cloudmanager.cloud.netapp.com", transport=wire
    )
    await source.get(ID)
    assert wire.hosts == {"cloudmanager.cloud.netapp.com"}


@pytest.mark.parametrize(
    ("filters", "target"),
    [
        ({}, f"{API}/job"),
        ({"type": "restore"}, f"{API}/job?type=restore"),
        ({"status": "FAILED"}, f"{API}/job?status=FAILED"),
        ({"type": "a b&c", "status": "X+Y"}, f"{API}/job?type=a%20b%26c&status=X%2BY"),
        ({"status": JobState.FAILED}, f"{API}/job"),
        ({"type": "restore", "status": JobState.PARTIAL}, f"{API}/job?type=restore"),
    ],
)
async def test_a_list_is_one_request_with_its_filters(filters: Any, target: str) -> None:
    source, wire = bluexp(reply({"job": []}))
    jobs = source.list(**filters)
    assert wire.requests == []
    assert await ids(jobs) == []
    assert wire.lines == [f"GET {target}"]


async def test_a_state_is_compared_here_because_several_words_mean_it() -> None:
    jobs = [
        record("SUCCESS", "a"),
        record("completed", "b"),
        record("FAILED", "c"),
        record("WARNING", "d"),
        record("BRAND_NEW", "e"),
    ]
    source, _ = bluexp(reply({"job": jobs}))
    assert await ids(source.list(status=JobState.SUCCEEDED)) == ["a", "b"]
    assert await ids(source.list(status=JobState.PARTIAL)) == ["d"]
    assert await ids(source.list(status=JobState.UNKNOWN)) == ["e"]
    assert await ids(source.list()) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("action", list(Action))
async def test_an_action_is_unsupported_before_any_request(action: Action) -> None:
    source, wire = bluexp(reply({}))
    with pytest.raises(Unsupported, match="do not support"):
        await source.act(ID, action)
    with pytest.raises(Unsupported, match="cancelled"):
        await source.wait(ID, on_cancel="cancel")
    assert wire.requests == []
    assert source.capabilities == {Capability.LIST}


# --- answers


@pytest.mark.parametrize(
    "body", [{"job": [record()]}, {"job": record()}, {"job": [record(id="other"), record()]}]
)
async def test_a_single_job_comes_as_array_or_object_and_is_picked_by_its_id(body: Any) -> None:
    source, _ = bluexp(reply(body))
    assert (await source.get(ID)).ref == source.ref(ID)


@pytest.mark.parametrize(
    "answer",
    [
        reply({"job": []}),
        reply({"job": None}),
        reply({"statusCode": 404, "error": "Not Found", "message": "no such job"}, 404),
        reply({"title": "Not Found", "status": "404"}, 404),
    ],
)
async def test_no_job_in_json_is_the_apis_word_that_there_is_none(answer: Answer) -> None:
    source, _ = bluexp(answer)
    with pytest.raises(JobNotFound) as caught:
        await source.get(ID)
    assert caught.value.ref == source.ref(ID)


@pytest.mark.parametrize("body", [b"", b"<html>404</html>", b"not found"])
async def test_a_404_that_is_not_json_passes_by_itself(body: bytes) -> None:
    source, _ = bluexp(reply(body, 404))
    with pytest.raises(ApiError) as caught:
        await source.get(ID)
    assert caught.value.transient


async def test_a_reply_without_the_key_is_not_the_apis() -> None:
    source, _ = bluexp(reply({"jobs": [record()]}))
    with pytest.raises(DecodeError) as caught:
        await source.get(ID)
    assert caught.value.transient


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (b"Action not allowed for user", "account= may be the account's name"),
        (
            {"statusCode": 403, "message": "Action not allowed for user."},
            "account= may be the account's name",
        ),
        (b"User is not allowed to do operation", "agent= may be wrong"),
    ],
)
async def test_the_platforms_short_refusals_are_explained(body: Any, hint: str) -> None:
    source, _ = bluexp(reply(body, 403))
    with pytest.raises(PermissionDenied, match=hint) as caught:
        await source.get(ID)
    assert not caught.value.transient


@pytest.mark.parametrize("status", [409, 420, 502, 503, 504])
async def test_not_now_is_transient(status: int) -> None:
    source, _ = bluexp(reply({"message": "try later"}, status))
    with pytest.raises(ApiError, match="try later") as caught:
        await source.get(ID)
    assert caught.value.transient


@pytest.mark.parametrize("header", ["OnCloud-Request-Id", "X-Response_Id"])
async def test_the_request_id_is_kept_for_support(header: str) -> None:
    source, _ = bluexp(reply({"message": "boom"}, 500, headers={header: "req-77"}))
    with pytest.raises(ServerError, match="request req-77") as caught:
        await source.get(ID)
    assert caught.value.request_id == "req-77"


# --- whose job it is


def test_a_ref_names_account_and_agent_and_comes_back() -> None:
    source, _ = bluexp(reply({}))
    ref = source.ref(ID)
    assert str(ref) == f"bluexp://api.bluexp.netapp.com/account-x1/{ID}?agent=agent-1"
    assert source.ref(str(ref)) == source.ref(str(ref) + "clients") == ref


@pytest.mark.parametrize(
    "text",
    [
        f"bluexp://api.bluexp.netapp.com/account-x2/{ID}?agent=agent-1",
        f"bluexp://api.bluexp.netapp.com/account-x1/{ID}?agent=agent-2",
        f"bluexp://api.bluexp.netapp.com/account-x1/{ID}?agent=agent-1&site=east",
        f"bluexp://evil.example/account-x1/{ID}?agent=agent-1",
        f"bluexp+http://api.bluexp.netapp.com/account-x1/{ID}?agent=agent-1",
    ],
)
async def test_a_ref_of_another_account_agent_or_host_is_refused(text: str) -> None:
    source, wire = bluexp(reply({}))
    with pytest.raises(WrongSource) as caught:
        await source.get(text)
    assert caught.value.ref == JobRef.parse(text)
    assert wire.requests == []


@pytest.mark.parametrize(
    "text",
    [
        f"bluexp:///{ID}",
        f"bluexp://api.bluexp.netapp.com/{ID}",
        f"bluexp://api.bluexp.netapp.com/account-x1/{ID}",
        f"bluexp://api.bluexp.netapp.com/{ID}?agent=agent-1",
    ],
)
def test_what_a_ref_leaves_out_of_host_and_scope_is_the_sources(text: str) -> None:
    source, _ = bluexp(reply({}))
    assert source.ref(text) == source.ref(ID)


@pytest.mark.parametrize("key", ["job-id", "jobId", "job_id"])
@pytest.mark.parametrize("status", [200, 202])
async def test_a_write_hands_over_its_job_by_any_of_its_names(key: str, status: int) -> None:
    source, wire = bluexp(reply({"job": [record("SUCCESS")]}))
    adopted = source.adopt(httpx.Response(status, json={key: ID}))
    assert adopted.refs == (source.ref(ID),)
    assert (await source.wait(adopted.refs[0])).succeeded
    assert wire.lines == [f"GET {API}/job/{ID}"]


# --- a write that names its job itself


@pytest.mark.parametrize("status", [200, 202, 204])
@pytest.mark.parametrize("name", ["job-id", "Job-Id"])
async def test_a_job_that_the_request_names_is_adopted(status: int, name: str) -> None:
    source, wire = bluexp(reply({} if status != 204 else b"", status), reply({"job": [record("COMPLETED")]}))
    started = await source.start("POST", "/object-storage", headers={name: ID}, json={})
    assert started.waitable == (source.ref(ID),)
    assert (await source.wait(started.waitable[0])).succeeded
    assert wire.sent("job-id")[0] == ID


async def test_the_job_that_the_response_names_comes_first() -> None:
    source, _ = bluexp(reply({"job-id": ID}, 202))
    started = await source.start("PUT", "/object-storage", headers={"job-id": "mine"}, json={})
    assert started.refs == (source.ref(ID),)


async def test_a_response_of_httpx_or_requests_tells_what_its_request_named() -> None:
    source, _ = bluexp()
    request = httpx.Request("POST", "https://h/object-storage", headers={"job-id": ID})
    assert source.adopt(httpx.Response(202, request=request)).refs == (source.ref(ID),)
    prepared = requests.Request("PUT", "https://h/object-storage", headers={"Job-ID": ID}).prepare()
    response = requests.Response()
    response.status_code, response.request = 200, prepared
    assert source.adopt(response).refs == (source.ref(ID),)
    assert source.adopt(httpx.Response(200)).refs == ()


async def test_a_refused_write_has_no_job_whatever_it_named() -> None:
    source, _ = bluexp(reply({"message": "no such bucket"}, 400))
    with pytest.raises(ApiError, match="no such bucket"):
        await source.start("POST", "/object-storage", headers={"job-id": ID}, json={})


@pytest.mark.parametrize("answer", [httpx.ReadError("reset"), reply(b"<html>"), reply(b"<html>", 504)])
async def test_where_the_reply_is_lost_the_error_names_the_job(answer: Answer) -> None:
    source, _ = bluexp(answer)
    with pytest.raises(ActionUncertain) as caught:
        await source.start("POST", "/object-storage", headers={"job-id": ID}, json={})
    assert caught.value.ref == source.ref(ID)


@pytest.mark.parametrize("id", ["", "..", "x" * 2000])
async def test_a_name_that_is_no_jobs_is_refused_before_any_request(id: str) -> None:
    source, wire = bluexp()
    with pytest.raises(UsageError, match="id"):
        await source.start("POST", "/object-storage", headers={"job-id": id}, json={})
    assert wire.requests == []


@pytest.mark.parametrize(
    "body", [{}, b"", {"id": ID}, {"job": {"id": ID}}, {"job-id": [ID]}, {"job-id": ""}, b"<html>"], ids=str
)
async def test_accepted_work_without_a_known_job_cannot_be_waited_for(body: Any) -> None:
    source, _ = bluexp()
    adopted = source.adopt(status=202, body=body)
    with pytest.raises(DecodeError, match="names no job to wait for") as caught:
        _ = adopted.waitable
    assert ID in str(caught.value) or ID not in str(body)
    assert source.adopt(status=200, body=body).waitable == ()


@pytest.mark.parametrize("status", [202, 400])
async def test_an_error_beside_a_job_is_kept(status: int) -> None:
    source, _ = bluexp()
    adopted = source.adopt(
        status=status,
        body={"job-id": ID, "error": "Conflict", "message": "one volume was left out", "code": "7"},
    )
    assert adopted.errors == (ErrorDetail("one volume was left out", code="7", title="Conflict"),)
    assert (adopted.status, adopted.waitable) == (status, (source.ref(ID),))


async def test_no_write_gives_hints() -> None:
    source, wire = bluexp()
    with pytest.raises(UsageError, match="has hints"):
        await source.wait(f"bluexp:///{ID}?done=200")
    assert wire.requests == []
