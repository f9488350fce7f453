"""Signing in to BlueXP: as a user by a refresh token, as a service account, or with a password at an agent.

What is sent is from NetApp's "Grant types and identity verification", "Create user token" and "Create service
token" (docs.netapp.com, console-automation), and "Create a user token for NetApp Console local deployment"
(console-local-automation). All of it goes as JSON, as it does there.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from bluexp_jobs.assertion import ClientKey, PrivateKey
from common.auth.client_credentials import read_text, read_token_url
from common.auth.credentials import HeaderAuth
from common.auth.oauth2 import Token, TokenHttp, TokenRequest
from common.auth.token_auth import OnRotate, TokenAuth
from common.model.errors import UsageError

ISSUER_URL = "https://netapp-cloud-account.auth0.com/oauth/token"
"""The token endpoint of all that is not in private mode, for users and service accounts."""
AUDIENCE = "https://api.cloud.netapp.com"
"""What a token for BlueXP is asked for."""
PUBLIC_CLIENT = "Mu0V1ywgYteI6w1MbD15fKfVIUrNXGWC"
"""The client id of users' refresh tokens: one constant for all customers, and no secret."""
AGENT_LOGIN_PATH = "/oauth/token"
"""Where an agent in private mode signs its users in."""
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

TENANT = "https://netapp-cloud-account.auth0.com/"
"""Whom an assertion is made out to: Auth0 wants its tenant's URL, the slash at its end included."""
RELAYS = frozenset({"api.bluexp.netapp.com", "cloudmanager.cloud.netapp.com"})
"""Hosts of NetApp's that pass token requests on to the tenant."""


class RefreshToken(TokenAuth):
    """A user's sign-in by a long-lived refresh token, from https://services.cloud.netapp.com/refresh-token.

    ``on_rotate`` is told of a refresh token that replaces this one (it may be async): store it, for the one
    before is of no more use. ``client_id``, ``audience`` and ``token_url`` are the same for all customers.
    Raises `UsageError`.
    """

    hint: str = (
        "the refresh token is wrong, revoked, replaced or out of date: make a new one at "
        "https://services.cloud.netapp.com/refresh-token"
    )
    can_reauthenticate: bool = False

    def __init__(
        self,
        token: str,
        *,
        client_id: str = PUBLIC_CLIENT,
        audience: str = AUDIENCE,
        token_url: str = ISSUER_URL,
        on_rotate: OnRotate | None = None,
    ) -> None:
        super().__init__(refresh_token=read_text("token", token), on_rotate=on_rotate)
        self.token_url: str = read_token_url(token_url)
        self.client_id: str = read_text("client_id", client_id)
        self.audience: str = read_text("audience", audience)

    async def grant(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        """``grant_type=refresh_token``, with the newest one."""
        del http
        fields = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token or "",
            "client_id": self.client_id,
            "audience": self.audience,
        }
        return TokenRequest(url=self.token_url, fields=fields, as_json=True)

    def own_secrets(self) -> tuple[str, ...]:
        """None but the refresh tokens, which are known already."""
        return ()


class ServiceAccount(TokenAuth):
    """A service account's sign-in, by its secret or by a private key (RSA; needs ``jobsource[jwt]``).

    ``private_key`` is PEM text or bytes, or a file's path; ``key_id`` its id at the issuer, if it has one.
    The reference of the job calls names a user's token, which is `RefreshToken`; a guide allows both.
    In private mode, ``token_url`` is the agent's ``/oauth/token``, which takes a secret only. Raises
    `UsageError`.
    """

    hint: str = "check the client id, and that its secret or key is the one registered and has not expired"

    def __init__(
        self,
        client_id: str,
        client_secret: str | None = None,
        *,
        private_key: PrivateKey | None = None,
        key_id: str | None = None,
        audience: str = AUDIENCE,
        token_url: str = ISSUER_URL,
    ) -> None:
        super().__init__()
        if (client_secret is None) == (private_key is None):
            raise UsageError("ServiceAccount() takes client_secret or private_key=, and one of the two")
        if key_id is not None and private_key is None:
            raise UsageError("key_id= names a private key: pass private_key= beside it")
        self.token_url: str = read_token_url(token_url)
        self.client_id: str = read_text("client_id", client_id)
        self.audience: str = read_text("audience", audience)
        self._secret = None if client_secret is None else read_text("client_secret", client_secret)
        key_id = None if key_id is None else read_text("key_id", key_id)
        self._key = None if private_key is None else ClientKey(private_key, key_id)
        self._assertions: tuple[str, ...] = ()

    async def grant(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        """``grant_type=client_credentials``, with the secret or an assertion made for this request."""
        del http, refresh_token
        fields = {"grant_type": "client_credentials", "audience": self.audience}
        if self._key is not None:
            assertion = self._key.assertion(self.client_id, assertion_audience(self.token_url))
            self._assertions = (*self._assertions[-1:], assertion)
            fields |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        else:
            fields |= {"client_id": self.client_id, "client_secret": self._secret or ""}
        return TokenRequest(url=self.token_url, fields=fields, as_json=True)

    async def on_token(self, token: Token) -> None:
        """A refresh token is not kept: the account signs in as before."""

    def own_secrets(self) -> tuple[str, ...]:
        """The secret, or the assertions last sent; the key itself goes nowhere."""
        return (self._secret or "", *self._assertions)

    def __repr__(self) -> str:
        return f"ServiceAccount({self.client_id!r}, ****)"


class AgentPassword(TokenAuth):
    """A local user's sign-in at the agent itself, in private mode: ``endpoint=`` is the agent's address.

    Belongs to the first source that it is given to, and to others of the same endpoint. Raises `UsageError`.
    """

    hint: str = "check the user name and the password of this agent's local user"

    def __init__(self, user: str, password: str) -> None:
        super().__init__()
        self.user: str = read_text("user", user)
        self._password = read_text("password", password)
        self._endpoint: str | None = None

    async def grant(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        """``grant_type=password`` at the source's own endpoint."""
        del refresh_token
        fields = {"grant_type": "password", "username": self.user, "password": self._password}
        return TokenRequest(url=http.endpoint + AGENT_LOGIN_PATH, fields=fields, as_json=True)

    async def on_token(self, token: Token) -> None:
        """A refresh token is not kept: the user signs in as before."""

    def bind(self, http: TokenHttp) -> HeaderAuth:
        """The sign-in over a source's connections. Raises `UsageError` for a source of another endpoint."""
        # Its token is the agent's own, and nothing that another host should see.
        if self._endpoint not in (None, http.endpoint):
            raise UsageError(
                f"this AgentPassword is for {self._endpoint}: make another one for {http.endpoint}"
            )
        self._endpoint = http.endpoint
        return super().bind(http)

    def own_secrets(self) -> tuple[str, ...]:
        """The password."""
        return (self._password,)

    def __repr__(self) -> str:
        return f"AgentPassword({self.user!r}, ****)"


def assertion_audience(token_url: str) -> str:
    """Whom an assertion for this token endpoint is made out to: its origin and a slash, as Auth0 asks.

    (Auth0, "Authenticate with Private Key JWT": "aud: the URL of the Auth0 tenant or custom domain".)
    """
    parts = urlsplit(token_url)
    return TENANT if parts.hostname in RELAYS else f"{parts.scheme}://{parts.netloc}/"
