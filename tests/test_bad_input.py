"""Wrong calls: each is one clear sentence of a typed error, before any request."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from bluexp_jobs import BlueXPJobs
from cfjobs import CFJobs
from common.config.fleet import Fleet
from common.model.errors import JobsError, Unsupported, UsageError, WrongSource
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import Action, JobState
from common.sources.base import BaseSource
from common.sources.sets.wait_all import as_completed, wait_all
from ontapjobs import Bearer, OntapJobs, PollPolicy
from tests.cases import case
from tests.recording import Recorder, reply

pytestmark = pytest.mark.anyio

SECRET = "hunter2-hunter3"
AUTH = ("admin", SECRET)
SOURCES = ["ontap", "bluexp", "cf"]


class Bench:
    """The three sources on one recording transport."""

    def __init__(self) -> None:
        self.wire = Recorder(reply({"uuid": "j1", "state": "success"}))
        self.ontap = OntapJobs("cluster1", auth=AUTH, transport=self.wire, aliases=["10.0.0.1"])
        self.bluexp = BlueXPJobs(account="a1", agent="g1", auth=Bearer(SECRET), transport=self.wire)
        self.cf = CFJobs("api.example.org", auth=Bearer(SECRET), transport=self.wire)

    def source(self, name: str) -> Any:
        """One of the three, and without its types: these calls are wrong."""
        return getattr(self, name)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def assert_clear(error: BaseException) -> None:
    """One sentence that a person can act on, without what must not be said."""
    text = str(error)
    assert isinstance(error, JobsError)
    assert text
    assert "\n" not in text
    assert len(text) <= 400
    assert SECRET not in f"{text}{error!r}{vars(error)}"
    assert error.__cause__ is None


async def refuses(
    call: Callable[[], Any], bench: Bench, kind: type[JobsError] = UsageError, match: str | None = None
) -> None:
    """The call raises that kind of error, clearly, and nothing was sent."""
    with pytest.raises(kind, match=match) as caught:
        await finished(call())
    assert_clear(caught.value)
    assert bench.wire.requests == []


async def finished(result: Any) -> None:
    """Whatever a call gives: awaited, or stepped through."""
    with anyio.fail_after(1):  # what is not refused may wait for ever
        if hasattr(result, "__anext__"):
            await anext(result)
        elif hasattr(result, "__await__"):
            await result


# --- endpoints

ENDPOINTS: list[Any] = [
    "",
    "   ",
    None,
    7,
    b"cluster1",
    [],
    {},
    Path("cluster1"),
    httpx.URL("https://cluster1"),
    "ftp://cluster1",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "https://",
    "https:///api",
    "//cluster1",
    "cluster1//api",
    "https://cluster1/api/../x",
    "https://cluster1/api?x=1",
    "https://cluster1/%2e%2e",
    "https://cluster1?x=1",
    "https://cluster1#x",
    f"https://admin:{SECRET}@cluster1",
    f"admin:{SECRET}@cluster1",
    "cluster1:0",
    "cluster1:99999",
    "cluster1:port",
    "cluster1\nevil",
    "cluster1 evil",
    "cluster\x00",
    "-cluster1",
    "::1",
    "https://[::zz]",
    "a..b",
    ".cluster1",
    f"{'a' * 64}.example.com",
    f"{'a' * 300}.example.com",
    "https://cluster1\\@evil.example",
    "https://cluster1%2f@evil.example",
    "h;x",
    "\u202e.example",
]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda value: repr(value)[:30])
async def test_an_endpoint_is_an_origin_and_a_plain_path(endpoint: Any, bench: Bench) -> None:
    wire = bench.wire
    await refuses(lambda: OntapJobs(endpoint, auth=AUTH, transport=wire), bench)
    await refuses(lambda: CFJobs(endpoint, auth=AUTH, transport=wire), bench)
    await refuses(
        lambda: BlueXPJobs(account="a", agent="g", auth=AUTH, endpoint=endpoint, transport=wire), bench
    )


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("cluster1", "https://cluster1"),
        ("Cluster1.Example.COM:443", "https://cluster1.example.com"),
        ("https://cluster1/", "https://cluster1"),
        ("https://cluster1:8443", "https://cluster1:8443"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("https://[2001:DB8::1]:443", "https://[2001:db8::1]"),
        ("bücher.example", "https://xn--bcher-kva.example"),
        ("under_score.internal", "https://under_score.internal"),
    ],
)
def test_what_people_type_becomes_one_form(typed: str, origin: str) -> None:
    assert OntapJobs(typed, auth=AUTH).endpoint == origin


# --- credentials


@pytest.mark.parametrize(
    "auth",
    [
        None,
        SECRET,
        SECRET.encode(),
        7,
        True,
        pytest.param(object(), id="object()"),
        (),
        ("admin",),
        ("admin", SECRET, "more"),
        ("admin", None),
        (None, SECRET),
        ("admin", SECRET.encode()),
        ["admin", SECRET],
        {"admin": SECRET},
        (f"admin:{SECRET}", ""),
        ("admin", f"{SECRET}\udcff"),
        Bearer,
        httpx.BasicAuth,
        pytest.param(lambda request: request, id="a function"),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_auth_left_out_or_of_a_wrong_kind_is_refused(auth: Any, bench: Bench) -> None:
    wire = bench.wire
    await refuses(lambda: OntapJobs("cluster1", auth=auth, transport=wire), bench)
    await refuses(lambda: CFJobs("api.example.org", auth=auth, transport=wire), bench)
    await refuses(lambda: BlueXPJobs(account="a", agent="g", auth=auth, transport=wire), bench)


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"account": "a"},
        {"agent": "g"},
        {"account": "", "agent": "g"},
        {"account": "a", "agent": "  "},
        {"account": None, "agent": "g"},
        {"account": 7, "agent": "g"},
        {"account": "two words", "agent": "g"},
        {"account": "a", "agent": "g\r\nX-Evil: 1"},
        {"account": "a", "agent": "ägent"},
        {"account": "a" * 10_000, "agent": "g"},
        {"account": "a", "agent": "g" * 10_000},
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_bluexp_needs_an_account_and_an_agent(keywords: dict[str, Any], bench: Bench) -> None:
    await refuses(lambda: BlueXPJobs(auth=Bearer(SECRET), transport=bench.wire, **keywords), bench)


# --- keywords of a source


BAD_KEYWORDS: list[tuple[dict[str, Any], str]] = [
    ({"verfy": False}, "unknown keyword 'verfy'"),
    ({"timeout": 30}, "unknown keyword 'timeout'"),
    ({"request_timeout": 0}, "request_timeout="),
    ({"request_timeout": "30"}, "request_timeout="),
    ({"concurrency": 0}, "concurrency="),
    ({"user_agent": "a\r\nX-Evil: 1"}, "user_agent="),
    ({"policy": {"initial": 1}}, "policy="),
    ({"policy": PollPolicy}, "policy="),
    ({"observer": "print"}, "observer="),
    ({"states": {"DONE": "nonsense"}}, "states="),
    ({"aliases": "cluster2"}, "aliases="),
    ({"aliases": 7}, "aliases="),
    ({"transport": 7}, "transport="),
    ({"transport": httpx.HTTPTransport}, "transport="),
    ({"verify": False}, "verify= cannot be combined with transport="),
    ({"cert": "client.pem"}, "cert= cannot be combined with transport="),
    ({"proxy": "http://proxy"}, "proxy= cannot be combined with transport="),
]


@pytest.mark.parametrize("make", [OntapJobs, CFJobs])
async def test_a_keyword_that_makes_no_sense_is_refused(make: Any, bench: Bench) -> None:
    for options, match in BAD_KEYWORDS:
        with case(options, match):
            given = {"auth": AUTH, "transport": bench.wire, **options}
            await refuses(partial(make, "cluster1", **given), bench, match=match)


@pytest.mark.parametrize("name", ["verify", "cert", "proxy", "transport"])
async def test_what_belongs_to_the_callers_own_client_is_not_taken_beside_it(name: str, bench: Bench) -> None:
    options: dict[str, Any] = {"verify": True, "cert": "c.pem", "proxy": "http://p", "transport": bench.wire}
    async with httpx.AsyncClient(transport=bench.wire) as own:
        await refuses(
            lambda: CFJobs("api.example.org", auth=AUTH, http=own, **{name: options[name]}),
            bench,
            match=f"{name}= cannot be combined with http=",
        )


async def test_only_an_asynchronous_client_will_do(bench: Bench) -> None:
    with httpx.Client() as synchronous:
        for http in (synchronous, httpx, httpx.AsyncClient, "client", 7, object()):
            wrong: Any = http
            await refuses(partial(OntapJobs, "cluster1", auth=AUTH, http=wrong), bench, match="AsyncClient")


async def test_a_socks_proxy_without_its_library_is_a_usage_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)

    async def call() -> Job:
        return await OntapJobs("cluster1", auth=AUTH, proxy="socks5://127.0.0.1:9").get("j1")

    await refuses(call, bench, match="socks")


async def test_a_synchronous_transport_is_refused(bench: Bench) -> None:
    with httpx.HTTPTransport() as synchronous:
        given: Any = synchronous
        await refuses(lambda: OntapJobs("cluster1", auth=AUTH, transport=given), bench, match="transport=")


@pytest.mark.parametrize("maximum", [240.5, 300, 3600])
async def test_ontap_refuses_a_policy_under_which_a_job_could_vanish(maximum: float, bench: Bench) -> None:
    policy = PollPolicy(maximum=maximum)
    await refuses(lambda: OntapJobs("cluster1", auth=AUTH, policy=policy), bench, match="240 s")
    await refuses(lambda: bench.ontap.wait("j1", policy=policy), bench, match="240 s")
    assert OntapJobs("cluster1", auth=AUTH, policy=PollPolicy(maximum=240)).policy.maximum == 240
    assert CFJobs("api.example.org", auth=AUTH, policy=policy).policy is policy


# --- whose job, and which

NO_JOBS: list[Any] = ["", ".", "..", "x" * 10_000, None, 7, b"j1", ["j1"], {"id": "j1"}, object()]


@pytest.mark.parametrize("name", SOURCES)
async def test_what_names_no_job_is_refused_by_every_call(name: str, bench: Bench) -> None:
    source = bench.source(name)
    for job in NO_JOBS:
        with case(job):
            for call in (source.ref, source.get, source.wait, source.watch):
                await refuses(partial(call, job), bench)


@pytest.mark.parametrize("job", NO_JOBS, ids=lambda value: repr(value)[:20])
async def test_what_names_no_job_cannot_be_acted_on(job: Any, bench: Bench) -> None:
    await refuses(lambda: bench.ontap.act(job, Action.CANCEL), bench)


@pytest.mark.parametrize(
    "text",
    ["ontap://", "ontap://cluster1", "ontap://cluster1/", "ontap://cluster1/a/b/c", "ontap://cluster1/j 1"],
)
async def test_text_that_only_begins_like_a_ref_is_refused(text: str, bench: Bench) -> None:
    await refuses(lambda: bench.ontap.get(text), bench)


@pytest.mark.parametrize(
    "job",
    [
        "cf://api.example.org/j1",
        "bluexp://api.bluexp.netapp.com/a1/j1?agent=g1",
        "ontap://cluster2/j1",
        "ontap+http://cluster1/j1",
        "ontap://cluster1:8443/j1",
        "ontap://cluster1.evil.example/j1",
        "ontap://cluster1/tenant/j1",
        "ontap://cluster2/" + "x" * 10_000,
        JobRef("cf", "", "j1"),
        JobRef("ontap", "https://cluster2", "j1"),
        JobRef("ontap", "https://cluster1", "j1", (("account", "a1"),)),
        Job(JobRef("ontap", "https://cluster2", "j1"), JobState.RUNNING),
        Job(JobRef("ontap", "https://cluster2", "j1"), JobState.SUCCEEDED),
    ],
    ids=lambda job: str(job)[:40],
)
async def test_a_job_of_another_provider_endpoint_or_scope_is_refused(job: Any, bench: Bench) -> None:
    for call in (bench.ontap.get, bench.ontap.wait, bench.ontap.watch, bench.ontap.cancel):
        await refuses(partial(call, job), bench, WrongSource)
    await refuses(lambda: bench.ontap.act(job, Action.PAUSE), bench, WrongSource)


async def test_a_fleet_refuses_what_belongs_to_none_of_its_sources(bench: Bench) -> None:
    fleet = Fleet([bench.ontap, bench.cf])
    await refuses(lambda: fleet.get("bluexp://api.bluexp.netapp.com/a1/j1?agent=g1"), bench, WrongSource)
    await refuses(lambda: fleet.get("ontap://cluster2/j1"), bench, WrongSource)
    await refuses(lambda: fleet.get("j1"), bench, match="bare id")
    await refuses(lambda: Fleet([]), bench, match="at least one")


@pytest.mark.parametrize("sources", [None, 7, "ontap", [7], ["ontap"], [None]], ids=repr)
async def test_a_fleet_is_made_of_sources(sources: Any, bench: Bench) -> None:
    await refuses(lambda: Fleet(sources), bench, match="source")


async def test_a_fleet_of_one_source_without_its_brackets_is_explained(bench: Bench) -> None:
    source: Any = bench.ontap
    await refuses(lambda: Fleet(source), bench, match="source")


def test_an_alias_is_the_same_system(bench: Bench) -> None:
    assert bench.ontap.ref("ontap://10.0.0.1/j1") == bench.ontap.ref("j1")


@pytest.mark.parametrize("scope", [7, "text", [("a",)], [7], [("a", "b", "c")]])
def test_a_scope_is_pairs(scope: Any) -> None:
    with pytest.raises(UsageError, match="scope") as caught:
        JobRef("bluexp", "", "j1", scope)
    assert_clear(caught.value)


@pytest.mark.parametrize(
    ("provider", "endpoint", "id"),
    [
        ("", "", "j1"),
        ("On Tap", "", "j1"),
        (7, "", "j1"),
        ("ontap", [], "j1"),
        ("ontap", 7, "j1"),
        ("ontap", "", 7),
    ],
)
def test_a_ref_of_nonsense_is_refused(provider: Any, endpoint: Any, id: Any) -> None:
    with pytest.raises(UsageError) as caught:
        JobRef(provider, endpoint, id)
    assert_clear(caught.value)


@pytest.mark.parametrize("text", [None, 7, b"ontap://cluster1/j1", "", "j1", "https://cluster1/j1/a/b/c"])
def test_what_is_no_ref_does_not_parse_as_one(text: Any) -> None:
    with pytest.raises(UsageError) as caught:
        JobRef.parse(text)
    assert_clear(caught.value)


# --- waiting


BAD_WAITS: list[tuple[dict[str, Any], str]] = [
    ({"timeout": -1}, "timeout="),
    ({"timeout": -0.001}, "timeout="),
    ({"timeout": math.nan}, "timeout="),
    ({"timeout": "60"}, "timeout="),
    ({"timeout": True}, "timeout="),
    ({"until": []}, "until="),
    ({"until": set()}, "until="),
    ({"until": ["done"]}, "until="),
    ({"until": "done"}, "until="),
    ({"until": 7}, "until="),
    ({"on_cancel": "stop"}, "on_cancel="),
    ({"on_cancel": True}, "on_cancel="),
    ({"deadline": 60}, "deadline="),
    ({"deadline": datetime.fromisoformat("2030-01-01")}, "deadline="),
    ({"deadline": datetime(2030, 1, 1, tzinfo=UTC), "timeout": 60}, "deadline="),
    ({"policy": {}}, "policy="),
    ({"policy": 30}, "policy="),
    ({"resolve_gone": "probe"}, "resolve_gone="),
    ({"resolve_gone": JobState.SUCCEEDED}, "resolve_gone="),
]


@pytest.mark.parametrize("name", SOURCES)
async def test_a_wait_that_makes_no_sense_is_refused(name: str, bench: Bench) -> None:
    source = bench.source(name)
    for options, match in BAD_WAITS:
        with case(options, match):
            await refuses(partial(source.wait, "j1", **options), bench, match=match)
            await refuses(partial(source.watch, "j1", **options), bench, match=match)


@pytest.mark.parametrize("action", ["stop", "", None, 7, JobState.RUNNING, ["cancel"]])
async def test_an_unknown_action_is_refused(action: Any, bench: Bench) -> None:
    await refuses(lambda: bench.ontap.act("j1", action), bench, match="unknown action")


@pytest.mark.parametrize("name", ["bluexp", "cf"])
@pytest.mark.parametrize("action", [*Action, "stop", None])
async def test_what_a_server_cannot_do_is_unsupported(name: str, action: Any, bench: Bench) -> None:
    await refuses(lambda: bench.source(name).act("j1", action), bench, Unsupported)


async def collected(*arguments: Any, **options: Any) -> None:
    """All of `as_completed`, entered and iterated."""
    async with as_completed(*arguments, **options) as done:
        async for _ in done:
            pass


BAD_TOGETHER: list[tuple[Any, dict[str, Any], str | None]] = [
    ("j1", {}, None),
    ("ontap://cluster1/j1", {}, None),
    (None, {}, None),
    (7, {}, None),
    (["j1", ""], {}, "empty"),
    (["j1", None], {}, None),
    (["j1", "ontap://cluster2/j1"], {}, "cluster2"),
    (["j1"], {"timeout": -1}, "timeout="),
    (["j1"], {"timeout": "60"}, "timeout="),
    (["j1"], {"on_cancel": "stop"}, "on_cancel="),
    (["j1"], {"deadline": 60}, "deadline="),
    (["j1"], {"on_update": 7}, "on_update"),
    (["j1"], {"policy": 30}, "policy="),
    (["j1"], {"resolve_gone": "probe"}, "resolve_gone="),
]


@pytest.mark.parametrize("together", [wait_all, collected])
async def test_waits_together_that_make_no_sense_are_refused_before_the_first(
    together: Any, bench: Bench
) -> None:
    for jobs, options, match in BAD_TOGETHER:
        with case(jobs, options, match):
            await refuses(partial(together, bench.ontap, jobs, **options), bench, match=match)


@pytest.mark.slow
async def test_as_completed_outside_its_block_is_explained_and_leaves_nothing(bench: Bench) -> None:
    await refuses(lambda: as_completed(bench.ontap, ["j1"]), bench, match="async with")
    gc.collect()  # what was not closed is reported here


@pytest.mark.parametrize("when", ["", "any", None, True])
async def test_wait_all_returns_when_it_is_told_a_known_word(when: Any, bench: Bench) -> None:
    await refuses(lambda: wait_all(bench.ontap, ["j1"], return_when=when), bench, match="return_when=")


# --- lists


@pytest.mark.parametrize(
    ("filters", "match"),
    [
        ({"stat": "running"}, "unknown filter 'stat'"),
        ({"svm.name": "vs1"}, "unknown filter"),
        ({"state": ""}, "state="),
        ({"state": []}, "state="),
        ({"state": ["running", ""]}, "state="),
        ({"state": b"running"}, "state="),
        ({"state": {"a": 1}}, "state="),
        ({"state": [["running"]]}, "state="),
        ({"state": JobState.PARTIAL}, "state="),
        ({"svm_name": JobState.RUNNING}, "svm_name="),
        ({"code": 1.5}, "code="),
        ({"code": True}, "code="),
        pytest.param({"code": object()}, "code=", id="{'code': object()}-code="),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_an_ontap_filter_that_cannot_be_sent_is_refused(
    filters: dict[str, Any], match: str, bench: Bench
) -> None:
    await refuses(lambda: bench.ontap.list(**filters), bench, match=match)
    await refuses(lambda: bench.ontap.count(**filters), bench, match=match)


BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"return_timeout": 500}, "return_timeout="),
    ({"return_timeout": 121}, "return_timeout="),
    ({"return_timeout": -1}, "return_timeout="),
    ({"return_timeout": 1.5}, "return_timeout="),
    ({"return_timeout": "15"}, "return_timeout="),
    ({"return_timeout": True}, "return_timeout="),
    ({"max_records": 0}, "max_records="),
    ({"max_records": -1}, "max_records="),
    ({"max_records": "all"}, "max_records="),
    ({"fields": ""}, "fields="),
    ({"fields": []}, "fields="),
    ({"fields": 7}, "fields="),
    ({"fields": [7]}, "fields="),
    ({"fields": "uuid,,state"}, "fields="),
    ({"order_by": ""}, "order_by="),
    ({"order_by": 7}, "order_by="),
    ({"order_by": "state up"}, "order_by="),
    ({"order_by": "state desc now"}, "order_by="),
]


async def test_an_option_that_the_server_would_refuse_is_refused(bench: Bench) -> None:
    source: Any = bench.ontap
    for options, match in BAD_OPTIONS:
        with case(options, match):
            await refuses(partial(source.list, **options), bench, match=match)


@pytest.mark.parametrize(
    "filters",
    [{"stat": "FAILED"}, {"id": "j1"}, {"type": ""}, {"status": ""}, {"status": 7}, {"type": ["restore"]}],
    ids=repr,
)
async def test_a_bluexp_filter_that_cannot_be_sent_is_refused(filters: dict[str, Any], bench: Bench) -> None:
    source: Any = bench.bluexp
    await refuses(lambda: source.list(**filters), bench)


async def test_a_list_that_does_not_exist_is_unsupported(bench: Bench) -> None:
    source: BaseSource = bench.cf
    await refuses(lambda: source.list(state="FAILED"), bench, Unsupported)
    await refuses(lambda: Fleet([bench.cf]).list(), bench, Unsupported)


async def test_a_fleet_passes_on_the_refusal_of_a_filter(bench: Bench) -> None:
    await refuses(
        lambda: Fleet([bench.ontap, bench.bluexp]).list(stat="FAILED"), bench, match="unknown filter"
    )
