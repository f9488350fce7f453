"""ONTAP's jobs over HTTP: the very requests, pages, actions, and what each refusal becomes."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import anyio.lowlevel
import httpx
import pytest
import respx

from common.model.errors import JobsError
from ontapjobs import (
    REFUSALS,
    Action,
    ActionRefused,
    ActionUncertain,
    AlreadyFinished,
    ApiError,
    AuthenticationError,
    Bearer,
    Capability,
    DecodeError,
    Job,
    JobNotFound,
    JobState,
    OntapJobs,
    PermissionDenied,
    PollPolicy,
    RateLimited,
    ServerError,
    UsageError,
)
from ontapjobs.lists import paging as module
from tests.recording import Answer, Recorder, reply

pytestmark = pytest.mark.anyio

AUTH = ("admin", "hunter2")
UUID = "b5145e1d-b53b-11ec-8252-005056bbd1a5"
JOBS = "/api/cluster/jobs"
GET = f"GET {JOBS}/{UUID}?fields=*"
RUNNING = {"uuid": UUID, "state": "running"}
QUICK = PollPolicy(initial=0.001, maximum=0.01)


def ontap(*answers: Answer, **options: Any) -> tuple[OntapJobs, Recorder]:
    """A source whose requests are recorded."""
    wire = Recorder(*answers)
    return OntapJobs("cluster1", auth=AUTH, transport=wire, policy=QUICK, **options), wire


def page(*ids: str, after: str | None = None, **more: Any) -> Answer:
    """One page of a list, with a link to the next one."""
    body: dict[str, Any] = {"records": [{"uuid": id, "state": "running"} for id in ids], **more}
    if after is not None:
        body["_links"] = {"next": {"href": after}}
    return reply(body)


def refused(code: str | int, status: int = 400) -> Answer:
    return reply({"error": {"message": "the server's words", "code": code}}, status)


async def ids(jobs: Any) -> list[str]:
    return [job.id async for job in jobs]


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> Iterator[respx.MockRouter]:
    """Mocks below httpx's own transport; every route must be called, and nothing else may be."""
    monkeypatch.delenv("JOBSOURCE_HTTP")  # as for users: where respx is loaded, httpx sends
    with respx.mock(assert_all_called=True, assert_all_mocked=True) as mock:
        yield mock


# --- one job


async def test_get_asks_for_every_common_field_and_says_who_asks(router: respx.MockRouter) -> None:
    route = router.get(f"https://cluster1.example.com{JOBS}/{UUID}?fields=*").respond(json=RUNNING)
    async with OntapJobs("cluster1.example.com", auth=AUTH, user_agent="acme/7") as source:
        assert (await source.get(UUID)).state is JobState.RUNNING
    sent = route.calls.last.request
    assert sent.url.raw_path.decode() == f"{JOBS}/{UUID}?fields=*"
    assert sent.headers["Authorization"] == f"Basic {base64.b64encode(b'admin:hunter2').decode()}"
    assert sent.headers["X-Dot-Client-App"] == sent.headers["User-Agent"]
    assert sent.headers["X-Dot-Client-App"].startswith("acme/7 jobsource")
    assert "application/hal+json" in sent.headers["Accept"]
    assert "Content-Type" not in sent.headers


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("https://um.example.com/api/gateways/1cd8", "/api/gateways/1cd8/cluster/jobs"),
        ("https://um.example.com/proxy", f"/proxy{JOBS}"),
    ],
)
async def test_behind_a_gateway_or_a_proxy_a_job_is_below_its_path(endpoint: str, path: str) -> None:
    wire = Recorder(reply(RUNNING))
    await OntapJobs(endpoint, auth=AUTH, transport=wire).get(UUID)
    assert wire.lines == [f"GET {path}/{UUID}?fields=*"]


async def test_a_bearer_token_signs_in_too(router: respx.MockRouter) -> None:
    router.get(f"https://cluster1:8443{JOBS}/{UUID}", headers={"Authorization": "Bearer t0ken"}).respond(
        json=RUNNING
    )
    async with OntapJobs("https://cluster1:8443", auth=Bearer("t0ken")) as source:
        await source.get(UUID)


async def test_no_more_than_a_minute_passes_between_two_polls_unless_a_policy_says_otherwise() -> None:
    assert OntapJobs("cluster1", auth=AUTH).policy == PollPolicy(maximum=60)


async def test_a_policy_under_which_a_job_could_be_forgotten_between_two_polls_is_refused() -> None:
    assert OntapJobs("cluster1", auth=AUTH, policy=PollPolicy(maximum=240)).policy.maximum == 240
    with pytest.raises(UsageError, match="after 300 s, so at most 240 s may pass"):
        OntapJobs("cluster1", auth=AUTH, policy=PollPolicy(maximum=241))


@pytest.mark.parametrize("more", [{}, {"percent_complete": 40}], ids=["ordinary", "odd"])
async def test_a_job_says_when_it_was_seen_each_time(more: dict[str, Any]) -> None:
    source, _ = ontap(reply({**RUNNING, **more}))
    for _ in range(2):
        asked = datetime.now(UTC)
        assert asked <= (await source.get(UUID)).observed_at <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("id", "segment"),
    [
        ("a b", "a%20b"),
        ("a/../b", "a%2F..%2Fb"),
        ("../../security/accounts", "..%2F..%2Fsecurity%2Faccounts"),
        ("a?fields=x#y", "a%3Ffields%3Dx%23y"),
        ("a\r\nX-Evil: 1", "a%0D%0AX-Evil%3A%201"),
        ("%2e%2e", "%252e%252e"),
        ("...", "..."),
        ("ü€", "%C3%BC%E2%82%AC"),
        ("\udc80", "%ED%B2%80"),
    ],
)
async def test_an_id_is_one_encoded_segment_whatever_is_in_it(id: str, segment: str) -> None:
    source, wire = ontap(reply({"uuid": id, "state": "success"}))
    assert (await source.get(id)).id == id
    assert wire.lines == [f"GET {JOBS}/{segment}?fields=*"]


async def test_a_job_that_is_gone_or_never_was_is_not_found() -> None:
    for code, certain in (("4", False), (4, False), ("2", True)):
        source, _ = ontap(refused(code, 404))
        with pytest.raises(JobNotFound) as caught:
            await source.get(UUID)
        assert (caught.value.certain, caught.value.ref) == (certain, source.ref(UUID))


async def test_any_other_404_says_nothing_of_the_job() -> None:
    for answer in (refused("3", 404), reply(b"", 404), reply({"message": "no route"}, 404)):
        source, _ = ontap(answer)
        with pytest.raises(ApiError) as caught:
            await source.get(UUID)
        assert caught.value.transient


async def test_a_role_that_may_not_read_jobs_is_explained() -> None:
    source, _ = ontap(refused("6", 403))
    with pytest.raises(PermissionDenied, match="role may not read jobs") as caught:
        await source.get(UUID)
    assert (caught.value.code, caught.value.transient) == ("6", False)


async def test_retry_after_never_holds_the_source_for_longer_than_two_minutes() -> None:
    source, _ = ontap(reply(b"", 503, headers={"Retry-After": "4000"}))
    with pytest.raises(ServerError) as caught:
        await source.get(UUID)
    assert caught.value.retry_after == 120.0


# --- lists


@pytest.mark.parametrize(
    ("filters", "query"),
    [
        ({}, "fields=*"),
        ({"state": "running"}, "state=running&fields=*"),
        ({"state": ["queued", "running"]}, "state=queued%7Crunning&fields=*"),
        ({"state": [JobState.SUCCEEDED, JobState.FAILED]}, "state=success%7Cfailure&fields=*"),
        ({"state": "!success"}, "state=%21success&fields=*"),
        ({"svm_name": "prod *"}, "svm.name=prod%20*&fields=*"),
        ({"svm_uuid": "u", "node_name": "n"}, "svm.uuid=u&node.name=n&fields=*"),
        ({"error_code": [1, 2], "code": 0}, "error.code=1%7C2&code=0&fields=*"),
        ({"error_arguments_code": "1..5"}, "error.arguments.code=1..5&fields=*"),
        ({"error_arguments_message": "null"}, "error.arguments.message=null&fields=*"),
        ({"error_message": "a+b&c=d#e%"}, "error.message=a%2Bb%26c%3Dd%23e%25&fields=*"),
        ({"message": "disk full", "description": "*"}, "message=disk%20full&description=*&fields=*"),
        (
            {"end_time": datetime(2026, 3, 1, 12, tzinfo=UTC), "start_time": ">=2026-03-01"},
            "end_time=2026-03-01T12%3A00%3A00%2B00%3A00&start_time=%3E%3D2026-03-01&fields=*",
        ),
        ({"uuid": ("a", "b"), "state": None}, "uuid=a%7Cb&fields=*"),
        ({"fields": "uuid, state"}, "fields=uuid,state"),
        ({"fields": ["**"]}, "fields=**"),
        ({"max_records": 20, "return_timeout": 0}, "fields=*&max_records=20&return_timeout=0"),
        ({"return_timeout": 120}, "fields=*&return_timeout=120"),
        ({"order_by": "start_time desc,uuid"}, "fields=*&order_by=start_time%20desc,uuid"),
        ({"order_by": ["state", "code asc"]}, "fields=*&order_by=state,code%20asc"),
    ],
)
async def test_a_list_sends_each_filter_under_its_name_on_the_wire(filters: Any, query: str) -> None:
    source, wire = ontap(page("a", "b"))
    assert await ids(source.list(**filters)) == ["a", "b"]
    assert wire.lines == [f"GET {JOBS}?{query}"]


async def test_a_list_asks_for_a_page_only_when_it_is_needed() -> None:
    source, wire = ontap(page("a", "b", after=f"{JOBS}?p=2"), page("c", after=f"{JOBS}?p=3"))
    jobs = source.list()
    assert len(wire.requests) == 0
    assert [(await anext(jobs)).id, (await anext(jobs)).id] == ["a", "b"]
    assert len(wire.requests) == 1
    assert (await anext(jobs)).id == "c"
    assert len(wire.requests) == 2
    assert await ids(jobs) == ["c"]  # the last page names itself


async def test_a_list_that_is_left_early_leaves_nothing_behind() -> None:
    source, wire = ontap(page("a", "b", after=f"{JOBS}?p=2"))
    async for job in source.list():
        assert job.id == "a"
        break
    assert len(wire.requests) == 1


async def test_short_and_empty_pages_are_followed_to_the_end() -> None:
    source, wire = ontap(
        page(after=f"{JOBS}?p=2", num_records=0),
        page("a", after=f"{JOBS}?p=3"),
        page(after=f"{JOBS}?p=4"),
        page("b", "c"),
    )
    assert await ids(source.list(max_records=2)) == ["a", "b", "c"]
    assert len(wire.requests) == 4


async def test_a_single_object_stands_for_a_list_of_one() -> None:
    source, _ = ontap(reply({"records": RUNNING}))
    assert await ids(source.list()) == [UUID]


@pytest.mark.parametrize(
    "href",
    [
        f"{JOBS}?start.uuid=a%20b&fields=*",
        f"https://cluster1{JOBS}?start.uuid=a%20b&fields=*",
        f"https://CLUSTER1:443{JOBS}?start.uuid=a%20b&fields=*",
        f"{JOBS}?start.uuid=a%20b&fields=*#fragment",
    ],
)
async def test_the_next_page_is_followed_on_this_server_as_it_is_written(href: str) -> None:
    source, wire = ontap(page("a", after=href), page("b"))
    assert await ids(source.list()) == ["a", "b"]
    assert wire.lines[1] == f"GET {JOBS}?start.uuid=a%20b&fields=*"
    assert wire.hosts == {"cluster1"}


@pytest.mark.parametrize(
    "href",
    [
        f"https://evil.example{JOBS}?p=2",
        f"https://cluster1.evil.example{JOBS}?p=2",
        f"https://cluster1:8443{JOBS}?p=2",
        f"http://cluster1{JOBS}?p=2",
        f"//evil.example{JOBS}?p=2",
        f"https://cluster1@evil.example{JOBS}?p=2",
        f"https://evil.example\\@cluster1{JOBS}?p=2",
        "ftp://cluster1/x",
        "javascript:alert(1)",
        "https://[::1",
        "",
    ],
)
async def test_a_next_page_elsewhere_is_refused_before_any_credential_is_sent(href: str) -> None:
    source, wire = ontap(page("a", after=href))
    jobs = source.list()
    assert (await anext(jobs)).id == "a"
    with pytest.raises(DecodeError, match="not followed") as caught:
        await anext(jobs)
    assert caught.value.path == "$._links.next.href"
    assert len(wire.requests) == 1


async def test_a_page_that_names_itself_as_the_next_one_is_the_last() -> None:
    source, wire = ontap(page("a", after=f"https://cluster1{JOBS}?fields=*"))
    assert await ids(source.list()) == ["a"]
    assert len(wire.requests) == 1


async def test_a_list_that_goes_round_in_circles_ends_in_an_error() -> None:
    two, three = f"{JOBS}?p=2", f"{JOBS}?p=3"
    source, wire = ontap(page("a", after=two), page("b", after=three), page("c", after=two))
    jobs = source.list()
    assert [(await anext(jobs)).id for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(DecodeError, match="does not end"):
        await anext(jobs)
    assert len(wire.requests) == 3


async def test_a_list_without_end_ends_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAGES", 7)
    source, wire = ontap(next_of)
    with pytest.raises(DecodeError, match="more than 7 pages"):
        await ids(source.list())
    assert len(wire.requests) == 7


def next_of(request: httpx.Request) -> httpx.Response:
    number = int(request.url.params.get("p", "0")) + 1
    links = {"next": {"href": f"{JOBS}?p={number}"}} if number < 50 else {}
    return httpx.Response(200, json={"records": [], "_links": links})


async def test_trouble_with_a_later_page_comes_after_the_jobs_of_the_earlier_ones() -> None:
    source, _ = ontap(page("a", after=f"{JOBS}?p=2"), refused("262160", 503))
    jobs = source.list()
    assert (await anext(jobs)).id == "a"
    with pytest.raises(ServerError) as caught:
        await anext(jobs)
    assert caught.value.transient


async def test_a_page_that_failed_is_asked_for_again_and_not_taken_for_the_last() -> None:
    trouble = refused("262160", 503)
    source, wire = ontap(trouble, page("a", after=f"{JOBS}?p=2"), trouble, page("b"))
    jobs = source.list()
    for expected in ("a", "b"):
        with pytest.raises(ServerError):
            await anext(jobs)
        assert (await anext(jobs)).id == expected
    assert await ids(jobs) == []
    assert len(wire.requests) == 4


@pytest.mark.parametrize("body", [{}, {"records": "none"}, {"records": 7}, {"records": [1]}, [], b"<html>"])
async def test_what_is_no_list_is_a_decode_error(body: Any) -> None:
    source, _ = ontap(reply(body))
    with pytest.raises(DecodeError):
        await ids(source.list())


# --- counting


async def test_count_asks_for_the_number_alone() -> None:
    source, wire = ontap(reply({"num_records": 7}))
    assert await source.count(state="running", svm_name="vs1") == 7
    assert wire.lines == [f"GET {JOBS}?state=running&svm.name=vs1&return_records=false"]


@pytest.mark.parametrize(
    "body", [{"records": []}, {"_links": {"self": {"href": JOBS}}}, {}, {"num_records": -1}]
)
async def test_count_without_num_records_counts_the_pages(body: dict[str, Any]) -> None:
    source, wire = ontap(reply(body), page("a", "b", after=f"{JOBS}?p=2"), page("c"))
    assert await source.count(state="running") == 3
    assert wire.lines == [
        f"GET {JOBS}?state=running&return_records=false",
        f"GET {JOBS}?state=running&fields=uuid",
        f"GET {JOBS}?p=2",
    ]


async def test_a_single_record_that_is_in_no_array_counts_as_one() -> None:
    source, _ = ontap(reply({}), reply({"records": {"uuid": "a"}}))
    assert await source.count(state="running") == 1


async def test_count_adds_up_the_pages_of_an_answer_that_ends_early() -> None:
    def part(number: int, after: str | None = None) -> Answer:
        return reply({"num_records": number, "_links": {"next": {"href": after}} if after else {}})

    source, wire = ontap(part(3, f"{JOBS}?p=2"), part(0, f"{JOBS}?p=3"), part(7, f"{JOBS}?p=3"))
    assert await source.count() == 10
    assert wire.lines == [f"GET {JOBS}?return_records=false", f"GET {JOBS}?p=2", f"GET {JOBS}?p=3"]


@pytest.mark.parametrize(
    ("links", "words"),
    [
        (["https://elsewhere/x"], "another server"),
        ([f"{JOBS}?p=2", f"{JOBS}?p=3", f"{JOBS}?p=2"], "does not end"),
    ],
)
async def test_a_count_that_cannot_end_is_an_error(links: list[str], words: str) -> None:
    source, _ = ontap(*(reply({"num_records": 1, "_links": {"next": {"href": link}}}) for link in links))
    with pytest.raises(DecodeError, match=words):
        await source.count()


async def test_count_reports_a_refusal() -> None:
    source, _ = ontap(refused("262197"))
    with pytest.raises(ApiError, match="the server's words") as caught:
        await source.count()
    assert caught.value.code == "262197"


# --- actions


@pytest.mark.parametrize("action", list(Action))
async def test_an_action_is_one_patch_and_then_a_fresh_read(action: Action, router: respx.MockRouter) -> None:
    patch = router.patch(f"https://cluster1{JOBS}/{UUID}?action={action}").respond(200, json={})
    read = router.get(f"https://cluster1{JOBS}/{UUID}?fields=*").respond(json=RUNNING)
    async with OntapJobs("cluster1", auth=AUTH) as source:
        job = await source.act(UUID, action)
    assert (patch.call_count, read.call_count) == (1, 1)
    assert patch.calls.last.request.content == b""
    assert job.state is JobState.RUNNING  # the server's word, never the action's


async def test_each_action_has_a_name_of_its_own() -> None:
    source, wire = ontap(reply(RUNNING))
    for call in (source.pause, source.resume, source.cancel):
        await call(UUID)
    wanted = [f"PATCH {JOBS}/{UUID}?action={action}" for action in ("pause", "resume", "cancel")]
    assert [line for line in wire.lines if line != GET] == wanted
    assert source.capabilities >= {Capability.PAUSE, Capability.RESUME, Capability.CANCEL, Capability.LIST}


@pytest.mark.parametrize("status", [400, 409, 500])
@pytest.mark.parametrize("code", REFUSALS)
async def test_every_refusal_code_becomes_its_exception(code: str, status: int) -> None:
    source, wire = ontap(refused(int(code), status))
    with pytest.raises(ActionRefused, match=r"cannot cancel: .*\(the server's words\)") as caught:
        await source.cancel(UUID)
    assert isinstance(caught.value, AlreadyFinished) == (code == "458762")
    assert caught.value.retryable == (code == "458773")
    assert (caught.value.code, caught.value.ref) == (code, source.ref(UUID))
    assert REFUSALS[code].sentence in str(caught.value)
    assert len(wire.requests) == 1


def test_the_table_of_refusals_is_the_references() -> None:
    assert set(REFUSALS) == {"458762", "458771", "458773", "458776", "458783", "458784", "459753"}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refused("123456", 400), ActionRefused),
        (refused("123456", 405), ActionRefused),
        (refused("6691623", 401), AuthenticationError),
        (refused("6", 403), PermissionDenied),
        (refused("4", 404), JobNotFound),
        (refused("3", 404), ApiError),
        (reply(b"slow down", 429), RateLimited),
        (refused("262160", 503), ServerError),
        (refused("1", 502), ActionUncertain),
        (refused("1", 504), ActionUncertain),
        (reply(b"<html>bad gateway</html>", 500), ActionUncertain),
        (reply(b"{}", 200, headers={"Content-Encoding": "br"}), ActionUncertain),
        (httpx.ReadTimeout("late"), ActionUncertain),
    ],
)
async def test_what_an_action_that_did_not_succeed_becomes(answer: Answer, expected: type[JobsError]) -> None:
    source, wire = ontap(answer)
    with pytest.raises(expected) as caught:
        await source.cancel(UUID)
    assert type(caught.value) is expected
    assert caught.value.ref == source.ref(UUID)
    assert wire.lines == [f"PATCH {JOBS}/{UUID}?action=cancel"]


@pytest.mark.parametrize("answer", [refused("4", 404), refused("6", 403), reply(b"<html>", 200)])
async def test_a_read_that_fails_after_the_server_took_the_action_is_no_failure_of_it(answer: Answer) -> None:
    source, wire = ontap(reply({}), answer)
    job = await source.cancel(UUID)
    assert job.state is JobState.UNKNOWN
    assert "the server accepted the cancel" in job.warnings[0]
    assert [line.split(" ")[0] for line in wire.lines].count("PATCH") == 1


async def test_a_read_after_an_action_is_tried_again() -> None:
    source, wire = ontap(reply({}), reply(b"", 503), reply(RUNNING))
    job = await source.pause(UUID)
    assert (job.state, job.warnings) == (JobState.RUNNING, ())
    assert wire.lines[1:] == [GET, GET]


async def test_an_action_after_a_401_is_sent_again_with_the_fresh_token_alone() -> None:
    tokens = iter(["old", "new", "new", "new"])

    async def token() -> str:
        await anyio.lowlevel.checkpoint()
        return next(tokens)

    wire = Recorder(refused("6691623", 401), reply({}), reply(RUNNING))
    await OntapJobs("cluster1", auth=Bearer(token), transport=wire).cancel(UUID)
    assert [line.split(" ")[0] for line in wire.lines] == ["PATCH", "PATCH", "GET"]
    assert wire.sent("Authorization") == ["Bearer old", "Bearer new", "Bearer new"]


# --- taking over the jobs of a write


async def test_a_link_gives_an_id_and_nothing_else() -> None:
    source, wire = ontap(reply({"uuid": UUID, "state": "success"}))
    adopted = source.adopt(
        status=202, body={"job": {"_links": {"self": {"href": f"https://evil.example{JOBS}/{UUID}"}}}}
    )
    assert adopted.refs == (source.ref(UUID),)
    assert (await source.wait(adopted.refs[0])).succeeded
    assert wire.hosts == {"cluster1"}


async def test_a_finished_job_in_a_reply_costs_no_poll() -> None:
    source, wire = ontap(reply({}))
    adopted = source.adopt(httpx.Response(200, json={"job": {"uuid": UUID, "state": "success"}}))
    finished: Job = await source.wait(adopted.jobs[0])
    assert finished.succeeded
    assert wire.requests == []


async def test_a_write_that_failed_hands_over_nothing_but_its_error() -> None:
    source, _ = ontap(reply({}))
    with pytest.raises(ApiError, match="duplicate name") as caught:
        source.adopt(status=409, body={"error": {"message": "duplicate name", "code": "917927"}})
    assert (caught.value.status, caught.value.code) == (409, "917927")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"response": 7},
        {"response": "text"},
        {"status": "202"},
        {"status": 202, "body": object()},
        {"status": 202, "headers": 7},
    ],
)
async def test_what_is_no_reply_is_a_usage_error(given: dict[str, Any]) -> None:
    source, _ = ontap(reply({}))
    with pytest.raises(UsageError):
        source.adopt(**given)
