"""A set-up that is wrong ends a wait at once, until the source has had its first good reply."""

from __future__ import annotations

import socket
import ssl

import anyio
import attrs
import httpx
import pytest

from common import Capability, JobState, TransportError, to_dict
from common.model.errors import ApiError
from common.model.serialize import from_dict
from tests.cases import case
from tests.common.scripted import Answer, raising, reply
from tests.contract.systems import PAGE, Rig, System

pytestmark = pytest.mark.anyio

RUNNING, SUCCEEDED = JobState.RUNNING, JobState.SUCCEEDED


def connect_error(cause: Exception) -> Answer:
    """What httpx raises for this cause."""
    error = httpx.ConnectError(str(cause))
    error.__cause__ = cause
    return raising(error)


def untrusted(text: str, code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, f"[SSL: CERTIFICATE_VERIFY_FAILED] {text}")
    error.verify_code = code
    return error


UNKNOWN_HOST = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
WRONG = {
    "unknown host": (UNKNOWN_HOST, "check the spelling"),
    "no address": (socket.gaierror(socket.EAI_NODATA, "No address"), "check the spelling"),
    "unknown authority": (untrusted("self-signed certificate", 18), r"verify='ca\.pem'"),
    "another name": (untrusted("Hostname mismatch", 62), "use one of those"),
    "expired": (untrusted("certificate has expired", 10), "replace the certificate"),
}


@pytest.mark.parametrize(("cause", "advice"), WRONG.values(), ids=WRONG)
async def test_a_wrong_set_up_ends_the_wait_at_its_first_request(
    system: System, cause: Exception, advice: str
) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, None))
        rig.wire.reads += [connect_error(cause)] * 10
        with pytest.raises(TransportError, match=advice) as caught:
            await rig.source.wait(job)
        assert (rig.wire.sent, anyio.current_time()) == (["GET"], 0)
    assert (caught.value.misconfigured, caught.value.transient) == (True, False)
    assert caught.value.ref == rig.member.ref(job)


async def test_a_stored_job_is_no_good_reply_of_this_source(system: System) -> None:
    async with system.rig() as rig:
        stored = to_dict(attrs.evolve(await rig.member.get(rig.job((RUNNING, None))), record=None))
    async with system.rig() as rig:
        rig.wire.reads += [connect_error(UNKNOWN_HOST)] * 10
        with pytest.raises(TransportError, match="the host does not exist"):
            await rig.source.wait(from_dict(stored))


@pytest.mark.slow
@pytest.mark.parametrize("cause", [cause for cause, _ in WRONG.values()], ids=WRONG)
async def test_after_a_good_reply_the_same_trouble_is_absorbed(system: System, cause: Exception) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [None, *[connect_error(cause)] * 5]
        assert (await rig.source.wait(rig.job((RUNNING, 5), (SUCCEEDED, None)))).succeeded
        assert rig.wire.reads == []


@pytest.mark.slow
async def test_a_get_a_write_and_a_list_are_good_replies_too(system: System) -> None:
    async def read(rig: Rig) -> object:
        return await rig.member.get(rig.job((RUNNING, None)))

    async def write(rig: Rig) -> object:
        return await rig.member.start(*system.write)

    async def listed(rig: Rig) -> object:
        return [job async for job in rig.member.list()]

    lists = Capability.LIST in system.connect().capabilities
    calls = [read, write, listed] if lists else [read, write]
    for call in calls:
        async with system.rig() as rig:
            await call(rig)
            rig.wire.reads += [connect_error(UNKNOWN_HOST)] * 3
            assert (await rig.source.wait(rig.job((RUNNING, 5), (SUCCEEDED, None)))).succeeded


async def test_a_page_of_a_proxy_is_no_good_reply(system: System) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [reply(200, text=PAGE), reply(503), connect_error(UNKNOWN_HOST)]
        with pytest.raises(TransportError, match="the host does not exist"):
            await rig.source.wait(rig.job((RUNNING, None)))
        assert rig.wire.reads == []


@pytest.mark.parametrize(
    "cause",
    [
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure in name resolution"),
        ConnectionRefusedError(111, "refused"),
        ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
    ],
    ids=lambda cause: type(cause).__name__,
)
async def test_trouble_that_no_set_up_explains_is_absorbed_from_the_first_request(
    system: System, cause: Exception
) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [connect_error(cause)] * 5
        assert (await rig.source.wait(rig.job((RUNNING, 5), (SUCCEEDED, None)))).succeeded


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("before", [0, 1], ids=["at first", "later"])
async def test_a_redirect_elsewhere_ends_the_wait_at_any_time_and_names_its_origin_alone(
    system: System, status: int, before: int
) -> None:
    target = "https://user:pass@sso.example.com/login?ticket=t1cket"
    elsewhere = reply(status, text=f'<a href="{target}">moved</a>', Location=target)
    async with system.rig() as rig:
        job = rig.job((RUNNING, None))
        rig.wire.reads += [None] * before + [elsewhere] * 10
        with pytest.raises(ApiError, match=r"a redirect to https://sso\.example\.com, ") as caught:
            await rig.source.wait(job)
        assert len(rig.wire.sent) == before + 1
    error = caught.value
    assert (error.status, error.transient, error.body, error.message) == (status, False, "", None)
    for secret in ("t1cket", "pass@", "user", "/login"):
        assert secret not in str(error)


WITHIN = ["/login", "//{host}/login", "https://{host}:443/a", "?again", "http://[", ""]


async def test_a_redirect_within_the_origin_or_to_nowhere_is_absorbed(system: System) -> None:
    for location in WITHIN:
        with case(location):
            async with system.rig() as rig:
                target = location.format(host=rig.member.endpoint.removeprefix("https://").upper())
                rig.wire.reads += [reply(302, Location=target)] * 3
                assert (await rig.source.wait(rig.job((RUNNING, 5), (SUCCEEDED, None)))).succeeded
                assert rig.wire.reads == []


async def test_a_redirect_within_the_origin_is_called_one(system: System) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [reply(302, Location="/login?ticket=1")]
        with pytest.raises(ApiError, match=r" 302 Found: a redirect, which is not followed$"):
            await rig.source.get(rig.job((RUNNING, None)))


ELSEWHERE = ["http://{host}/x", "https://{host}:8443/x", "//other.example.com", "ldap://x"]


async def test_another_scheme_port_or_host_is_elsewhere(system: System) -> None:
    for location in ELSEWHERE:
        with case(location):
            async with system.rig() as rig:
                target = location.format(host=rig.member.endpoint.removeprefix("https://"))
                rig.wire.reads += [reply(302, Location=target)] * 3
                with pytest.raises(ApiError, match="a redirect to"):
                    await rig.source.wait(rig.job((RUNNING, None)))
