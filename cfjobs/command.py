"""Going on with the ``cf`` command's login: its tokens as they are, renewed when they must be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from cfjobs.auth import UAA
from cfjobs.config import CLIENT_CREDENTIALS
from cfjobs.config import CommandConfig
from cfjobs.config import read_config
from cfjobs.config import seconds_left
from cfjobs.config import write_tokens
from cfjobs.discovery import refuse
from common.errors import UsageError
from common.events import logger
from common.grants import Grant
from common.grants import SignIn
from common.grants import Token
from common.tokens import AHEAD


class CommandLogin(UAA):
    """The login in a ``config.json``, which is looked at again before each renewal.

    What the command has renewed in the meantime is used. With ``write``, what is renewed here is written
    back.
    """

    remedy = "log in again with the cf command (cf login)"

    def __init__(self, file: Path, login: CommandConfig, *, write: bool) -> None:
        super().__init__(
            login.client_id,
            login.client_secret,
            token_url=login.token_url,
            refresh_token=None if login.as_client else login.refresh or None,
        )
        self.file: Path = file
        self.anew: bool = login.as_client
        self._login = login
        self._write = write
        self._used = ""

    async def at_hand(self) -> Token | None:
        """The access token in the file, unless it was used before or ends within a minute."""
        self._look()
        access, left = self._login.access, seconds_left(self._login.access)
        renewable = self.anew or self._refresh_token is not None
        worn = left is not None and left <= (AHEAD if renewable else 0.0)
        if not access or access == self._used or worn:
            return None
        self._used = access
        return Token(access, left)

    async def grant(self, desk: SignIn, refresh_token: str | None) -> Grant:
        """As `UAA.grant`. Raises `AuthenticationError` where the login holds nothing to renew it with."""
        if refresh_token is None and not self.anew:
            refuse(f"the login in {self.file} has expired, and holds no refresh token: {self.remedy}")
        return await super().grant(desk, refresh_token)

    def fields(self) -> Mapping[str, str]:
        """The client-credentials grant: the file never holds a password."""
        return {"grant_type": CLIENT_CREDENTIALS}

    async def renewed(self, token: Token) -> None:
        """Keep the new refresh token, and write both back where that is wanted."""
        if not self.anew:
            await super().renewed(token)
        if not self._write:
            return
        refresh = self._refresh_token or self._login.refresh
        try:
            written = write_tokens(self.file, login=self._login, access=token.access, refresh=refresh)
        except (OSError, UsageError) as error:
            logger.warning("the renewed login was not written to %s: %s", self.file, error)
            return
        if not written:
            self._look()  # somebody logged in meanwhile: that login is gone on with
            return
        self._used = token.access
        self._login = attrs.evolve(self._login, access=token.access, refresh=refresh)

    def _look(self) -> None:
        try:
            there = read_config(self.file)
        except UsageError:
            return  # logged out, or written by something else: what was read before still holds
        if not there.is_of(self._login):
            return
        if there.refresh != self._login.refresh and not self.anew and there.refresh:
            self._remember(self._refresh_token)
            self._refresh_token = there.refresh
        if there.client_secret != self._secret:
            self._remember(self._secret)
        self._login, self._given, self._secret = there, there.token_url, there.client_secret

    def __repr__(self) -> str:
        return f"CommandLogin({str(self.file)!r}, ****)"
