"""Sign in to BlueXP: as a user with a refresh token or a password, as a service account, or at an agent.

The requests are from NetApp's "Grant types and identity verification", "Create user token" and "Create
service token" (docs.netapp.com, console-automation), and "Create a user token for NetApp Console local
deployment" (console-local-automation). All are sent as JSON, as they are there.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from bluexp_jobs.assertion import ClientKey, PrivateKey
from bluexp_jobs.provider import PUBLIC_HOSTS
from common.auth.client_credentials import read_text, read_token_url
from common.auth.oauth2 import CLIENT_ASSERTION_TYPE, TokenHttp, TokenRequest
from common.auth.rotation import OnRotate
from common.auth.token_auth import TokenAuth, TokenSigner
from common.model.errors import UsageError
from common.model.tracebacks import without_frames
from common.set_module import set_module

ISSUER_URL = "https://netapp-cloud-account.auth0.com/oauth/token"
"""The token endpoint for users and service accounts, except in private mode."""
AUDIENCE = "https://api.cloud.netapp.com"
"""The audience of a token for BlueXP."""
PUBLIC_CLIENT = "Mu0V1ywgYteI6w1MbD15fKfVIUrNXGWC"
"""The client id of users' refresh tokens: one constant for all customers, and no secret."""
USER_CLIENT = "QC3AgHk6qdbmC7Yyr82ApBwaaJLwRrNO"
"""The client id of users' passwords: another constant for all customers, and no secret."""
USER_REALM = "Username-Password-Authentication"
"""The directory of the users who are not federated."""
AGENT_LOGIN_PATH = "/oauth/token"
"""The token endpoint of an agent in private mode."""
TENANT_AUDIENCE = "https://netapp-cloud-account.auth0.com/"
"""The audience of an assertion: Auth0 requires its tenant's URL, with the slash at its end."""


class RefreshToken(TokenAuth):
    """A user's sign-in by a long-lived refresh token, from https://services.cloud.netapp.com/refresh-token.

    ``on_rotate``, which may be async, is called with a refresh token that replaces this one: store it,
    since the one before is no longer valid. ``client_id``, ``audience`` and ``token_url`` are the same for
    all customers. Raise `UsageError` for an argument that cannot be sent.
    """

    hint: str = (
        "the refresh token is wrong, revoked, replaced or expired: create a new one at "
        "https://services.cloud.netapp.com/refresh-token"
    )
    can_reauthenticate: bool = False

    @without_frames
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

    async def token_request(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        """Return a request with ``grant_type=refresh_token`` and the newest refresh token."""
        del http
        fields = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token or "",
            "client_id": self.client_id,
            "audience": self.audience,
        }
        return TokenRequest(url=self.token_url, fields=fields, as_json=True)

    def credential_secrets(self) -> tuple[str, ...]:
        """Return nothing: `TokenAuth` knows the refresh tokens."""
        return ()


class ServiceAccount(TokenAuth):
    """A service account's sign-in, with its secret or with a private key (RSA; needs ``jobsource[jwt]``).

    ``private_key`` is PEM text or bytes, or a file's path; ``key_id`` is its id at the issuer, if it has
    one. NetApp's reference of the job calls requires a user's token, which is `RefreshToken`; a guide
    allows both. In private mode, ``token_url`` is the agent's ``/oauth/token``, which accepts a secret
    only. Raise `UsageError` for an argument that cannot be sent, and for a key that cannot be read.
    """

    hint: str = "check the client id, and that its secret or key is the one registered and has not expired"
    keeps_refresh_token: bool = False

    @without_frames
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
            raise UsageError("ServiceAccount() needs exactly one of client_secret and private_key=")
        if key_id is not None and private_key is None:
            raise UsageError("key_id= is the id of a private key: set private_key= too")
        self.token_url: str = read_token_url(token_url)
        self.client_id: str = read_text("client_id", client_id)
        self.audience: str = read_text("audience", audience)
        self._secret = None if client_secret is None else read_text("client_secret", client_secret)
        key_id = None if key_id is None else read_text("key_id", key_id)
        self._key = None if private_key is None else ClientKey(private_key, key_id)
        self._assertions: tuple[str, ...] = ()

    async def token_request(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        """Return a request with ``grant_type=client_credentials``, and the secret or a new assertion."""
        del http, refresh_token
        fields = {"grant_type": "client_credentials", "audience": self.audience}
        if self._key is not None:
            assertion = self._key.assertion(self.client_id, assertion_audience(self.token_url))
            self._assertions = (*self._assertions[-1:], assertion)
            fields |= {"client_assertion_type": CLIENT_ASSERTION_TYPE, "client_assertion": assertion}
        else:
            fields |= {"client_id": self.client_id, "client_secret": self._secret or ""}
        return TokenRequest(url=self.token_url, fields=fields, as_json=True)

    def credential_secrets(self) -> tuple[str, ...]:
        """Return the secret, or the assertions that were sent last; the key itself is never sent."""
        return (self._secret or "", *self._assertions)

    def __repr__(self) -> str:
        return f"ServiceAccount({self.client_id!r}, ****)"


class UserPassword(TokenAuth):
    """A user's sign-in with user name (an email address) and password, for users who are not federated.

    `RefreshToken` is safer, since it sends no password, and is what federated users need. ``client_id``,
    ``realm``, ``audience`` and ``token_url`` are the same for all customers. At an agent in private mode, use
    `AgentPassword`. Raise `UsageError` for an argument that cannot be sent.
    """

    hint: str = (
        "check the user name (an email address) and the password; a federated user needs RefreshToken, and "
        "too many failures lock a user out"
    )
    keeps_refresh_token: bool = False

    @without_frames
    def __init__(
        self,
        user: str,
        password: str,
        *,
        client_id: str = USER_CLIENT,
        realm: str = USER_REALM,
        audience: str = AUDIENCE,
        token_url: str = ISSUER_URL,
    ) -> None:
        super().__init__()
        self.token_url: str = read_token_url(token_url)
        self.user: str = read_text("user", user)
        self._password = read_text("password", password)
        self.client_id: str = read_text("client_id", client_id)
        self.realm: str = read_text("realm", realm)
        self.audience: str = read_text("audience", audience)

    async def token_request(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        """Return a request with ``grant_type=password``; "Realm" is spelled as it is documented."""
        del http, refresh_token
        fields = {
            "grant_type": "password",
            "username": self.user,
            "password": self._password,
            "client_id": self.client_id,
            "Realm": self.realm,
            "audience": self.audience,
            "scope": "openid profile",
        }
        return TokenRequest(url=self.token_url, fields=fields, as_json=True)

    def credential_secrets(self) -> tuple[str, ...]:
        """Return the password."""
        return (self._password,)

    def __repr__(self) -> str:
        return f"UserPassword({self.user!r}, ****)"


class AgentPassword(TokenAuth):
    """A local user's sign-in at the agent itself, in private mode: ``endpoint=`` is the agent's address.

    An instance serves the first source that it is passed to, and others of the same endpoint. Raise
    `UsageError` for an argument that cannot be sent.
    """

    hint: str = "check the user name and the password of this agent's local user"
    keeps_refresh_token: bool = False

    @without_frames
    def __init__(self, user: str, password: str) -> None:
        super().__init__()
        self.user: str = read_text("user", user)
        self._password = read_text("password", password)
        self._endpoint: str | None = None

    async def token_request(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        """Return a request with ``grant_type=password`` for the source's own endpoint."""
        del refresh_token
        fields = {"grant_type": "password", "username": self.user, "password": self._password}
        return TokenRequest(url=http.endpoint + AGENT_LOGIN_PATH, fields=fields, as_json=True)

    def bind(self, http: TokenHttp) -> TokenSigner:
        """Return the sign-in as a `HeaderAuth`. Raise `UsageError` for a source of another endpoint."""
        # The token is that of one agent, and no other host may see it.
        if self._endpoint not in (None, http.endpoint):
            raise UsageError(
                f"this AgentPassword is for {self._endpoint}: create another one for {http.endpoint}"
            )
        self._endpoint = http.endpoint
        return super().bind(http)

    def credential_secrets(self) -> tuple[str, ...]:
        """Return the password."""
        return (self._password,)

    def __repr__(self) -> str:
        return f"AgentPassword({self.user!r}, ****)"


def assertion_audience(token_url: str) -> str:
    """Return the audience of an assertion for this token endpoint: its origin and a slash, as Auth0 requires.

    (Auth0, "Authenticate with Private Key JWT": "aud: the URL of the Auth0 tenant or custom domain".)
    """
    parts = urlsplit(token_url)  # NetApp's own hosts forward token requests to the tenant
    return TENANT_AUDIENCE if parts.hostname in PUBLIC_HOSTS else f"{parts.scheme}://{parts.netloc}/"


set_module(RefreshToken, ServiceAccount, UserPassword, AgentPassword)
