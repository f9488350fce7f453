"""Sign in to Cloud Foundry's UAA with an assertion: a JWT of an identity provider that it trusts."""

from __future__ import annotations

from collections.abc import Awaitable

from cfjobs.auth.discovery import read_login_url
from cfjobs.auth.uaa import CF_CLIENT, UAA
from common.auth.client_credentials import read_text
from common.auth.credentials import REMEMBERED, TokenSource
from common.auth.oauth2 import CLIENT_ASSERTION_TYPE, TokenHttp, TokenRequest
from common.auth.rotation import OnRotate
from common.model.errors import UsageError
from common.model.tracebacks import without_frames
from common.set_module import set_module

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class UAAAssertion(UAA):
    """Sign in without a stored secret, by a JWT that UAA trusts: ``auth=UAAAssertion(id_token)``.

    ``assertion`` is the JWT, or an async function that returns a valid one: it is called for each sign-in,
    since an assertion lives for minutes. The assertion names a user (the JWT-bearer grant, ``cf auth
    --assertion``); after the first sign-in the refresh token is used, and an assertion again if that is
    refused. ``client_id`` and ``client_secret`` are those of the client that may use this grant.

    With ``as_client``, the assertion names the client ``client_id`` itself, in place of its secret (``cf auth
    --client-credentials --assertion``): each refresh is a sign-in. ``login_url`` is the login server or UAA;
    without it, the API is asked for it. ``on_rotate`` is called with each new refresh token. Raise
    `UsageError` for an argument that cannot be sent.

    From the UAA API reference, "JWT Bearer Token Grant" and "Client Credentials Grant" ("client_assertion"),
    RFC 7523, and the cf command's source (``api/uaa/auth.go``).
    """

    hint = (
        "the assertion has expired, or is from an identity provider that UAA does not trust for this client: "
        "use a new one, or a function that returns one for each sign-in"
    )

    @without_frames
    def __init__(
        self,
        assertion: str | TokenSource,
        *,
        client_id: str = CF_CLIENT,
        client_secret: str = "",
        as_client: bool = False,
        login_url: str | None = None,
        on_rotate: OnRotate | None = None,
    ) -> None:
        super().__init__(client_id, client_secret, token_url=read_login_url(login_url), on_rotate=on_rotate)
        if as_client and client_secret:
            raise UsageError("a client assertion takes the place of client_secret=: use one of them")
        if as_client and client_id == CF_CLIENT:
            raise UsageError("a client assertion needs client_id=, the client that it names")
        if not callable(assertion) and not isinstance(assertion, str):
            raise UsageError("UAAAssertion() takes a JWT as text, or an async function that returns one")
        self._assertion = assertion if callable(assertion) else _read(assertion)
        self._sent: tuple[str, ...] = () if callable(self._assertion) else (self._assertion,)
        self.as_client: bool = as_client
        self.keeps_refresh_token: bool = not as_client

    async def token_request(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        """As `UAA.token_request`. Raise `UsageError` where the function returns no assertion."""
        request = await super().token_request(http, refresh_token)
        if refresh_token is not None:
            return request
        assertion = await self._current()
        if not self.as_client:
            fields = {"grant_type": JWT_BEARER, "assertion": assertion}
            return TokenRequest(url=request.url, fields=fields, headers=request.headers)
        fields = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_assertion_type": CLIENT_ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        return TokenRequest(url=request.url, fields=fields)

    async def _current(self) -> str:
        if isinstance(self._assertion, str):
            return self._assertion
        pending = self._assertion()
        if not isinstance(pending, Awaitable):
            raise UsageError(
                "the function given to UAAAssertion() must be async: its result cannot be awaited"
            )
        assertion = _read(await pending)
        if assertion not in self._sent:
            self._sent = (*self._sent[-REMEMBERED:], assertion)
        return assertion

    def credential_secrets(self) -> tuple[str, ...]:
        """Return the assertions that were sent last, and the client's secret."""
        return (*self._sent, *super().credential_secrets())

    def __repr__(self) -> str:
        return f"UAAAssertion({self.client_id!r}, ****)"


def _read(assertion: object) -> str:
    return read_text("assertion", assertion.strip() if isinstance(assertion, str) else assertion)


set_module(UAAAssertion)
