"""Certificates: which authorities are trusted, which certificate is sent, and the errors otherwise."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bluexp_jobs import BlueXPJobs
from cfjobs import CFJobs
from common.http.direct.connection import Connection
from common.http.tls import tls_context
from common.model.errors import TransportError, UsageError
from common.options import InsecureConnectionWarning
from ontapjobs import Bearer, OntapJobs
from tests.loopback import KEY_PASSWORD, LOCKED_KEY, Loopback, raw, server_tls, write_pem

pytestmark = pytest.mark.anyio

AUTH = ("admin", "hunter2")
JOB = {"uuid": "j1", "state": "success"}
REMOTE_HTTP = "http://cluster1.example.com"


@pytest.fixture
def locked_key(tmp_path: Path) -> str:
    return write_pem(tmp_path, "ENCRYPTED PRIVATE KEY", LOCKED_KEY)


def serve(context: ssl.SSLContext) -> Loopback:
    return Loopback(lambda _, __: raw(JOB), tls=context)


# --- one context a setting


def test_equal_settings_share_one_context(ca: str, key: str) -> None:
    assert tls_context() is tls_context(verify=True)
    assert tls_context(ca) is tls_context(Path(ca))
    assert tls_context(ca, (ca, key)) is tls_context(ca, (ca, key))
    different = [tls_context(), tls_context(verify=False), tls_context(ca), tls_context(ca, (ca, key))]
    assert len(set(map(id, different))) == 4


async def test_sources_of_one_setting_share_its_context(ca: str, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[Any] = []

    async def no_connection(host: str, port: int, context: Any) -> None:
        del host, port
        used.append(context)
        raise ConnectionRefusedError

    monkeypatch.setattr(Connection, "open", no_connection)
    for endpoint in ("https://127.0.0.1:9", "https://localhost:9"):
        async with OntapJobs(endpoint, auth=AUTH, verify=ca) as source:
            with pytest.raises(TransportError):
                await source.get("j1")
    assert used == [tls_context(ca), tls_context(ca)]


def test_a_context_of_the_callers_own_is_used_as_it_is() -> None:
    context = ssl.create_default_context()
    assert tls_context(context) is context
    with pytest.raises(UsageError, match="load the certificate into the context"):
        tls_context(context, "client.pem")


# --- files that cannot be loaded are errors at once


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"verify": "missing-ca.pem"}, r"verify='missing-ca\.pem' cannot be loaded"),
        ({"verify": Path("missing-ca.pem")}, r"verify='missing-ca\.pem' cannot be loaded"),
        ({"verify": "a" * 300 + ".pem"}, r"verify='a+\.pem' cannot be loaded .*too long"),
        ({"verify": "a/" * 3000}, r"verify='[a/]+' cannot be loaded .*too long"),
        ({"verify": "a\0b"}, r"verify='a\\x00b' cannot be loaded"),
        ({"verify": 1}, "verify= must be"),
        ({"verify": ["ca.pem"]}, "verify= must be"),
        ({"verify": ""}, "verify="),
        ({"cert": "missing.pem"}, r"cert='missing\.pem' cannot be loaded"),
        ({"cert": ("missing.pem", "missing.key")}, r"cert='missing\.pem' cannot be loaded"),
        ({"cert": ("a", "b", "c", "d")}, "cert= must be"),
        ({"cert": 7}, "cert="),
        ({"cert": (7, 8)}, "cert="),
        ({"cert": ()}, "cert="),
    ],
)
def test_what_is_no_certificate_is_an_error_of_the_constructor(
    options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        OntapJobs("cluster1", auth=AUTH, **options)


@pytest.mark.parametrize("verify", ["its own", True])
def test_a_key_log_that_cannot_be_written_is_no_fault_of_the_authorities(
    verify: str | bool, tmp_path: Path, ca: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "ca.pem"  # of a name for which there is no context yet
    own.write_bytes(Path(ca).read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path))
    with pytest.raises(UsageError, match="the environment's SSLKEYLOGFILE cannot be written"):
        OntapJobs("cluster1", auth=AUTH, verify=str(own) if isinstance(verify, str) else verify)


def test_a_ca_file_that_holds_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "not-a.pem"
    path.write_text("hello")
    with pytest.raises(UsageError, match="cannot be loaded as a CA file"):
        OntapJobs("cluster1", auth=AUTH, verify=str(path))


def test_a_key_that_does_not_fit_its_password_is_refused_without_showing_it(ca: str, locked_key: str) -> None:
    for password in ("wrong-password", ""):
        with pytest.raises(UsageError, match="cannot be loaded") as caught:
            OntapJobs("cluster1", cert=(ca, locked_key, password))
        assert "wrong-password" not in str(caught.value)


def test_a_missing_password_is_an_error_and_never_a_prompt(
    ca: str, locked_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords: list[Any] = []
    load = ssl.SSLContext.load_cert_chain

    def spy(self: ssl.SSLContext, file: str, key: str, password: Any = None) -> None:
        passwords.append(password)  # with None, OpenSSL asks at the terminal
        load(self, file, key, password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spy)
    with pytest.raises(UsageError, match="cannot be loaded"):
        OntapJobs("cluster1", cert=(ca, locked_key))
    assert [password() for password in passwords] == [""]


@pytest.mark.parametrize("options", [{"cert": "client.pem"}, {"auth": AUTH, "cert": ("c.pem", "c.key")}])
def test_a_client_certificate_is_refused_where_there_is_no_tls_to_show_it_in(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="cert="):
        OntapJobs("http://127.0.0.1:8080", **options)


# --- against a server


async def test_an_untrusted_certificate_is_refused_with_a_hint(ca: str, key: str) -> None:
    with serve(server_tls(ca, key)) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with pytest.raises(TransportError, match=r"pass verify='ca\.pem'") as caught:
                await source.get("j1")
        assert server.heads == []
    assert not caught.value.sent


@pytest.mark.slow
async def test_a_ca_file_or_its_text_as_a_path_makes_the_server_trusted(ca: str, key: str) -> None:
    with serve(server_tls(ca, key)) as server:
        for verify in (ca, Path(ca), ssl.create_default_context(cafile=ca)):
            async with OntapJobs(server.url, auth=AUTH, verify=verify) as source:
                assert (await source.get("j1")).succeeded


async def test_the_name_in_the_certificate_is_checked_too(ca: str, key: str) -> None:
    with serve(server_tls(ca, key)) as server:
        wrong = server.url.replace("127.0.0.1", "127.0.0.2")
        async with OntapJobs(wrong, auth=AUTH, verify=ca) as source:
            with pytest.raises(TransportError):
                await source.get("j1")
        assert server.heads == []


@pytest.mark.filterwarnings("ignore::common.options.InsecureConnectionWarning")
async def test_verification_is_skipped_only_by_name(ca: str, key: str) -> None:
    with serve(server_tls(ca, key)) as server:
        async with OntapJobs(server.url, auth=AUTH, verify=False) as source:
            assert (await source.get("j1")).succeeded


@pytest.mark.slow
async def test_a_client_certificate_signs_in_by_itself(ca: str, key: str, locked_key: str) -> None:
    with serve(server_tls(ca, key, ask=True)) as server:
        for cert in ((ca, key), (ca, locked_key, KEY_PASSWORD)):
            async with OntapJobs(server.url, verify=ca, cert=cert) as source:
                assert (await source.get("j1")).succeeded
        assert len(server.heads) == 2
        assert not any("authorization:" in head.lower() for head in server.heads)


async def test_without_its_client_certificate_a_strict_server_lets_nobody_in(ca: str, key: str) -> None:
    with serve(server_tls(ca, key, ask=True)) as server:
        async with OntapJobs(server.url, verify=ca, auth=AUTH) as source:
            with pytest.raises(TransportError):
                await source.get("j1")
        assert server.heads == []


# --- connections without encryption


def ontap(**options: Any) -> object:
    return OntapJobs(options.pop("endpoint", "cluster1.example.com"), auth=AUTH, **options)


def bluexp(**options: Any) -> object:
    return BlueXPJobs(account="account-1", agent="a1", auth=Bearer("t"), **options)


def cf(**options: Any) -> object:
    return CFJobs(options.pop("endpoint", "api.example.org"), auth=Bearer("t"), **options)


@pytest.mark.parametrize("make", [ontap, bluexp, cf])
@pytest.mark.parametrize("options", [{"endpoint": REMOTE_HTTP}, {"verify": False}])
def test_a_connection_without_protection_warns_where_the_source_is_made(
    make: Callable[..., object], options: dict[str, Any]
) -> None:
    with pytest.warns(InsecureConnectionWarning) as seen:
        make(**options)
    assert [warning.filename for warning in seen] == [__file__]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"verify": True},
        {"endpoint": "http://localhost:8080"},
        {"endpoint": "http://127.3.2.1"},
        {"endpoint": "http://[::1]:8080"},
        {"endpoint": "http://sim.localhost"},
        {"endpoint": "http://localhost", "verify": False},
    ],
)
def test_a_protected_or_local_connection_does_not_warn(options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ontap(**options)


@pytest.mark.parametrize(
    "endpoint", ["http://localhost.example.com", "http://127.0.0.1.example.com", "http://10.0.0.1"]
)
def test_what_only_looks_local_warns(endpoint: str) -> None:
    with pytest.warns(InsecureConnectionWarning, match="plain http"):
        ontap(endpoint=endpoint)


def test_the_warning_comes_once_from_one_line_of_code() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        for _ in range(3):
            ontap(endpoint=REMOTE_HTTP, verify=False)
    assert [warning.category for warning in seen] == [InsecureConnectionWarning]
