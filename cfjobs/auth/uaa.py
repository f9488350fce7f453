"""Sign in to Cloud Foundry's UAA: with a password or passcode, as a client, or with a refresh token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote_plus

from cfjobs.auth.discovery import find_token_url, read_login_url, refuse_sign_in
from common.auth.client_credentials import client_basic, read_text, secret_forms
from common.auth.oauth2 import Token, TokenHttp, TokenRequest
from common.auth.rotation import OnRotate
from common.auth.token_auth import TokenAuth
from common.model.errors import UsageError
from common.model.tracebacks import without_frames
from common.set_module import set_module

CF_CLIENT = "cf"
"""The client that every UAA has for the ``cf`` command; its secret is empty."""
ENCODED = {"X-CF-ENCODED-CREDENTIALS": "true"}
"""Tells UAA that both parts of HTTP Basic are form-encoded, as RFC 6749 requires: by default it reads them
literally (UAA API reference, "Token", since 74.1)."""


class UAA(TokenAuth):
    """Base class of all sign-ins to a UAA: its token endpoint, and the OAuth client.

    Without ``token_url``, the token endpoint is discovered by asking the API, once. Such a sign-in serves
    only sources of one endpoint, so that no foundation receives the token of another.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        token_url: str | None,
        refresh_token: str | None = None,
        on_rotate: OnRotate | None = None,
    ) -> None:
        super().__init__(refresh_token=refresh_token, on_rotate=on_rotate)
        self.client_id: str = read_text("client_id", client_id)
        self._secret = client_secret if client_secret == "" else read_text("client_secret", client_secret)
        self._configured_url = token_url
        self._discovered_url: str | None = None
        self._endpoint: str | None = None

    @property
    def token_url(self) -> str | None:
        """The token endpoint, None where the API is asked for it."""
        return self._configured_url

    async def token(self, http: TokenHttp, *, refused: str | None = None) -> str:
        """As `TokenAuth.token`. Raise `UsageError` for a source of another foundation."""
        self._check_endpoint(http)
        token = await super().token(http, refused=refused)
        self._check_endpoint(http)  # of two sources that began at once, the other may have been first
        return token

    async def token_request(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        """Return ``POST {login}/oauth/token``, form-encoded, with the client in HTTP Basic."""
        url = self._configured_url or self._discovered_url
        if url is None:
            url = self._discovered_url = await find_token_url(http)
        if self._endpoint is None:
            self._endpoint = http.endpoint
        fields = self.fields()
        if refresh_token is not None:
            fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        headers = {**client_basic(self.client_id, self._secret), **ENCODED}
        return TokenRequest(url=url, fields=fields, headers=headers)

    def fields(self) -> Mapping[str, str]:
        """Return the form fields of a sign-in without a refresh token; empty where there is no such grant."""
        return {}

    def invalidate(self, http: TokenHttp) -> None:
        """Discover the token endpoint again at the next sign-in."""
        self._discovered_url = None

    def credential_secrets(self) -> tuple[str, ...]:
        """Return the client's secret, plain and in each form that is sent."""
        return secret_forms(self.client_id, self._secret)

    def _check_endpoint(self, http: TokenHttp) -> None:
        if self._configured_url is None and self._endpoint not in (None, http.endpoint):
            raise UsageError(
                f"this {type(self).__name__} is for {self._endpoint}, not for {http.endpoint}: "
                "create another one, or set login_url= if both have the same UAA"
            )


class UAAPassword(UAA):
    """Sign in as a user: ``CFJobs(endpoint, auth=UAAPassword("user", password))``.

    ``origin`` is the identity provider that the user belongs to, such as ``"ldap"``. ``login_url`` is the
    login server or UAA; without it, the API is asked for it. After the first sign-in the refresh token is
    used, and the password again if that is refused. ``on_rotate`` is called with each new refresh token.
    Raise `UsageError` for an argument that cannot be sent.

    From the UAA API reference, "Password Grant"; ``origin`` becomes its ``login_hint``.
    """

    hint = (
        "check the user name and the password, and origin= for a user of LDAP or SAML (UAA locks a user out "
        "for some minutes after a few failures)"
    )

    @without_frames
    def __init__(
        self,
        user: str,
        password: str,
        *,
        origin: str | None = None,
        client_id: str = CF_CLIENT,
        client_secret: str = "",
        login_url: str | None = None,
        on_rotate: OnRotate | None = None,
    ) -> None:
        super().__init__(client_id, client_secret, token_url=read_login_url(login_url), on_rotate=on_rotate)
        self.user: str = read_text("user", user)
        self._password = read_text("password", password)
        self.origin: str | None = None if origin is None else read_text("origin", origin)

    def fields(self) -> Mapping[str, str]:
        """Return the fields of the password grant."""
        fields = {"grant_type": "password", "username": self.user, "password": self._password}
        if self.origin is not None:
            fields["login_hint"] = json.dumps({"origin": self.origin}, separators=(",", ":"))
        return fields

    def credential_secrets(self) -> tuple[str, ...]:
        """Return the password and the client's secret, plain and in each form that is sent."""
        return (self._password, quote_plus(self._password), *super().credential_secrets())

    def __repr__(self) -> str:
        return f"UAAPassword({self.user!r}, ****)"


class UAAPasscode(UAA):
    """Sign in as a user of single sign-on, with a one-time passcode: ``auth=UAAPasscode(code)``.

    A person gets the code at ``{login server}/passcode`` (``cf login --sso``). It is sent once; from then on
    the refresh token is used, which ``on_rotate`` is called with: keep it for `UAARefreshToken`, since a
    spent code signs nobody in. ``login_url`` is the login server or UAA; without it, the API is asked for it.
    Raise `UsageError` for an argument that cannot be sent.

    From the UAA API reference, "Password Grant" ("one-time passcode").
    """

    hint = "a passcode is good once and for some minutes: get a new one at {login server}/passcode"
    can_reauthenticate = False

    @without_frames
    def __init__(
        self,
        passcode: str,
        *,
        client_id: str = CF_CLIENT,
        client_secret: str = "",
        login_url: str | None = None,
        on_rotate: OnRotate | None = None,
    ) -> None:
        super().__init__(client_id, client_secret, token_url=read_login_url(login_url), on_rotate=on_rotate)
        self._passcode = read_text("passcode", passcode.strip() if isinstance(passcode, str) else passcode)
        self._spent = False

    async def token_request(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        """As `UAA.token_request`. Raise `AuthenticationError` for a spent code without a refresh token."""
        if refresh_token is None and self._spent:
            refuse_sign_in(f"the passcode is spent, and there is no refresh token: {self.hint}")
        return await super().token_request(http, refresh_token)

    def fields(self) -> Mapping[str, str]:
        """Return the fields of the password grant, with the passcode in place of user and password."""
        return {"grant_type": "password", "passcode": self._passcode}

    def on_token(self, token: Token) -> None:
        """The code has been used."""
        self._spent = True

    def credential_secrets(self) -> tuple[str, ...]:
        """Return the passcode and the client's secret, plain and in each form that is sent."""
        return (self._passcode, quote_plus(self._passcode), *super().credential_secrets())

    def __repr__(self) -> str:
        return "UAAPasscode(****)"


class UAAClientCredentials(UAA):
    """Sign in as a client of UAA, for a service: ``auth=UAAClientCredentials("client-id", secret)``.

    ``login_url`` is the login server or UAA; without it, the API is asked for it. There is no refresh
    token: each refresh is a sign-in. Raise `UsageError` for an argument that cannot be sent.

    From the UAA API reference, "Client Credentials Grant".
    """

    hint = "check the client id and its secret, and that UAA allows this client the grant client_credentials"
    keeps_refresh_token = False

    @without_frames
    def __init__(self, client_id: str, client_secret: str, *, login_url: str | None = None) -> None:
        super().__init__(client_id, client_secret, token_url=read_login_url(login_url))

    def fields(self) -> Mapping[str, str]:
        """Return the fields of the client-credentials grant."""
        return {"grant_type": "client_credentials"}

    def __repr__(self) -> str:
        return f"UAAClientCredentials({self.client_id!r}, ****)"


class UAARefreshToken(UAA):
    """Sign in with an existing refresh token: ``auth=UAARefreshToken(token)``.

    ``client_id`` and ``client_secret`` are those of the client that it was issued to. ``on_rotate``, which
    may be async, is called with each refresh token that replaces this one: store it, since where UAA
    rotates them the old one is no longer valid. ``login_url`` is the login server or UAA; without it, the
    API is asked for it. Raise `UsageError` for an argument that cannot be sent.

    From the UAA API reference, "Refresh Token".
    """

    hint = "the refresh token has expired, was revoked, or is another client's: sign in again for a new one"
    can_reauthenticate = False

    @without_frames
    def __init__(
        self,
        token: str,
        *,
        client_id: str = CF_CLIENT,
        client_secret: str = "",
        login_url: str | None = None,
        on_rotate: OnRotate | None = None,
    ) -> None:
        super().__init__(
            client_id,
            client_secret,
            token_url=read_login_url(login_url),
            refresh_token=read_text("token", token.strip() if isinstance(token, str) else token),
            on_rotate=on_rotate,
        )

    def __repr__(self) -> str:
        return "UAARefreshToken(****)"


set_module(UAAPassword, UAAPasscode, UAAClientCredentials, UAARefreshToken)
