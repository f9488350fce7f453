"""The Python client of Cloud Foundry's community, as released, on the simulator: it sees what we see."""

from __future__ import annotations

from typing import Any

import pytest

from cfjobs import CFJobs, UAAPassword
from cfjobs.simulator import CFSimulator, Location
from common import Bearer, JobFailed, JobGone, JobNotFound, JobState, WaitTimeout
from common.simulator import NewJob, Script
from tests.clients.beside import OFTEN, POLICY, alone, beside

client: Any = pytest.importorskip("cloudfoundry_client.client")
InvalidStatusCode: type[Any] = pytest.importorskip("cloudfoundry_client.errors").InvalidStatusCode
JobTimeout: type[Any] = pytest.importorskip("cloudfoundry_client.v3.jobs").JobTimeout

pytestmark = pytest.mark.anyio

USERS = {"admin": "secret"}
CLIENTS = {"cf": ""}
APP = "1cb006ee-fb05-47e1-b541-c34179ddc446"
ERRORS = [
    {"code": 10009, "title": "CF-UnableToPerform", "detail": "the broker said no"},
    {"code": 10011, "title": "CF-Broker", "detail": "the app is still bound"},
]
COMPLETE: Script = [("PROCESSING", 0.3), ("COMPLETE", None)]
FAILED: Script = [("PROCESSING", 0.3), ("FAILED", None, {"errors": ERRORS})]


def simulate(**options: Any) -> CFSimulator:
    """A foundation that takes only the tokens which its UAA gave to a user whom it knows."""
    return CFSimulator(users=USERS, clients=CLIENTS, strict=True, **options)


def connect(url: str, *, korifi: bool = False) -> Any:
    """Their client, signed in with the password grant of UAA, or at a Korifi with a token at hand."""
    made = client.CloudFoundryClient(url)
    if korifi:
        made._access_token = "token"
    else:
        made.init_with_user_credentials("admin", "secret")
    return made


def ours(url: str) -> CFJobs:
    return CFJobs(url, auth=UAAPassword("admin", "secret"), policy=POLICY)


def wait(url: str, guid: str, *, korifi: bool = False, **options: Any) -> Any:
    """Their wait: it returns the record of a job that ended, however it did."""
    return connect(url, korifi=korifi).v3.jobs.wait_for_job_completion(
        guid, step=OFTEN, step_function=lambda step: step, **options
    )


def details(record: Any) -> list[tuple[str, str, str]]:
    return [(str(error["code"]), error["title"], error["detail"]) for error in record["errors"] or []]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(COMPLETE, id="complete"),
        pytest.param([("PROCESSING", 0.2), ("POLLING", 0.4), ("COMPLETE", None)], id="through polling"),
        pytest.param([("COMPLETE", None, {"errors": None, "warnings": None})], id="nulls in place of lists"),
        pytest.param(
            [("PROCESSING", 0.3, {"errors": ERRORS[:1]}), ("COMPLETE", None)], id="after an attempt failed"
        ),
        pytest.param(
            [("PROCESSING", 0.2, {"warnings": ["no route"]}), ("COMPLETE", None)], id="with a warning"
        ),
        pytest.param(
            [("COMPLETE", None, {"warnings": ["no route", "too much, 100 %", "ünïcode"]})],
            id="with several warnings",
        ),
        pytest.param(FAILED, id="failed with several errors"),
        pytest.param([("FAILED", None, {"errors": ERRORS[:1]})], id="failed with one error"),
        pytest.param([("FAILED", None)], id="failed without a reason"),
        pytest.param(
            [("FAILED", None, {"errors": ERRORS, "warnings": ["no route"]})], id="failed with a warning"
        ),
    ],
)
@pytest.mark.parametrize("korifi", [False, True], ids=["cf", "korifi"])
async def test_both_learn_the_same_end(script: Script, korifi: bool) -> None:
    simulator = CFSimulator(korifi=True) if korifi else simulate()
    id = "space.delete~cf-space-1" if korifi else None
    async with simulator.serve() as url, _ours(url, korifi) as jobs:
        guid = simulator.add_job(script, id=id, operation="space.delete", resource="/v3/spaces/cf-space-1")
        record, job = await beside(
            lambda: wait(url, guid, korifi=korifi), lambda: jobs.wait(guid, check=False)
        )
    assert record["state"] == job.native_state
    assert job.succeeded == (record["state"] == "COMPLETE")
    assert (record["guid"], record["operation"]) == (job.id, job.operation)
    assert [warning["detail"] for warning in record.get("warnings") or []] == list(job.warnings)
    sent = [(error.code, error.title, error.detail) for error in job.record.errors or ()]
    assert [(str(code), title, detail) for code, title, detail in sent] == details(record)
    assert {name: link["href"] for name, link in record["links"].items()} == dict(job.links)
    if record["errors"]:
        assert [error.message for error in job.errors] == [error["detail"] for error in record["errors"]]


def _ours(url: str, korifi: bool) -> CFJobs:
    return CFJobs(url, auth=Bearer("token"), policy=POLICY) if korifi else ours(url)


async def test_a_failure_is_raised_by_us_with_every_error_that_they_return() -> None:
    simulator = simulate()
    async with simulator.serve() as url, ours(url) as jobs:
        guid = simulator.add_job(FAILED)
        record, failed = await beside(lambda: wait(url, guid), lambda: jobs.wait(guid))
    assert isinstance(failed, JobFailed)
    for error in record["errors"]:
        assert error["detail"] in str(failed)


async def test_a_job_that_does_not_end_keeps_both_waiting_until_their_time_is_up() -> None:
    simulator = simulate()
    async with simulator.serve() as url, ours(url) as jobs:
        guid = simulator.add_job([("POLLING", None)])
        theirs, late = await beside(lambda: wait(url, guid, timeout=1), lambda: jobs.wait(guid, timeout=1))
    assert isinstance(theirs, JobTimeout)
    assert isinstance(late, WaitTimeout)
    assert late.job is not None
    assert theirs.args[0].last["state"] == late.job.native_state == "POLLING"


@pytest.mark.parametrize("seen", [True, False], ids=["forgotten while waited for", "never known"])
async def test_a_job_that_is_gone_is_a_404_for_them_and_never_an_outcome(seen: bool) -> None:
    simulator = simulate()
    async with simulator.serve() as url, ours(url) as jobs:
        guid = simulator.add_job([("PROCESSING", 0.6)]) if seen else simulator.new_id()
        theirs, gone = await beside(lambda: wait(url, guid), lambda: jobs.wait(guid))
    assert isinstance(theirs, InvalidStatusCode)
    assert (theirs.status_code, theirs.body["errors"][0]["code"]) == (404, 10010)
    assert type(gone) is (JobGone if seen else JobNotFound)


@pytest.mark.parametrize("location", ["absolute", "relative"])
@pytest.mark.parametrize("script", [pytest.param(COMPLETE, id="complete"), pytest.param(FAILED, id="failed")])
async def test_the_job_of_their_write_can_be_waited_for_by_us(script: Script, location: Location) -> None:
    simulator = simulate(location=location, on_write=NewJob(script))
    async with simulator.serve() as url, ours(url) as jobs:
        guid = await alone(lambda: connect(url).v3.apps.remove(APP))
        record, job = await beside(lambda: wait(url, guid), lambda: jobs.wait(guid, check=False))
        (ref,) = (await jobs.start("DELETE", f"/v3/apps/{APP}")).refs
    assert (record["state"], record["operation"]) == (job.native_state, job.operation)
    assert job.operation == "app.delete"
    assert list(simulator.jobs) == [guid, ref.id]


async def test_a_write_that_waits_returns_once_our_wait_does() -> None:
    simulator = simulate(on_write=NewJob(COMPLETE))

    async def follow() -> Any:
        started = await jobs.start("DELETE", f"/v3/apps/{APP}")
        return await jobs.wait(started.refs[0])

    async with simulator.serve() as url, ours(url) as jobs:
        theirs, job = await beside(lambda: connect(url).v3.apps.remove(APP, asynchronous=False), follow)
    assert theirs is None
    assert job.state is JobState.SUCCEEDED


async def test_a_revoked_token_is_renewed_by_both_in_the_middle_of_a_wait() -> None:
    simulator = simulate()

    def revoke_and_wait(theirs: Any) -> Any:
        simulator.tokens.revoke()
        return theirs.v3.jobs.wait_for_job_completion(guid, step=OFTEN)

    async with simulator.serve() as url, ours(url) as jobs:
        guid = simulator.add_job([("PROCESSING", 1.0), ("COMPLETE", None)])
        theirs = await alone(lambda: connect(url))
        assert not (await jobs.get(guid)).done
        record, job = await beside(lambda: revoke_and_wait(theirs), lambda: jobs.wait(guid))
    assert record["state"] == job.native_state == "COMPLETE"
    refused = [request for request in simulator.journal if request.status == 401]
    assert refused
    assert {request.response.json()["errors"][0]["code"] for request in refused if request.response} == {1000}


async def test_wrong_credentials_are_refused_to_both() -> None:
    simulator = CFSimulator(users={"admin": "another"}, clients=CLIENTS, strict=True)
    async with simulator.serve() as url, ours(url) as jobs:
        guid = simulator.add_job(COMPLETE)
        theirs, refused = await beside(lambda: connect(url), lambda: jobs.wait(guid))
    assert type(theirs).__name__ == "OAuthError"
    assert theirs.status_code == refused.status == 401
