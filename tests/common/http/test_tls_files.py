"""Certificates that are replaced on disk under a running source: its next connection uses the new ones."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest

from common.http import tls, tls_files
from common.http.tls import tls_context
from common.model.errors import TransportError, UsageError
from common.polling.policy import PollPolicy
from ontapjobs import ClientCredentials, OntapJobs
from tests.certificates import Certificate, replace
from tests.costs import lines
from tests.loopback import Loopback, raw

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("library")]

FIRST, SECOND, SERVER = Certificate.make("first"), Certificate.make("second"), Certificate.make("server")
AUTH = ("admin", "hunter2")
QUICK = PollPolicy(initial=0.01, maximum=0.05)


@pytest.fixture(autouse=True)
def looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the files for each connection; a test would have to wait for a second otherwise."""
    monkeypatch.setattr(tls_files, "LOOK_INTERVAL", 0.0)


def serving(context: ssl.SSLContext, state: str = "success") -> Loopback:
    """A server that gives each request a connection of its own."""
    return Loopback(lambda *_: raw({"uuid": "j1", "state": state}, Connection="close"), tls=context)


@pytest.mark.slow
async def test_a_ca_file_that_was_replaced_counts_and_what_it_had_before_does_not(tmp_path: Path) -> None:
    ca, _ = FIRST.write(tmp_path, "ca")
    with serving(FIRST.serve(tmp_path)) as first, serving(SECOND.serve(tmp_path)) as second:
        async with (
            OntapJobs(first.url, auth=AUTH, verify=ca) as one,
            OntapJobs(second.url, auth=AUTH, verify=ca) as two,
        ):
            assert (await one.get("j1")).succeeded
            with pytest.raises(TransportError, match="pass verify"):
                await two.get("j1")
            SECOND.write(tmp_path, "ca")
            assert (await two.get("j1")).succeeded
            with pytest.raises(TransportError, match="pass verify"):
                await one.get("j1")


async def test_a_client_certificate_that_was_replaced_is_shown(tmp_path: Path) -> None:
    cert, (ca, _) = FIRST.write(tmp_path, "client"), SERVER.write(tmp_path, "ca")
    with serving(SERVER.serve(tmp_path, clients=SECOND)) as server:
        async with OntapJobs(server.url, cert=cert, verify=ca) as source:
            with pytest.raises(TransportError):
                await source.get("j1")
            SECOND.write(tmp_path, "client")
            assert (await source.get("j1")).succeeded


@pytest.mark.slow
async def test_a_wait_goes_on_through_a_rotation_of_the_servers_certificate(tmp_path: Path) -> None:
    ca, _ = FIRST.write(tmp_path, "ca")
    context = FIRST.serve(tmp_path)

    def answer(number: int, _: str) -> list[bytes]:
        if number == 2:
            context.load_cert_chain(*SECOND.write(tmp_path, "ca"))
        return raw({"uuid": "j1", "state": "running" if number < 5 else "success"}, Connection="close")

    with Loopback(answer, tls=context) as server:
        async with OntapJobs(server.url, auth=AUTH, verify=ca, policy=QUICK) as source:
            assert (await source.wait("j1", timeout=20)).succeeded


MOMENTS: dict[str, tuple[bytes | None, bytes | None]] = {
    "the certificate is gone": (None, FIRST.key),
    "both are gone": (None, None),
    "the certificate is empty": (b"", FIRST.key),
    "the certificate is half written": (SECOND.pem[:200], FIRST.key),
    "the key is half written": (SECOND.pem, SECOND.key[:80]),
    "the key comes later": (SECOND.pem, FIRST.key),
}


@pytest.mark.slow
@pytest.mark.parametrize("contents", MOMENTS.values(), ids=MOMENTS)
async def test_files_in_the_midst_of_being_replaced_break_nothing(
    contents: tuple[bytes | None, bytes | None], tmp_path: Path
) -> None:
    cert, (ca, _) = FIRST.write(tmp_path, "client"), SERVER.write(tmp_path, "ca")
    with (
        serving(SERVER.serve(tmp_path, clients=FIRST)) as before,
        serving(SERVER.serve(tmp_path, clients=SECOND)) as after,
    ):
        async with (
            OntapJobs(before.url, cert=cert, verify=ca) as one,
            OntapJobs(after.url, cert=cert, verify=ca) as two,
        ):
            for path, content in zip(cert, contents, strict=True):
                spoil(path, content)
            for _ in range(3):
                assert (await one.get("j1")).succeeded
            SECOND.write(tmp_path, "client")
            assert (await two.get("j1")).succeeded


def spoil(path: str, content: bytes | None) -> None:
    """Leave no file there, or half of one."""
    if content is None:
        Path(path).unlink()
    else:
        Path(path).write_bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize("content", [None, b"", FIRST.pem[:200]], ids=["gone", "empty", "half"])
async def test_a_ca_file_in_the_midst_of_being_replaced_breaks_nothing(
    content: bytes | None, tmp_path: Path
) -> None:
    ca, _ = FIRST.write(tmp_path, "ca")
    with serving(FIRST.serve(tmp_path)) as server:
        async with OntapJobs(server.url, auth=AUTH, verify=ca) as source:
            assert (await source.get("j1")).succeeded
            spoil(ca, content)
            assert (await source.get("j1")).succeeded
            async with OntapJobs(server.url, auth=AUTH, verify=ca) as another:
                assert (await another.get("j1")).succeeded


async def test_what_still_cannot_be_loaded_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ca, _ = FIRST.write(tmp_path, "ca")
    context = tls_context(ca)
    assert isinstance(context, tls_files.RenewedContext)
    spoil(ca, b"not yet")
    with caplog.at_level(logging.WARNING, "jobsource"):
        context.current()
        assert caplog.messages == []
        for _ in range(3):
            context.current()
    assert len(caplog.messages) == 1
    assert f"verify={ca!r} cannot be loaded" in caplog.messages[0]


async def test_files_are_looked_at_again_after_a_second_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(tls_files, "LOOK_INTERVAL", 1.0)
    monkeypatch.setattr(tls_files, "monotonic", lambda: now)
    ca, _ = FIRST.write(tmp_path, "ca")
    context = tls_context(ca)
    assert isinstance(context, tls_files.RenewedContext)
    before = context.current()
    SECOND.write(tmp_path, "ca")
    now = 1000.9
    assert context.current() is before
    now = 1001.0
    assert context.current() is not before
    assert tls_context(ca) is context


async def test_files_that_did_not_change_are_not_read_again(tmp_path: Path) -> None:
    ca, _ = FIRST.write(tmp_path, "ca")
    context = tls_context(ca)
    assert isinstance(context, tls_files.RenewedContext)
    first = context.current()
    assert [context.current() for _ in range(3)] == [first] * 3
    replace(Path(ca), FIRST.pem)
    assert context.current() is not first


async def test_of_a_folder_of_authorities_each_file_is_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "authorities"
    folder.mkdir()
    with serving(FIRST.serve(tmp_path)) as server:
        name = f"{FIRST.hash}.0"
        async with OntapJobs(server.url, auth=AUTH, verify=folder) as source:
            with pytest.raises(TransportError, match="pass verify"):
                await source.get("j1")
            (folder / name).write_bytes(FIRST.pem)
            assert (await source.get("j1")).succeeded
            (folder / name).write_bytes(SECOND.pem)
            with pytest.raises(TransportError, match="pass verify"):
                await source.get("j1")


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_authorities_that_the_environment_names_are_looked_at_too(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "known" / f"{FIRST.hash}.0"
    file.parent.mkdir()
    file.write_bytes(SECOND.pem)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(variable, str(file if variable == "SSL_CERT_FILE" else file.parent))
    with serving(FIRST.serve(tmp_path)) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with pytest.raises(TransportError, match="pass verify"):
                await source.get("j1")
            replace(file, FIRST.pem)
            assert (await source.get("j1")).succeeded


def test_a_source_costs_the_same_whatever_number_of_files_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_files, "LOOK_INTERVAL", 1.0)
    monkeypatch.setattr(tls_files, "monotonic", lambda: 0.0)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)

    def cost(files: int) -> int:
        folder = tmp_path / str(files)
        folder.mkdir()
        for number in range(files):
            (folder / f"{number}.pem").write_bytes(FIRST.pem)
        monkeypatch.setenv("SSL_CERT_DIR", str(folder))
        tls_context()
        return lines(tls_context)

    assert cost(5) == cost(50)


def test_authorities_of_the_environment_that_cannot_be_loaded_are_an_error_of_the_constructor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(UsageError, match="SSL_CERT_FILE"):
        OntapJobs("cluster1", auth=AUTH)


async def test_a_relative_path_is_that_of_the_folder_in_which_the_source_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SECOND.write(tmp_path, "ca")
    monkeypatch.chdir(tmp_path)
    with serving(FIRST.serve(tmp_path)) as server:
        async with OntapJobs(server.url, auth=AUTH, verify="ca.pem") as source:
            monkeypatch.chdir("/")
            FIRST.write(tmp_path, "ca")
            assert (await source.get("j1")).succeeded


@pytest.mark.slow
async def test_a_token_endpoint_elsewhere_is_trusted_by_the_new_file_too(tmp_path: Path) -> None:
    ca, _ = FIRST.write(tmp_path, "ca")
    token = raw({"access_token": "t", "expires_in": 600}, Connection="close")
    with (
        Loopback(lambda *_: token, tls=SECOND.serve(tmp_path)) as issuer,
        serving(SECOND.serve(tmp_path)) as server,
    ):
        auth = ClientCredentials(f"{issuer.url}/token", "client", "secret")
        async with OntapJobs(server.url, auth=auth, verify=ca) as source:
            with pytest.raises(TransportError, match="signing in at"):
                await source.get("j1")
            SECOND.write(tmp_path, "ca")
            assert (await source.get("j1")).succeeded


@pytest.mark.slow
async def test_a_source_that_has_sent_nothing_yet_is_not_broken_either(tmp_path: Path) -> None:
    cert, (ca, _) = FIRST.write(tmp_path, "client"), SERVER.write(tmp_path, "ca")
    token = raw({"access_token": "t", "expires_in": 600})
    with (
        Loopback(lambda *_: token, tls=SERVER.serve(tmp_path, clients=FIRST)) as issuer,
        serving(SERVER.serve(tmp_path, clients=FIRST)) as server,
    ):
        auth = ClientCredentials(f"{issuer.url}/token", "client", "secret")
        async with OntapJobs(server.url, auth=auth, cert=cert, verify=ca) as source:
            tls._context.cache_clear()  # as if there had been many other settings since
            for path in (*cert, ca):
                spoil(path, None)
            assert (await source.get("j1")).succeeded
