"""The login that the ``cf`` command keeps in its ``config.json``: found, read, and written back."""

from __future__ import annotations

import base64
import json
import math
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

from cfjobs.discovery import trusted_token_url
from common.auth import bare_token
from common.decoding import root_object
from common.errors import AuthenticationError
from common.errors import DecodeError
from common.errors import UsageError
from common.origins import origin
from common.redaction import Unpicklable

HOME = "CF_HOME"
"""The environment variable that names the folder which ``.cf`` is in, in place of the home folder."""
VERSIONS = frozenset({3, 4, 5})
"""Values of ``ConfigVersion``: cf 6 wrote 3, cf 7 and later write 4."""
CLIENT_CREDENTIALS = "client_credentials"


@attrs.frozen(repr=False, kw_only=True)
class CommandConfig(Unpicklable):
    """What of the file a sign-in needs; tokens are empty where there are none.

    Names are those of the command's source (``util/configv3/json_config.go``).
    """

    target: str
    token_url: str | None
    access: str
    refresh: str
    client_id: str
    client_secret: str
    as_client: bool
    insecure: bool

    def is_of(self, other: CommandConfig) -> bool:
        """Whether both are logins at one foundation by one client."""
        return (self.target, self.client_id, self.as_client) == (
            other.target,
            other.client_id,
            other.as_client,
        )


def config_file(path: str | os.PathLike[str] | None = None) -> Path:
    """The file: ``$CF_HOME/.cf/config.json``, ``~/.cf/config.json``, or what ``path`` names.

    ``path`` is the file itself, or a folder that it or ``.cf`` is in.
    """
    if path is None:
        home = os.environ.get(HOME)
        return (Path(home) if home else Path.home()) / ".cf" / "config.json"
    try:
        given = Path(path).expanduser()
    except (TypeError, RuntimeError):
        raise UsageError("path= must be the cf command's config.json, or the folder that it is in") from None
    if not given.is_dir():
        return given
    below = given / ".cf" / "config.json"
    return below if below.is_file() else given / "config.json"


def read_config(file: Path) -> CommandConfig:
    """The login in the file. Raises `UsageError`, which quotes nothing of what is in it."""
    data = _read(file)
    version = data.get("ConfigVersion", max(VERSIONS))
    if not isinstance(version, int) or version not in VERSIONS:
        raise UsageError(
            f"{file} was written by a version of the cf command that is not known here: log in with cf 7 or "
            "later, or pass auth= yourself"
        )
    target = _target(data, file)
    as_client = _text(data, "UAAGrantType") == CLIENT_CREDENTIALS
    secret = _text(data, "UAAOAuthClientSecret")
    access = _text(data, "AccessToken")
    refresh = _text(data, "RefreshToken")
    if not (access or refresh or (as_client and secret)):
        korifi = data.get("CFOnK8s")
        if isinstance(korifi, Mapping) and korifi.get("Enabled") is True:
            raise UsageError(f"{file} is for a Korifi, which has no UAA: pass auth=Bearer(token) or cert=")
        raise UsageError(f"{file} holds no login at {target}: log in first (cf login)")
    try:
        access = bare_token(access) if access else ""
    except UsageError:
        raise UsageError(f"{file} holds no token that can be sent: log in again (cf login)") from None
    return CommandConfig(
        target=target,
        token_url=_token_url(data, target, file),
        access=access,
        refresh=refresh,
        client_id=_text(data, "UAAOAuthClient") or "cf",
        client_secret=secret,
        as_client=as_client,
        insecure=data.get("SSLDisabled") is True,
    )


def write_tokens(file: Path, *, login: CommandConfig, access: str, refresh: str) -> bool:
    """Put new tokens into the file; all else in it stays. False where it holds another login by now.

    Another login is one at another foundation, by another client, or with another refresh token than
    ``login`` has: that one is newer. The new file takes the old one's place at once, as the command's own
    does. Raises `OSError`, `UsageError`.
    """
    file = Path(os.path.realpath(file))
    there = read_config(file)
    if not there.is_of(login) or there.refresh != login.refresh:
        return False
    data = {**_read(file), "AccessToken": f"bearer {access}", "RefreshToken": refresh}
    content = json.dumps(data, indent=2).encode()
    # A name that the command itself cleans away, should this process end before the file is in its place.
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


def seconds_left(token: str) -> float | None:
    """Seconds until an access token expires, by the ``exp`` of its JWT, unverified; None for any other.

    Below 0 for one that has expired.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        left = float(claims["exp"]) - datetime.now(UTC).timestamp()
        return left if math.isfinite(left) else None
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return None


def _read(file: Path) -> dict[str, Any]:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"there is no {file}: log in first (cf login), or name the file by path=") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or type(error).__name__}") from None
    try:
        return dict(root_object(content))
    except DecodeError:
        raise UsageError(f"{file} is not the cf command's file: there is no JSON object in it") from None


def _target(data: Mapping[str, Any], file: Path) -> str:
    target = _text(data, "Target")
    if not target:
        raise UsageError(f"{file} names no API: choose one first (cf api https://api.example.org)")
    try:
        return origin(target.rstrip("/"))
    except UsageError:
        raise UsageError(f"{file} names no URL of an API: choose it again (cf api)") from None


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
