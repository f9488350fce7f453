"""The files of a user, and replies with tokens: whatever is in them, no refusal quotes a secret."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cfjobs.auth.cf_config import CfCliConfig, read_config
from common.auth.oauth2 import Token, read_token
from common.config.profiles import CONFIG, Profiles, read_profiles
from common.model.errors import DecodeError, JobsError, TransportError, UsageError
from common.response.body import read_bounded
from common.response.http_response import HttpResponse
from tests.fuzz.payloads import CANARY, bodies, listed, tried

LOGIN: dict[str, Any] = {
    "ConfigVersion": 4,
    "Target": "https://api.example.org",
    "AuthorizationEndpoint": "https://login.example.org",
    "UaaEndpoint": "https://uaa.example.org",
    "AccessToken": f"bearer {CANARY}",
    "RefreshToken": CANARY,
    "UAAGrantType": "",
    "UAAOAuthClient": "cf",
    "UAAOAuthClientSecret": CANARY,
    "SSLDisabled": False,
    "CFOnK8s": {"Enabled": False},
}
GRANTED: dict[str, Any] = {
    "access_token": CANARY,
    "token_type": "bearer",
    "expires_in": 599,
    "refresh_token": CANARY,
}
PROFILE = f"""
[profiles.prod]
provider = "ontap"
endpoint = "https://cluster1.example.com"
aliases = ["10.0.0.1"]
username = "admin"
password = "{CANARY}"

[profiles."lab.1"]
endpoint = "cf://api.example.org"
token = {{ env = "TOKEN", file = '{CANARY}' }}
"""


def shown(error: Exception) -> str:
    """All that a traceback or a log could show of an error."""
    chain = [error, error.__cause__, None if error.__suppress_context__ else error.__context__]
    return " ".join(f"{each!r} {each} {getattr(each, '__dict__', '')}" for each in chain if each is not None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.mark.slow
@example(body=json.dumps({**LOGIN, "Target": CANARY, "AccessToken": "", "RefreshToken": ""}).encode())
@given(body=bodies(LOGIN, [*LOGIN, "http://127.0.0.1", "https://h:1/uaa", "client_credentials", CANARY]))
def test_the_cf_commands_file(folder: Path, body: bytes) -> None:
    file = folder / "config.json"
    file.write_bytes(body)
    found = tried(lambda: read_config(file))
    if isinstance(found, CfCliConfig):
        assert found.target.startswith(("https://", "http://"))
        assert CANARY not in repr(found)
        assert found.access or found.refresh or (found.as_client and found.client_secret)
    else:
        assert type(found) is UsageError
        assert CANARY not in shown(found).replace(
            f"https://{CANARY}", ""
        )  # where the login is for is no secret


@pytest.mark.slow
@given(body=bodies(GRANTED, [*GRANTED, "Bearer", "mac", CANARY]))
def test_a_reply_with_a_token(body: bytes) -> None:
    found = tried(lambda: read_token(HttpResponse(200, (), body), "signing in"))
    if isinstance(found, Token):
        assert found.access.isascii()
        assert found.access.isprintable()
        assert CANARY not in repr(found)
    else:
        assert isinstance(found, TransportError)
        assert not found.sent
        assert CANARY not in shown(found) or f"type '{CANARY}" in str(found)


PIECES = st.sampled_from(
    [
        *listed(
            '[ ] [[ " \' = . , { } # \\ """ \\u0000 \\ud800 \x00 \ufeff ü ftp:// cf://h/ aliases 1 1e400 nan'
        ),
        *listed("profiles prod x endpoint provider inf 2026-13-01 1979-05-27T25:00:00Z 1979-05-27 true"),
        *("\n", "\r", "9" * 5000, "[" * 300, CANARY),
    ]
)


@pytest.mark.slow
@given(
    edits=st.lists(st.tuples(st.integers(0, len(PROFILE)), PIECES, st.integers(0, 12)), max_size=4),
    raw=st.none() | st.binary(max_size=40),
)
def test_the_profiles_file(folder: Path, edits: list[tuple[int, str, int]], raw: bytes | None) -> None:
    text = PROFILE
    for at, piece, gone in edits:
        text = text[:at] + piece + text[at + gone :]
    file = folder / "profiles.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass") + (raw or b""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CONFIG, str(file))
        found = tried(read_profiles)
    if isinstance(found, Profiles):
        assert CANARY not in repr(found)
        assert all(profile.provider for profile in found.by_name.values())
    else:
        assert type(found) is UsageError
        named = CANARY in text.replace(f'"{CANARY}"', "").replace(f"'{CANARY}'", "")
        assert named or CANARY not in shown(found)  # a key or a name is quoted: secrets are values


async def _pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


@pytest.mark.slow
@given(
    body=bodies(GRANTED, [*GRANTED]),
    encoding=st.sampled_from(
        ["", "gzip", "x-gzip", "deflate", "identity", " GZIP ", "br", "gzip, gzip", "\x00"]
    ),
    size=st.integers(1, 64),
    limit=st.integers(0, 300),
)
def test_a_body_in_pieces(body: bytes, encoding: str, size: int, limit: int) -> None:
    reading = read_bounded(_pieces(body, size), encoding, limit)
    found: bytes | JobsError
    try:
        reading.send(None)
        raise AssertionError("it waits for nothing")
    except StopIteration as done:
        found = done.value
    except JobsError as error:
        found = error
    assert len(found) <= limit if isinstance(found, bytes) else isinstance(found, DecodeError)
