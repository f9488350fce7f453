"""The simulated ONTAP where it asks who is calling."""

from __future__ import annotations

import pytest

from common.oauth import ClientCredentials
from common.simulator.tokens import TokenDesk
from ontapjobs import AuthenticationError
from ontapjobs import Bearer
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator

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


async def test_an_identity_provider_issues_the_tokens() -> None:
    simulator = OntapSimulator()
    simulator.tokens = TokenDesk(simulator.clock, 600, clients={"svc": "s3cret"}, strict=True)
    url = "https://idp.example.org/realms/storage/protocol/openid-connect/token"
    assert await asks(simulator, ClientCredentials(url, "svc", "s3cret")) is None
    assert await asks(simulator, ClientCredentials(url, "svc", "s3cret", send="body")) is None
    assert await asks(simulator, ClientCredentials(url, "svc", "guess")) == "invalid_client"
    assert await asks(simulator, Bearer("invented")) == "6691623"
