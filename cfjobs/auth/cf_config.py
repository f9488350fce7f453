"""The ``config.json`` of the ``cf`` command: find it, read the login in it, and write tokens back."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from cfjobs.auth.discovery import trusted_token_url
from common.auth.credentials import read_bearer_token
from common.model.endpoints import endpoint_url
from common.model.errors import AuthenticationError, DecodeError, UsageError
from common.response.decoding import root_object
from common.response.redaction import Unpicklable

HOME = "CF_HOME"
"""The environment variable that names the parent folder of ``.cf``; without it, the home folder is."""
VERSIONS = frozenset({3, 4, 5})
"""Values of ``ConfigVersion`` that are supported: cf 6 wrote 3, cf 7 and later write 4."""
CLIENT_CREDENTIALS = "client_credentials"


@attrs.frozen(repr=False, kw_only=True)
class CfCliConfig(Unpicklable):
    """The part of the file that signing in needs; a token that the file does not have is "".

    The file's keys are those of the command's source (``util/configv3/json_config.go``).
    """

    target: str
    token_url: str | None
    access: str
    refresh: str
    client_id: str
    client_secret: str
    as_client: bool
    insecure: bool

    @property
    def has_secret(self) -> bool:
        """Whether it is a client that can sign in again: not if it did so by an assertion (cf auth)."""
        return self.as_client and self.client_secret != ""

    def is_same_login(self, other: CfCliConfig) -> bool:
        """Whether both are logins at one foundation by one client."""
        return (self.target, self.client_id, self.as_client) == (
            other.target,
            other.client_id,
            other.as_client,
        )


def config_file(path: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of the file: ``$CF_HOME/.cf/config.json``, ``~/.cf/config.json``, or by ``path``.

    ``path`` is the file itself, or the folder that holds it or ``.cf``.
    """
    if path is None:
        home = os.environ.get(HOME)
        return (Path(home) if home else Path.home()) / ".cf" / "config.json"
    try:
        named = Path(path).expanduser()
    except (TypeError, RuntimeError):
        raise UsageError("path= must be the cf command's config.json, or the folder that holds it") from None
    try:
        if not named.is_dir():
            return named
        below = named / ".cf" / "config.json"
        return below if below.is_file() else named / "config.json"
    except OSError:  # the name is too long, say: reading the file tells
        return named


def user_in_environment() -> tuple[str, str] | None:
    """Return user and password of ``CF_USERNAME`` and ``CF_PASSWORD``, None unless both are set."""
    user, password = os.environ.get("CF_USERNAME"), os.environ.get("CF_PASSWORD")
    return (user, password) if user and password else None


def read_config(file: Path, *, logged_in: bool = True) -> CfCliConfig:
    """Return the login in the file. Raise `UsageError`, which quotes nothing of the file.

    Without ``logged_in``, a file that names a foundation alone will do.
    """
    data = _read(file)
    version = data.get("ConfigVersion", max(VERSIONS))
    if not isinstance(version, int) or version not in VERSIONS:
        raise UsageError(
            f"{file} was written by an unsupported version of the cf command: log in with cf 7 or later, "
            "or pass auth= yourself"
        )
    target = _target(data, file)
    as_client = _text(data, "UAAGrantType") == CLIENT_CREDENTIALS
    secret = _text(data, "UAAOAuthClientSecret")
    access = _text(data, "AccessToken")
    refresh = _text(data, "RefreshToken")
    korifi = data.get("CFOnK8s")
    if isinstance(korifi, Mapping) and korifi.get("Enabled") is True:
        raise UsageError(
            f"{file} is for Korifi, which has no UAA: "
            "pass auth=Bearer(token), or cert= for a client certificate"
        )
    if logged_in and not (access or refresh or (as_client and secret)):
        raise UsageError(f"{file} has no login at {target}: log in first (cf login)")
    try:
        access = read_bearer_token(access) if access else ""
    except UsageError:
        raise UsageError(f"{file} has a token that cannot be sent: log in again (cf login)") from None
    return CfCliConfig(
        target=target,
        token_url=_token_url(data, target, file),
        access=access,
        refresh=refresh,
        client_id=_text(data, "UAAOAuthClient") or "cf",
        client_secret=secret,
        as_client=as_client,
        insecure=data.get("SSLDisabled") is True,
    )


def write_tokens(file: Path, *, login: CfCliConfig, access: str, refresh: str) -> bool:
    """Replace the tokens in the file, and return True; return False where it has another login by now.

    Another login is one at another foundation, by another client, or with another refresh token than
    ``login`` has: that one is newer. The file is replaced atomically, as the command itself does, and its
    other keys are kept. Raise `OSError` or `UsageError` where it cannot be read or written.
    """
    file = Path(os.path.realpath(file))
    current = read_config(file)
    if not current.is_same_login(login) or current.refresh != login.refresh:
        return False
    data = {**_read(file), "AccessToken": f"bearer {access}", "RefreshToken": refresh}
    content = json.dumps(data, indent=2).encode()
    # A name that the cf command deletes, in case this process ends before the file is renamed.
    handle, temporary = tempfile.mkstemp(prefix="temp-config", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            Path(temporary).chmod(file.stat().st_mode & 0o7777)
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
    return True


def _read(file: Path) -> dict[str, Any]:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"there is no {file}: log in first (cf login), or pass the file as path=") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or type(error).__name__}") from None
    try:
        return dict(root_object(content))
    except DecodeError:
        raise UsageError(f"{file} is not the cf command's file: it is not a JSON object") from None


def _target(data: Mapping[str, Any], file: Path) -> str:
    target = _text(data, "Target")
    if not target:
        raise UsageError(f"{file} has no API endpoint: choose one first (cf api https://api.example.org)")
    try:
        return endpoint_url(target.rstrip("/"))
    except UsageError:
        raise UsageError(f"the API endpoint in {file} is not a URL: choose it again (cf api)") from None


def _token_url(data: Mapping[str, Any], target: str, file: Path) -> str | None:
    link = _text(data, "AuthorizationEndpoint") or _text(data, "UaaEndpoint")
    if not link:
        return None
    try:
        return trusted_token_url(link, target)
    except AuthenticationError as error:
        raise UsageError(f"{file}: {error}") from None


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return value.strip() if isinstance(value, str) else ""
