"""The simulated ONTAP where it asks who is calling."""

from __future__ import annotations

from typing import Any

import pytest

from common.auth.client_credentials import ClientCredentials
from common.simulator.tokens import TokenDesk
from ontapjobs import AuthenticationError, Bearer, OntapJobs
from ontapjobs.simulator import OntapSimulator, faults

pytestmark = pytest.mark.anyio


async def asks(simulator: OntapSimulator, auth: object) -> str | None:
    """The code of ONTAP's refusal, None where it answers."""
    uuid = simulator.add_job([("success", None)])
    async with OntapJobs("cluster1", auth=auth, transport=simulator.transport()) as jobs:  # type: ignore[arg-type]
        try:
            await jobs.get(uuid)
        except AuthenticationError as error:
            return error.code
    return None


async def test_anybody_may_call_by_default() -> None:
    assert await asks(OntapSimulator(), ("anybody", "x")) is None


async def test_users_are_known_by_their_passwords() -> None:
    simulator = OntapSimulator(users={"admin": "pä:ss"})
    assert await asks(simulator, ("admin", "pä:ss")) is None
    for auth in (("admin", "guess"), ("nobody", "pä:ss"), Bearer("t")):
        assert await asks(simulator, auth) == "6691623"


async def test_tokens_are_those_that_are_named() -> None:
    simulator = OntapSimulator(tokens=["t1", "t2"])
    assert await asks(simulator, Bearer("t2")) is None
    for auth in (Bearer("t"), ("admin", "t1")):
        assert await asks(simulator, auth) == "6691623"
    assert await asks(OntapSimulator(tokens="t1"), Bearer("t")) == "6691623"


async def test_tokens_that_were_listed_expire_for_good() -> None:
    simulator = OntapSimulator(users={"admin": "x"}, tokens=["t1", "t2"])
    assert await asks(simulator, Bearer("t1")) is None
    simulator.inject(None, faults.ExpireTokens())
    for auth in (Bearer("t1"), Bearer("t2"), Bearer("t1")):
        assert await asks(simulator, auth) == "6691623"
    assert await asks(simulator, ("admin", "x")) is None
    simulator.tokens = ["t1", "t3"]
    assert await asks(simulator, Bearer("t1")) == "6691623"
    assert await asks(simulator, Bearer("t3")) is None


async def test_an_issuers_tokens_expire_until_it_issues_another() -> None:
    simulator = OntapSimulator()
    simulator.tokens = TokenDesk(simulator.clock, 600)
    uuid = simulator.add_job([("running", None)])
    simulator.inject("GET /api/*", faults.ExpireTokens(), after=1)
    auth = ClientCredentials("https://idp.example.org/token", "svc", "s3cret")
    async with OntapJobs("cluster1", auth=auth, transport=simulator.transport()) as jobs:
        for _ in range(3):
            assert (await jobs.get(uuid)).id == uuid
    job = f"/api/cluster/jobs/{uuid}"
    assert [(entry.path, entry.status) for entry in simulator.journal] == [
        *[("/token", 200), (job, 200)],
        *[(job, 401), ("/token", 200), (job, 200)],
        (job, 200),
    ]
    simulator.verify()


@pytest.mark.parametrize(("known", "who"), [({}, "anybody"), ({"users": {"a": "x"}}, "passwords alone")])
def test_without_tokens_none_can_expire(known: Any, who: str) -> None:
    with pytest.raises(
        ValueError, match=f"no tokens that could expire, since it accepts {who}: pass tokens="
    ):
        OntapSimulator(**known).inject(None, faults.ExpireTokens())


async def test_an_identity_provider_issues_the_tokens() -> None:
    simulator = OntapSimulator()
    simulator.tokens = TokenDesk(simulator.clock, 600, clients={"svc": "s3cret"}, strict=True)
    url = "https://idp.example.org/realms/storage/protocol/openid-connect/token"
    assert await asks(simulator, ClientCredentials(url, "svc", "s3cret")) is None
    assert await asks(simulator, ClientCredentials(url, "svc", "s3cret", send="body")) is None
    assert await asks(simulator, ClientCredentials(url, "svc", "guess")) == "invalid_client"
    assert await asks(simulator, Bearer("invented")) == "6691623"
