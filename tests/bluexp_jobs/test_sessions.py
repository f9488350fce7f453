"""Signing in to the simulated BlueXP: waits that outlive their tokens, and which sign-ins are refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from bluexp_jobs import (
    AgentPassword,
    AuthenticationError,
    Bearer,
    BlueXPJobs,
    PermissionDenied,
    PollPolicy,
    RefreshToken,
    ServiceAccount,
)
from bluexp_jobs.simulator import BlueXPSimulator
from tests.bluexp_jobs.keys import private_pem, public_pem

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

HOUR, DAY = 3600.0, 86_400.0
RARELY = PollPolicy(maximum=600)
PUBLIC_CLIENT = "Mu0V1ywgYteI6w1MbD15fKfVIUrNXGWC"
SIGN_INS: dict[str, Callable[[], Any]] = {
    "refresh token": lambda: RefreshToken("r0"),
    "secret": lambda: ServiceAccount("svc", "s3cret"),
    "key": lambda: ServiceAccount("key", private_key=private_pem()),
    "password": lambda: AgentPassword("admin", "p4ssword"),
}


def simulator(**settings: Any) -> BlueXPSimulator:
    """One that lets in those of `SIGN_INS` and nobody else."""
    known: dict[str, Any] = {
        "users": {"admin": "p4ssword"},
        "clients": {"svc": "s3cret", "key": public_pem()},
        "refresh_tokens": ["r0"],
        "strict": True,
    }
    return BlueXPSimulator(**{**known, **settings})


def connect(system: BlueXPSimulator, auth: Any, **options: Any) -> BlueXPJobs:
    return BlueXPJobs(
        account="account-sim", agent="agent-sim", auth=auth, transport=system.transport(), **options
    )


def sign_ins(system: BlueXPSimulator) -> list[tuple[float, int | None]]:
    """When tokens were asked for, and with what success."""
    token_requests = [request for request in system.journal if request.path.endswith("/oauth/token")]
    return [(round(request.at - system.journal[0].at), request.status) for request in token_requests]


@pytest.mark.slow
@pytest.mark.parametrize("name", SIGN_INS)
async def test_a_wait_of_three_days_outlives_tokens_of_six_hours(name: str) -> None:
    system = simulator(token_lifetime=6 * HOUR, rotate=True)
    job = system.add_job([("IN_PROGRESS", 3 * DAY), ("COMPLETED", None)])
    async with connect(system, SIGN_INS[name](), policy=RARELY) as jobs:
        assert (await jobs.wait(job)).succeeded
    times = [at for at, _ in sign_ins(system)]
    # Renewed by the last poll before the token would expire: never late, and not much too early.
    assert 12 <= len(times) <= 13
    assert {status for _, status in sign_ins(system)} == {200}
    assert all(6 * HOUR - 60 <= later - at <= 6 * HOUR + 600 for at, later in itertools.pairwise(times))


@pytest.mark.slow
@pytest.mark.parametrize("name", SIGN_INS)
async def test_tokens_that_are_revoked_in_mid_wait_cost_one_sign_in_for_all_waits(name: str) -> None:
    system = simulator(rotate=True)
    ids = [system.add_job([("IN_PROGRESS", HOUR), ("COMPLETED", None)]) for _ in range(5)]
    async with connect(system, SIGN_INS[name]()) as jobs, anyio.create_task_group() as group:
        for id in ids:
            group.start_soon(jobs.wait, id)
        await anyio.sleep(HOUR / 2)
        system.tokens.revoke()
    assert [status for _, status in sign_ins(system)] == [200, 200]


async def test_a_refresh_token_that_rotates_is_good_once() -> None:
    system = simulator(rotate=True, token_lifetime=HOUR)
    rotated: list[str] = []
    job = system.add_job([("COMPLETED", None)])
    async with connect(system, RefreshToken("r0", on_rotate=rotated.append)) as jobs:
        await jobs.get(job)
        await anyio.sleep(HOUR)
        await jobs.get(job)
    assert rotated == ["simulated-1-refresh", "simulated-2-refresh"]
    for token, known in (("r0", False), (rotated[0], False), (rotated[1], True)):
        async with connect(system, RefreshToken(token)) as jobs:
            if known:
                await jobs.get(job)
                continue
            with pytest.raises(
                AuthenticationError, match=r"Unknown or invalid refresh token.*create a new one"
            ):
                await jobs.get(job)


async def test_a_refresh_token_that_does_not_rotate_is_good_for_ever() -> None:
    system = simulator()
    job = system.add_job([("COMPLETED", None)])
    for _ in range(2):
        async with connect(system, RefreshToken("r0")) as jobs:
            await jobs.get(job)


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        (lambda: RefreshToken("other"), "Unknown or invalid refresh token"),
        (lambda: RefreshToken("r0", audience="urn:other"), "Service not found: urn:other"),
        (lambda: ServiceAccount("svc", "wrong"), "Unauthorized.*check the client id"),
        (lambda: ServiceAccount("nobody", "s3cret"), "Unauthorized"),
        (lambda: ServiceAccount("key", public_pem().replace("\n", "")), "Unauthorized"),
        (lambda: ServiceAccount("svc", "s3cret", audience="urn:other"), "Service not found"),
        (lambda: ServiceAccount("svc", private_key=private_pem()), "Invalid client assertion"),
        (lambda: ServiceAccount("nobody", private_key=private_pem()), "Invalid client assertion"),
        (lambda: AgentPassword("admin", "another-one"), "Wrong email or password.*this agent's local user"),
        (lambda: AgentPassword("nobody", "p4ssword"), "Wrong email or password"),
        (lambda: Bearer("made-up"), "401.*Invalid bearer token|401.*has expired"),
    ],
)
async def test_a_strict_one_lets_in_only_whom_it_knows(auth: Callable[[], Any], message: str) -> None:
    system = simulator()
    job = system.add_job([("COMPLETED", None)])
    async with connect(system, auth()) as jobs:
        with pytest.raises(AuthenticationError, match=message):
            await jobs.get(job)


@pytest.mark.parametrize("name", SIGN_INS)
async def test_a_lenient_one_lets_everybody_in(name: str) -> None:
    system = BlueXPSimulator()
    job = system.add_job([("COMPLETED", None)])
    async with connect(system, SIGN_INS[name]()) as jobs:
        assert (await jobs.get(job)).succeeded


@pytest.mark.parametrize("name", SIGN_INS)
async def test_where_jobs_are_for_users_a_service_account_learns_why_it_is_refused(name: str) -> None:
    system = simulator(users_only=True)
    job = system.add_job([("COMPLETED", None)])
    async with connect(system, SIGN_INS[name]()) as jobs:
        if name in ("secret", "key"):
            with pytest.raises(PermissionDenied, match="documented for user tokens only"):
                await jobs.wait(job)
            with pytest.raises(PermissionDenied, match="documented for user tokens only"):
                [job async for job in jobs.list()]
        else:
            assert (await jobs.wait(job)).succeeded


async def test_a_service_account_starts_jobs_that_only_users_may_read() -> None:
    system = simulator(users_only=True)
    async with httpx.AsyncClient(transport=system.transport(), base_url="https://sim") as http:
        fields = {"grant_type": "client_credentials", "client_id": "svc", "client_secret": "s3cret"}
        fields["audience"] = "https://api.cloud.netapp.com"
        token = (await http.post("/oauth/token", data=fields)).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}", "x-agent-id": "agent-simclients"}
        response = await http.post(f"{system.prefix}/backup/working-environment/we-7", headers=headers)
        read = await http.get(f"{system.prefix}/job/{response.json()['job-id']}", headers=headers)
    assert (response.status_code, read.status_code) == (202, 403)


@pytest.mark.parametrize("path", ["/oauth/token", "/auth/oauth/token"])
@pytest.mark.parametrize("encoding", ["json", "data"])
async def test_token_requests_are_accepted_as_json_and_as_a_form(path: str, encoding: str) -> None:
    system = simulator(users={"ü ser": "p%20w +\"&='ü"})
    async with httpx.AsyncClient(transport=system.transport(), base_url="https://sim") as http:
        fields = {"grant_type": "password", "username": "ü ser", "password": "p%20w +\"&='ü"}
        body: Any = {encoding: fields}
        assert (await http.post(path, **body)).json()["expires_in"] == 86400


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"{", b"\xff", b'{"grant_type": 7}', b'{"grant_type": "device"}']
)
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
async def test_what_is_no_token_request_is_a_400(body: bytes, kind: str) -> None:
    system = simulator()
    async with httpx.AsyncClient(transport=system.transport(), base_url="https://sim") as http:
        response = await http.post("/oauth/token", content=body, headers={"Content-Type": kind})
    assert (response.status_code, response.json()) == (400, {"error": "unsupported_grant_type"})


async def test_an_assertion_is_good_once_and_for_its_own_tenant() -> None:
    system = simulator()
    token_url = "https://netapp-cloud-account.auth0.com/oauth/token"
    auth = ServiceAccount("key", private_key=private_pem())
    no_http: Any = None  # an assertion is made without asking anybody
    token_request = await auth.token_request(no_http, None)
    async with httpx.AsyncClient(transport=system.transport()) as http:
        other_issuer = await http.post("https://other.auth0.com/oauth/token", json=dict(token_request.fields))
        responses = [await http.post(token_url, json=dict(token_request.fields)) for _ in range(2)]
        fields = {**token_request.fields, "client_assertion_type": "urn:other"}
        wrong = await http.post(token_url, json=fields)
    assert [response.status_code for response in (other_issuer, *responses, wrong)] == [401, 200, 401, 400]


async def test_an_expired_token_is_a_problem_of_status_401() -> None:
    system = simulator(token_lifetime=60)
    async with connect(system, RefreshToken("r0")) as jobs:
        await jobs.get(system.add_job([("COMPLETED", None)]))
        token = system.journal[-1].headers["authorization"]
    await anyio.sleep(60)
    headers = {"Authorization": token, "x-agent-id": "agent-simclients"}
    async with httpx.AsyncClient(transport=system.transport(), headers=headers) as http:
        response = await http.get(f"https://sim{system.prefix}/job")
    assert (response.status_code, response.headers["content-type"]) == (401, "application/problem+json")
    assert response.json()["title"] == "Invalid bearer token"
