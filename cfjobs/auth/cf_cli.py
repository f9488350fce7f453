"""Sign in by the login of the ``cf`` command, or as the user of its environment variables."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import attrs

from cfjobs.auth.cf_config import CLIENT_CREDENTIALS, CfCliConfig, read_config, write_tokens
from cfjobs.auth.discovery import refuse_sign_in
from cfjobs.auth.uaa import CF_CLIENT, UAA, UAAPassword
from common.auth.oauth2 import Token, TokenHttp, TokenRequest
from common.auth.token_cache import REFRESH_AHEAD
from common.model.errors import UsageError
from common.telemetry.events import logger


def user_login(config: CfCliConfig, user: str, password: str) -> UAAPassword:
    """Return a user's sign-in at the foundation in the file, by the client that ``cf auth`` would use."""
    as_user = not config.as_client
    return UAAPassword(
        user,
        password,
        client_id=config.client_id if as_user else CF_CLIENT,
        client_secret=config.client_secret if as_user else "",
        login_url=config.token_url,
    )


def seconds_left(token: str) -> float | None:
    """Return the seconds until an access token expires, by the ``exp`` of its JWT, unverified.

    Return None for a token that is not a JWT, a number below 0 for one that has expired.
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


class CfCliLogin(UAA):
    """Signs in by the login in a ``config.json``, which is read again before each refresh.

    Tokens that the command has refreshed in the meantime are used. With ``write``, tokens that are refreshed
    here are written back.
    """

    hint = "log in again with the cf command (cf login)"

    def __init__(self, file: Path, login: CfCliConfig, *, write: bool) -> None:
        super().__init__(
            login.client_id,
            login.client_secret,
            token_url=login.token_url,
            refresh_token=None if login.as_client else login.refresh or None,
        )
        self.file: Path = file
        self.can_reauthenticate: bool = login.has_secret
        self.keeps_refresh_token: bool = not login.as_client
        self._login = login
        self._write = write
        self._used = ""

    async def cached_token(self) -> Token | None:
        """Return the access token in the file, unless it was returned before or is about to expire."""
        self._reload()
        access, left = self._login.access, seconds_left(self._login.access)
        refreshable = self.can_reauthenticate or self._refresh_token is not None
        expiring = left is not None and left <= (REFRESH_AHEAD if refreshable else 0.0)
        if not access or access == self._used or expiring:
            return None
        self._used = access
        return Token(access, left)

    async def token_request(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        """As `UAA.token_request`. Raise `AuthenticationError` where the login has no refresh token."""
        if refresh_token is None and not self.can_reauthenticate:
            missing = "client secret" if self._login.as_client else "refresh token"
            refuse_sign_in(f"the login in {self.file} has expired and has no {missing}: {self.hint}")
        return await super().token_request(http, refresh_token)

    def fields(self) -> Mapping[str, str]:
        """Return the client-credentials grant: the file never has a password."""
        return {"grant_type": CLIENT_CREDENTIALS}

    def on_token(self, token: Token) -> None:
        """Write both tokens back, if that was asked for."""
        if not self._write:
            return
        refresh = self._refresh_token or self._login.refresh
        try:
            written = write_tokens(self.file, login=self._login, access=token.access, refresh=refresh)
        except (OSError, UsageError) as error:
            logger.warning("the refreshed login could not be written to %s: %s", self.file, error)
            return
        if not written:
            self._reload()  # the user has logged in meanwhile: that login is used from now on
            return
        self._used = token.access
        self._login = attrs.evolve(self._login, access=token.access, refresh=refresh)

    def _reload(self) -> None:
        try:
            current = read_config(self.file)
        except UsageError:
            return  # logged out, or written by another program: keep what was read before
        if not current.is_same_login(self._login):
            return
        if current.refresh != self._login.refresh and not current.as_client and current.refresh:
            self._remember(self._refresh_token)
            self._refresh_token = current.refresh
        if current.client_secret != self._secret:
            self._remember(self._secret)
        self._login, self._configured_url, self._secret = current, current.token_url, current.client_secret
        self.can_reauthenticate = current.has_secret

    def __repr__(self) -> str:
        return f"CfCliLogin({str(self.file)!r}, ****)"
