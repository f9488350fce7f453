"""Every public call as a user types it, and the type that it gives. Never run: mypy and pyright read it.

An ignored error is a claim too: both checkers report one that is no longer needed, or no longer there.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Never, assert_type

import httpx
import requests

import bluexp_jobs
import cfjobs
import ontapjobs
from bluexp_jobs import BlueXPJobs
from cfjobs import (
    CFJobs,
    UAAAssertion,
    UAAClientCredentials,
    UAAPasscode,
    UAAPassword,
    UAARefreshToken,
)
from common import (
    TERMINAL,
    Action,
    Adopted,
    AlreadyFinished,
    ApiError,
    Basic,
    Bearer,
    Capability,
    ErrorDetail,
    Event,
    EventKind,
    Fleet,
    InsecureConnectionWarning,
    Job,
    JobFailed,
    JobGone,
    JobItem,
    JobLike,
    JobRef,
    JobsError,
    JobSet,
    JobSource,
    JobState,
    Observer,
    PollPolicy,
    Portal,
    PortalFuture,
    Probe,
    WaitTimeout,
    Watch,
    as_completed,
    close_shared,
    connect,
    from_dict,
    get_all,
    portal,
    preload,
    shared_source,
    to_dict,
    wait_all,
)
from common.sources.base import BaseSource
from ontapjobs import BulkResult, OntapJobs


async def token() -> str:
    return "t0ken"


async def keep(refresh_token: str) -> None:
    print(len(refresh_token))  # noqa: T201


def blocking_token() -> str:
    return "t0ken"


async def probe(ref: JobRef, job: Job | None) -> JobState:
    return JobState.SUCCEEDED if job and ref == job.ref else JobState.FAILED


def update(job: Job) -> None:
    assert_type(job.state, JobState)


async def async_update(job: Job) -> None: ...


def observe(event: Event) -> None:
    assert_type(event.kind, EventKind)
    assert_type(event.ref, JobRef)
    assert_type(event.job, Job | None)
    assert_type(event.error, JobsError | None)
    assert_type(event.wait, int)
    assert_type(event.lag, float | None)


class Key:
    """A way of signing in that is none of ours."""

    async def headers(self) -> Mapping[str, str]:
        return {"X-Api-Key": "k"}

    async def refresh(self, refused: Mapping[str, str]) -> bool:
        return not refused

    def secrets(self) -> tuple[str, ...]:
        return ("k",)


def making_sources(own: httpx.AsyncClient, context: ssl.SSLContext) -> None:
    assert_type(OntapJobs("cluster1", auth=("admin", "password")), OntapJobs)
    OntapJobs("cluster1", auth=Basic("admin", "password"), verify="ca.pem")
    OntapJobs("cluster1", auth=Bearer(token), verify=Path("ca.pem"))
    OntapJobs("cluster1", auth=Bearer("t0ken"), verify=context)
    OntapJobs("cluster1", cert="client.pem")
    OntapJobs("cluster1", cert=("client.pem", "client.key"), verify=False)
    OntapJobs("cluster1", cert=("client.pem", "client.key", "password"))
    OntapJobs("cluster1", auth=httpx.DigestAuth("admin", "password"), http=own)
    OntapJobs(
        "cluster1",
        auth=Key(),
        transport=httpx.MockTransport(lambda _: httpx.Response(200)),
        request_timeout=10,
        concurrency=4,
        user_agent="acme/7",
        aliases=["10.0.0.1"],
        states={"dead": JobState.FAILED},
        policy=PollPolicy(initial=0.5, maximum=60),
        observer=observe,
    )
    assert_type(CFJobs("https://api.example.org", auth=Bearer(token), proxy="http://proxy:3128"), CFJobs)
    CFJobs("api.example.org", auth=UAAPassword("user", "password", origin="ldap", on_rotate=print))
    CFJobs("api.example.org", auth=UAAClientCredentials("client", "secret", login_url="https://login"))
    CFJobs("api.example.org", auth=UAARefreshToken("token", on_rotate=keep))
    CFJobs("api.example.org", auth=UAAAssertion("jwt", client_id="client", as_client=True))
    CFJobs("api.example.org", auth=UAAPasscode("code", on_rotate=keep))
    assert_type(CFJobs.from_cf_config(), CFJobs)
    CFJobs.from_cf_config(Path("config.json"), write=True, verify="ca.pem")
    CFJobs.from_cf_config(auth=Bearer(token))  # type: ignore[call-arg]
    assert_type(BlueXPJobs(account="account-1", agent="a1", auth=Bearer(token)), BlueXPJobs)
    BlueXPJobs(account="account-1", agent="a1", auth=Bearer(token), endpoint="http://agent.internal")
    OntapJobs("cluster1", auth="password")  # type: ignore[arg-type]
    OntapJobs("cluster1", auth=("admin", "password"), verfy=False)  # type: ignore[call-arg]
    OntapJobs("cluster1", ("admin", "password"))  # type: ignore[call-arg]
    BlueXPJobs("account-1", "a1", auth=Bearer(token))  # type: ignore[call-arg]
    Bearer(blocking_token)  # type: ignore[arg-type]


def connecting(ref: JobRef, own: httpx.AsyncClient) -> None:
    preload()
    assert_type(connect(), BaseSource)
    connect("ontap://cluster1", auth=("admin", "password"), verify="ca.pem")
    connect(ref, profile="prod", policy=PollPolicy(initial=0.5))
    connect(profile="backup", account="account-1", http=own)
    assert_type(connect(ref, settings={"token": "t0ken", "verify": "false"}), BaseSource)
    connect(7)  # type: ignore[arg-type]
    connect("ontap://cluster1", auth="password")  # type: ignore[arg-type]


async def closing(ontap: OntapJobs, cf: CFJobs, bluexp: BlueXPJobs) -> None:
    async with ontap as first, cf as second, bluexp as third:
        assert_type((first, second, third), tuple[OntapJobs, CFJobs, BlueXPJobs])
    async with Fleet([ontap, cf, bluexp]) as fleet:
        assert_type(fleet, Fleet)
    await ontap.aclose()


async def one_job(ontap: OntapJobs, job: JobLike) -> None:
    assert_type(await ontap.get("b5145e1d"), Job)
    assert_type(await ontap.get(job), Job)
    assert_type(ontap.ref(job), JobRef)
    assert_type(await ontap.act(job, Action.CANCEL), Job)
    assert_type(await ontap.pause(job), Job)
    assert_type(await ontap.resume(job), Job)
    assert_type(await ontap.cancel(job), Job)
    assert_type(ontap.capabilities, frozenset[Capability])
    assert_type(ontap.endpoint, str)
    await ontap.get(7)  # type: ignore[arg-type]
    await ontap.act(job, "cancel")  # type: ignore[arg-type]


async def waiting(ontap: OntapJobs, job: JobLike, when: datetime) -> None:
    assert_type(await ontap.wait(job), Job)
    assert_type(await ontap.wait(job, timeout=60, check=False), Job)
    await ontap.wait(job, timeout=None, until={JobState.PAUSED}, on_cancel="cancel")
    await ontap.wait(job, until=TERMINAL, resolve_gone=probe, policy=PollPolicy(maximum=10))
    await ontap.wait(job, deadline=when, on_update=update, on_cancel=lambda: True)
    await ontap.wait(job, on_cancel="stop")  # type: ignore[arg-type]
    await ontap.wait(job, on_cancel=blocking_token)  # type: ignore[arg-type]
    await ontap.wait(job, on_update=async_update)  # type: ignore[arg-type]
    await ontap.wait(job, deadline=60)  # type: ignore[arg-type]
    await ontap.wait(job, timeout="60")  # type: ignore[arg-type]
    assert_type(ontap.watch(job), Watch)
    ontap.watch(job, deadline=when, on_cancel=lambda: False)
    async for change in ontap.watch(job, timeout=60, until=[JobState.RUNNING], resolve_gone=probe):
        assert_type(change, Job)
    async with ontap.watch(job) as watch:
        assert_type(await anext(watch), Job)
        assert_type(watch.last, Job | None)


async def many(source: Fleet, refs: list[JobRef], when: datetime) -> None:
    assert_type(await wait_all(source, refs, deadline=when, on_update=update), list[Job])
    assert_type(await wait_all(source, refs, check=True), list[Job])
    assert_type(await wait_all(source, refs, check=False), list[Job | JobsError])
    first = await wait_all(source, refs, return_when="first", check=False)
    assert_type(first, list[Job | JobsError | None])
    await wait_all(source, refs, on_update=async_update)  # type: ignore[arg-type]
    async with as_completed(source, refs, deadline=when, on_update=update, on_cancel=lambda: True) as done:
        assert_type([outcome async for outcome in done], list[Job | JobsError])
    async with JobSet(source, refs, deadline=when, on_update=update, on_cancel=lambda: True) as jobs:
        assert_type(jobs.add(refs[0], deadline=when), JobRef)
        assert_type(await anext(jobs), Job | JobsError)


async def listing(ontap: OntapJobs, bluexp: BlueXPJobs, when: datetime) -> None:
    assert_type(ontap.list(), AsyncIterator[Job])
    async for job in ontap.list(
        uuid=["a", "b"],
        state=[JobState.QUEUED, "running"],
        description="*",
        message="!null",
        code=0,
        start_time=when,
        end_time=">2026-01-01",
        error_code="4|5",
        error_message="*space*",
        error_arguments_code=[1, 2],
        error_arguments_message="null",
        node_name="n1",
        svm_name=("a", "b"),
        svm_uuid="u",
        fields=["uuid", "state"],
        max_records=100,
        return_timeout=15,
        order_by="start_time desc",
    ):
        assert_type(job, Job)
    assert_type(await ontap.count(state=JobState.RUNNING), int)
    assert_type(await ontap.cancel_all(svm_name="vs1", state=["queued", "running"]), BulkResult)
    assert_type((await ontap.pause_all(every=True)).errors, tuple[ErrorDetail, ...])
    assert_type((await ontap.resume_all(state=JobState.PAUSED)).refs, tuple[JobRef, ...])
    await ontap.cancel_all(every="all")  # type: ignore[arg-type]
    await ontap.cancel_all(fields="*")  # type: ignore[call-arg]
    ontap.list(stat="running")  # type: ignore[call-arg]
    ontap.list(code=1.5)  # type: ignore[arg-type]
    ontap.list(max_records="all")  # type: ignore[arg-type]
    await ontap.count(fields="*")  # type: ignore[call-arg]
    assert_type(bluexp.list(), AsyncIterator[Job])
    assert_type([job async for job in bluexp.list(type="restore", status=JobState.PARTIAL)], list[Job])
    bluexp.list(status="FAILED")
    bluexp.list(status=7)  # type: ignore[arg-type]


# What a server cannot do is known before the program runs: what follows such a call is unreachable.


async def acting_on_cf(cf: CFJobs) -> Never:
    await cf.act("job", Action.CANCEL)


async def acting_on_bluexp(bluexp: BlueXPJobs) -> Never:
    await bluexp.act("job", Action.CANCEL)


async def pausing_on_cf(cf: CFJobs) -> Never:
    await cf.pause("job")


async def cancelling_on_bluexp(bluexp: BlueXPJobs) -> Never:
    await bluexp.cancel("job")


def gone_without_a_trace(cf: CFJobs, ontap: OntapJobs) -> None:
    assert_type(ontap.absent("/api/storage/volumes/v"), Probe)
    assert_type(ontap.present("/api/storage/volumes/v"), Probe)
    assert_type(cf.last_operation("/v3/service_instances/s", type="delete"), Probe)
    cf.last_operation("/v3/service_instances/s", type="purge")  # type: ignore[arg-type]


def listing_cf(cf: CFJobs) -> Never:
    cf.list()


def adopting(ontap: OntapJobs, cf: CFJobs, theirs: httpx.Response, others: requests.Response) -> None:
    assert_type(ontap.adopt(theirs), Adopted)
    assert_type(cf.adopt(others), Adopted)
    adopted = cf.adopt(status=202, headers={"Location": "/v3/jobs/1"}, body=b"")
    ontap.adopt(status=202, headers=[("Date", "…")], body={"job": {"uuid": "1"}})
    assert_type(adopted.refs, tuple[JobRef, ...])
    assert_type(adopted.jobs, tuple[Job, ...])
    assert_type(adopted.warnings, tuple[str, ...])


async def starting(ontap: OntapJobs, cf: CFJobs, bluexp: BlueXPJobs) -> None:
    started = await ontap.start("POST", "/api/storage/volumes", json={"name": "v1"}, inline=15)
    assert_type(started, Adopted)
    assert_type(started.waitable, tuple[JobRef | Job, ...])
    await wait_all(ontap, started.waitable)
    await cf.start("POST", "/v3/x", content="a: b", headers={"Content-Type": "application/x-yaml"})
    await cf.start("POST", "/v3/x", content=b"a: b")
    await bluexp.start("DELETE", "/backup/working-environment/1")
    await cf.start("POST", "/v3/x", content=7)  # type: ignore[arg-type]
    await ontap.start("POST", "/api/x", inline="15")  # type: ignore[arg-type]


def reading(job: Job) -> None:
    assert_type(job.ref, JobRef)
    assert_type(job.id, str)
    assert_type(job.state, JobState)
    assert_type(job.state.terminal, bool)
    assert_type((job.done, job.succeeded, job.resolved), tuple[bool, bool, bool])
    assert_type(job.native_state, str | None)
    assert_type(job.operation, str | None)
    assert_type(job.message, str | None)
    assert_type(job.progress, float | None)
    assert_type(job.created_at, datetime | None)
    assert_type(job.started_at, datetime | None)
    assert_type(job.updated_at, datetime | None)
    assert_type(job.finished_at, datetime | None)
    assert_type(job.observed_at, datetime)
    assert_type(job.errors, tuple[ErrorDetail, ...])
    assert_type(job.errors[0].code, str | None)
    assert_type(job.warnings, tuple[str, ...])
    assert_type(job.items, tuple[JobItem, ...])
    assert_type(job.links, Mapping[str, str])
    assert_type(to_dict(job), dict[str, Any])
    assert_type(from_dict(to_dict(job)), Any)
    assert_type(JobRef.parse(str(job.ref)), JobRef)
    job.state = JobState.FAILED  # type: ignore[misc]
    job.links["self"] = ""  # type: ignore[index]


def records(job: Job) -> None:
    assert_type(ontapjobs.record(job), ontapjobs.JobRecord)
    assert_type(ontapjobs.record(job).svm, ontapjobs.Named | None)
    assert_type(bluexp_jobs.record(job), bluexp_jobs.JobRecord)
    assert_type(bluexp_jobs.record(job).volumes, tuple[bluexp_jobs.Volume, ...])
    assert_type(cfjobs.record(job), cfjobs.JobRecord)
    assert_type(cfjobs.record(job).errors, tuple[cfjobs.JobError, ...])
    ontapjobs.record(job.ref)  # type: ignore[arg-type]


def decoding(data: bytes) -> None:
    assert_type(ontapjobs.parse_job(data, endpoint="https://cluster1", id="1"), Job)
    assert_type(bluexp_jobs.parse_job(data, scope=(("account", "a"), ("agent", "g"))), Job)
    assert_type(cfjobs.parse_job({"guid": "1", "state": "COMPLETE"}), Job)
    assert_type(ontapjobs.parse_jobs(data), list[Job])
    assert_type(bluexp_jobs.parse_jobs(data.decode()), list[Job])
    assert_type(ontapjobs.STATES, Mapping[str, JobState])
    assert_type(ontapjobs.REFUSALS["458773"].retryable, bool)


async def failing(source: JobSource) -> None:
    try:
        await source.wait("job")
    except JobFailed as error:
        assert_type(error.job, Job)
    except WaitTimeout as error:
        assert_type(error.job, Job | None)
        assert_type(error.ref, JobRef | None)
    except JobGone as error:
        assert_type(error.job, Job | None)
    except AlreadyFinished as error:
        assert_type((error.code, error.retryable), tuple[str | None, bool])
    except ApiError as error:
        assert_type((error.status, error.transient), tuple[int, bool])
        assert_type((error.code, error.message, error.request_id), tuple[str | None, str | None, str | None])
        assert_type((error.body, error.retry_after), tuple[str, float | None])


async def one_program_for_all(source: JobSource, fleet: Fleet) -> None:
    sources: list[JobSource] = [
        OntapJobs("cluster1", cert="client.pem"),
        CFJobs("api.example.org", cert="client.pem"),
        BlueXPJobs(account="account-1", agent="a1", auth=Bearer(token)),
        Fleet([OntapJobs("cluster1", cert="client.pem")]),
    ]
    assert_type([await each.get("job") for each in sources], list[Job])
    assert_type(source.list(state="running"), AsyncIterator[Job])
    assert_type(await source.act("job", Action.PAUSE), Job)
    assert_type(await fleet.wait("cf://api.example.org/1", timeout=60), Job)
    assert_type(await get_all(fleet, ["cf://api.example.org/1"]), list[Job | JobsError])
    fleet.add(CFJobs("api.example.org", cert="client.pem"))
    await fleet.remove(fleet.of("cf://api.example.org/1"))
    assert_type(Fleet.connect(["ontap://cluster1/1"], auth=Bearer(token), observer=print), Fleet)
    assert_type(fleet.list(state="running"), AsyncIterator[Job])
    assert_type(fleet.watch("cf://api.example.org/1"), Watch)
    assert_type(fleet.of("cf://api.example.org/1").ref("1"), JobRef)
    assert_type(fleet.capabilities, frozenset[Capability])


async def sharing(ref: JobRef) -> None:
    async with shared_source(ref, settings={"token": "t0ken"}) as source:
        assert_type(source, BaseSource)
        assert_type(await source.wait(ref, timeout=60), Job)
    async with shared_source("ontap://cluster1", auth=("admin", "password"), concurrency=4):
        pass
    await close_shared()


def without_a_loop(ref: JobRef) -> None:
    with portal() as p, p.enter(shared_source(ref)) as source:
        assert_type(p, Portal)
        assert_type(source, BaseSource)
        assert_type(p.call(source.wait, ref, timeout=60), Job)
        assert_type(p.call(wait_all, source, [ref], timeout=60), list[Job])
        assert_type(p.call(source.ref, "job"), JobRef)
        assert_type(p.start(source.get, ref), PortalFuture[Job])


def protocols() -> tuple[Observer, Probe, type[Warning]]:
    return observe, probe, InsecureConnectionWarning


async def stored(refresh_token: str) -> None: ...


def signing_in() -> None:
    OntapJobs("cluster1", auth=ontapjobs.ClientCredentials("https://login.example.com/token", "id", "secret"))
    bluexp_jobs.RefreshToken("t", on_rotate=stored)
    bluexp_jobs.ServiceAccount("id", private_key=b"pem", key_id="k")
    for auth in (
        bluexp_jobs.RefreshToken("t", on_rotate=print),
        bluexp_jobs.ServiceAccount("id", "secret"),
        bluexp_jobs.ServiceAccount("id", private_key=Path("key.pem")),
        bluexp_jobs.AgentPassword("user", "password"),
    ):
        BlueXPJobs(account="a", agent="b", auth=auth)
    bluexp_jobs.ServiceAccount("id", private_key=7)  # type: ignore[arg-type]
