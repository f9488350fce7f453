"""Each way to sign in to ONTAP against a live server, over httpx and aiohttp, and what requests carry."""

from __future__ import annotations

import base64
import ssl
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio
import pytest

from ontapjobs import (
    Action,
    AuthenticationError,
    Basic,
    Bearer,
    ClientCredentials,
    InsecureConnectionWarning,
    OntapJobs,
    TransportError,
    UsageError,
)
from ontapjobs.driver import OntapDriver
from tests.loopback import KEY_PASSWORD, LOCKED_KEY, Loopback, raw, server_tls, write_pem

pytestmark = pytest.mark.anyio

JOB = {"uuid": "j1", "state": "success"}
TOKEN = {"access_token": "an-access-token", "expires_in": 3600}
USER, PASSWORD = "backup-ädmin", 'p%20w + "ü": colons'


@pytest.fixture(params=[("asyncio", "httpx"), ("trio", "httpx"), ("asyncio", "direct")], ids="-".join)
def anyio_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    loop, library = request.param
    monkeypatch.setenv("JOBSOURCE_HTTP", library)
    return str(loop)


def cluster(*, tls: ssl.SSLContext | None = None) -> Loopback:
    return Loopback(lambda _, __: raw(JOB), tls=tls)


def header(head: str, name: str) -> list[str]:
    """What a request's head says under a name."""
    lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if line]
    return [value for key, value in lines if key.lower() == name.lower()]


# --- sign-in


@pytest.mark.parametrize("auth", [(USER, PASSWORD), Basic(USER, PASSWORD)], ids=["pair", "basic"])
async def test_a_password_goes_as_basic_in_utf_8(auth: Any, ca: str, key: str) -> None:
    with cluster(tls=server_tls(ca, key)) as server:
        async with OntapJobs(server.url, auth=auth, verify=ca) as source:
            assert (await source.get("j1")).succeeded
    [sent] = header(server.heads[0], "Authorization")
    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == f"{USER}:{PASSWORD}"


async def test_a_token_at_hand_goes_as_bearer(ca: str, key: str) -> None:
    with cluster(tls=server_tls(ca, key)) as server:
        async with OntapJobs(server.url, auth=Bearer("eyJ.t.c2ln"), verify=ca) as source:
            assert (await source.get("j1")).succeeded
    assert header(server.heads[0], "Authorization") == ["Bearer eyJ.t.c2ln"]


@pytest.mark.slow
async def test_a_client_certificate_signs_in_by_itself_or_beside_a_token(
    ca: str, key: str, tmp_path: Path
) -> None:
    locked = write_pem(tmp_path, "ENCRYPTED PRIVATE KEY", LOCKED_KEY)
    with cluster(tls=server_tls(ca, key, ask=True)) as server:
        for cert, auth in (((ca, key), None), ((ca, locked, KEY_PASSWORD), None), ((ca, key), Bearer("t"))):
            async with OntapJobs(server.url, auth=auth, cert=cert, verify=ca) as source:
                assert (await source.get("j1")).succeeded
    assert [header(head, "Authorization") for head in server.heads] == [[], [], ["Bearer t"]]


async def test_without_its_certificate_nothing_reaches_a_cluster_that_asks_for_one(ca: str, key: str) -> None:
    with cluster(tls=server_tls(ca, key, ask=True)) as server:
        async with OntapJobs(server.url, auth=(USER, PASSWORD), verify=ca) as source:
            with pytest.raises(TransportError):
                await source.get("j1")
    assert server.heads == []


@pytest.mark.slow
async def test_an_oauth_client_gets_its_token_at_the_issuer_and_sends_it_to_the_cluster(
    ca: str, key: str
) -> None:
    context = server_tls(ca, key)
    with cluster(tls=context) as server, Loopback(lambda _, __: raw(TOKEN), tls=context) as issuer:
        auth = ClientCredentials(f"{issuer.url}/adfs/oauth2/token", "jobs", PASSWORD, scope="ontap")
        async with OntapJobs(server.url, auth=auth, verify=ca) as source:
            for _ in range(2):
                assert (await source.get("j1")).succeeded
    [token_request] = issuer.heads
    assert token_request.startswith("POST /adfs/oauth2/token HTTP/1.1\r\n")
    assert issuer.bodies == [b"grant_type=client_credentials&scope=ontap"]
    assert header(token_request, "X-Dot-Client-App") == []
    assert [header(head, "Authorization") for head in server.heads] == [["Bearer an-access-token"]] * 2


@pytest.mark.slow
async def test_a_certificate_is_shown_to_the_issuer_that_asks_for_one(ca: str, key: str) -> None:
    # ONTAP takes tokens that are bound to the client's certificate (RFC 8705), which the issuer must see.
    context = server_tls(ca, key, ask=True)
    with cluster(tls=context) as server, Loopback(lambda _, __: raw(TOKEN), tls=context) as issuer:
        auth = ClientCredentials(f"{issuer.url}/token", "jobs", PASSWORD)
        async with OntapJobs(server.url, auth=auth, cert=(ca, key), verify=ca) as source:
            assert (await source.get("j1")).succeeded


async def test_a_token_that_the_cluster_refuses_is_requested_again_once(ca: str, key: str) -> None:
    refused = raw({"error": {"message": "Invalid token", "code": "6691623"}}, "401 Unauthorized")
    tokens = [{**TOKEN, "access_token": name} for name in ("first", "second", "third")]
    with (
        Loopback(lambda number, _: raw(JOB) if number == 1 else refused) as server,
        Loopback(lambda number, _: raw(tokens[number])) as issuer,
    ):
        async with OntapJobs(server.url, auth=ClientCredentials(f"{issuer.url}/t", "c", "s")) as source:
            assert (await source.get("j1")).succeeded
            with pytest.raises(AuthenticationError, match="Invalid token"):
                await source.get("j1")
    sent = [header(head, "Authorization")[0] for head in server.heads]
    assert sent == ["Bearer first", "Bearer second", "Bearer second", "Bearer third"]


async def test_an_issuer_that_refuses_is_an_authentication_error_with_what_to_do() -> None:
    refused = raw({"error": "invalid_client", "error_description": "no such client"}, "401 Unauthorized")
    with cluster() as server, Loopback(lambda _, __: refused) as issuer:
        async with OntapJobs(server.url, auth=ClientCredentials(f"{issuer.url}/t", "c", PASSWORD)) as source:
            with pytest.raises(AuthenticationError, match=r"no such client.*check the client id") as caught:
                await source.wait("j1")
    assert server.heads == []
    assert len(issuer.heads) == 1
    assert PASSWORD not in str(caught.value)


def test_nobody_asking_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="cert= for a client certificate"):
        OntapJobs("cluster1")


# --- trust


async def test_a_ca_file_is_all_that_a_self_signed_cluster_needs(ca: str, key: str) -> None:
    with cluster(tls=server_tls(ca, key)) as server:
        async with OntapJobs(server.url, auth=(USER, PASSWORD)) as source:
            with pytest.raises(TransportError, match=r"pass verify='ca\.pem'"):
                await source.get("j1")
        assert server.heads == []
        async with OntapJobs(server.url, auth=(USER, PASSWORD), verify=ca) as source:
            assert (await source.get("j1")).succeeded


@pytest.mark.slow
async def test_verification_is_off_by_name_alone_with_one_warning_a_source(ca: str, key: str) -> None:
    with (
        cluster(tls=server_tls(ca, key)) as server,
        Loopback(lambda _, __: raw(TOKEN), tls=server_tls(ca, key)) as issuer,
        warnings.catch_warnings(record=True) as seen,
    ):
        warnings.simplefilter("always")
        auth = ClientCredentials(f"{issuer.url}/t", "c", "s")
        for number in (1, 2):
            async with OntapJobs(server.url, auth=auth, verify=False) as source:
                for _ in range(3):
                    assert (await source.get("j1")).succeeded
            assert [warning.category for warning in seen] == [InsecureConnectionWarning] * number
    assert {warning.filename for warning in seen} == {__file__}
    assert f"the certificate of {server.url} is not checked" in str(seen[0].message)


@pytest.mark.parametrize("verify", [0, "", "no"])
def test_what_only_looks_like_false_does_not_switch_verification_off(verify: Any) -> None:
    with pytest.raises(UsageError, match="verify="):
        OntapJobs("cluster1", auth=(USER, PASSWORD), verify=verify)


# --- what every request carries


async def test_each_request_names_its_application_for_the_clusters_statistics() -> None:
    with cluster() as server:
        async with OntapJobs(server.url, auth=(USER, PASSWORD), user_agent="acme/7") as source:
            await source.get("j1")
            await source.act("j1", Action.PAUSE)
    names = [header(head, "X-Dot-Client-App") for head in server.heads]
    assert len(names) >= 3
    assert {name for [name] in names} == {header(server.heads[0], "User-Agent")[0]}
    assert names[0][0].startswith("acme/7 jobsource")


# --- connections that the server drops


def dropping(number: int, head: str) -> Iterable[bytes]:
    """An answer, after which the server closes the idle connection without a word of warning."""
    del number, head
    yield from raw(JOB, Keep_Alive="timeout=5, max=100")
    raise OSError("the server closes")


async def closed(server: Loopback) -> None:
    """Wait until the server has closed its last connection, and the news of it is through."""
    await anyio.to_thread.run_sync(server._threads[-1].join)
    await anyio.sleep(0.01)


async def test_a_connection_that_the_server_closed_while_it_was_idle_costs_no_request() -> None:
    with Loopback(dropping) as server:
        async with OntapJobs(server.url, auth=(USER, PASSWORD)) as source:
            for _ in range(4):
                assert (await source.get("j1")).succeeded
                await closed(server)
    assert len(server.heads) == server.connections == 4


async def test_a_write_after_a_connection_was_dropped_is_sent_once() -> None:
    with Loopback(dropping) as server:
        async with OntapJobs(server.url, auth=(USER, PASSWORD)) as source:
            await source.get("j1")
            await closed(server)
            await source.act("j1", Action.CANCEL)
    assert [head.split(" ")[0] for head in server.heads].count("PATCH") == 1


@pytest.mark.slow
async def test_idle_connections_are_let_go_before_the_server_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert OntapDriver.keepalive < 5  # "Keep-Alive: timeout=5, max=100"
    monkeypatch.setattr(OntapDriver, "keepalive", 0.05)
    with cluster() as server:
        async with OntapJobs(server.url, auth=(USER, PASSWORD)) as source:
            await source.get("j1")
            await anyio.sleep(0.3)
            await source.get("j1")
    assert server.connections == 2


async def test_a_connection_in_use_is_kept() -> None:
    with cluster() as server:
        async with OntapJobs(server.url, auth=(USER, PASSWORD)) as source:
            for _ in range(3):
                await source.get("j1")
    assert server.connections == 1
