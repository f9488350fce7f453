"""Issue the bearer tokens of a simulator, and decide which of them it accepts."""

from __future__ import annotations

import abc
import base64
import binascii
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import parse_qs, unquote_plus

import attrs

from common.simulator.messages import Request, Response, json_response
from common.simulator.token_store import TokenStore

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from common.simulator.clock import Clock

CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

Fields = dict[str, str]
"""The fields of a token request."""
Holder = Literal["service", "user"]
"""Who has a token: a service account (``client_credentials``), or a user."""


@attrs.frozen
class TokenRefused(Exception):
    """A token request that is refused: status, ``error`` and ``error_description`` of the reply."""

    status: int
    error: str
    description: str


class TokenIssuer(abc.ABC):
    """Issues tokens that are valid for ``lifetime`` seconds, and refuses its own once they have expired.

    ``users`` are passwords by user name, ``clients`` secrets by client id; None: anybody gets a token. With
    ``rotate``, a refresh token can be used once, and the response has the next one. With ``strict``, tokens
    that were not issued here are refused; else they are accepted, so that tests may use any. A subclass
    decides who gets a token, and how it refuses.
    """

    scheme: ClassVar[str] = "bearer"

    def __init__(
        self,
        clock: Clock,
        lifetime: float,
        *,
        users: Mapping[str, str] | None = None,
        clients: Mapping[str, str] | None = None,
        rotate: bool = False,
        strict: bool = False,
    ) -> None:
        self.lifetime = lifetime
        self.users: dict[str, str] | None = None if users is None else dict(users)
        self.clients: dict[str, str] | None = None if clients is None else dict(clients)
        self.rotate = rotate
        self.strict = strict
        self._clock = clock
        self._access = TokenStore[Holder]("simulated-")
        self._expired: set[str] = set()
        """Tokens from elsewhere that `expire_all` made expire."""

    def answer(self, request: Request) -> Response:
        """Return the reply to a token request, form-encoded or JSON."""
        fields = _parameters(request)
        try:
            match grant := fields.get("grant_type"):
                case "password":
                    refresh = self._grant_password(fields, request)
                case "refresh_token":
                    refresh = self._grant_refresh(fields, request)
                case "urn:ietf:params:oauth:grant-type:jwt-bearer":
                    refresh = self._grant_assertion(fields, request)
                case "client_credentials":
                    self._grant_client_credentials(fields, request)
                    refresh = None
                case _:
                    return json_response(400, {"error": "unsupported_grant_type"})
        except TokenRefused as refused:
            data = {"error": refused.error, "error_description": refused.description}
            return json_response(refused.status, data)
        holder: Holder = "service" if grant == "client_credentials" else "user"
        now = self._clock.now()
        token = self._access.add(holder, now=now, until=now + self.lifetime)
        reply = {"access_token": token, "token_type": self.scheme, "expires_in": int(self.lifetime)}
        return json_response(200, reply if refresh is None else {**reply, "refresh_token": refresh})

    @abc.abstractmethod
    def _grant_password(self, fields: Fields, request: Request) -> str | None:
        """Return the refresh token for a user (None for none). Raise `TokenRefused`."""

    @abc.abstractmethod
    def _grant_refresh(self, fields: Fields, request: Request) -> str | None:
        """Return the refresh token for the bearer of one (None for none). Raise `TokenRefused`."""

    def _grant_assertion(self, fields: Fields, request: Request) -> str | None:
        """Return the refresh token for the user of an assertion (None for none). Raise `TokenRefused`."""
        raise TokenRefused(400, "unsupported_grant_type", "Unsupported grant type")

    @abc.abstractmethod
    def _grant_client_credentials(self, fields: Fields, request: Request) -> None:
        """Raise `TokenRefused` unless the client may have a token."""

    def accepts(self, authorization: str) -> bool:
        """Whether this ``Authorization`` header holds a bearer token that is good here."""
        token = bearer(authorization)
        if not token or token in self._expired:
            return False
        if self._access.knows(token):
            return self._access.get(token, self._clock.now()) is not None
        return not self.strict

    def is_service(self, authorization: str) -> bool:
        """Whether the token in this header was issued to a service account, and is good."""
        return self._access.get(bearer(authorization), self._clock.now()) == "service"

    def revoke(self) -> None:
        """Refuse all access tokens issued so far; the refresh tokens stay good. Any thread may call it."""
        self._access.end_all()

    def expire_all(self, *authorizations: str) -> None:
        """Let every access token issued so far expire now, and those in these ``Authorization`` headers."""
        tokens = {bearer(text) for text in authorizations}
        self._expired |= {token for token in tokens if token and not self._access.knows(token)}
        self._access.suspend_all()

    def restore(self) -> None:
        """Accept again, for the rest of their lifetime, the tokens that `expire_all` made expire."""
        self._expired.clear()
        self._access.restore()


REFUSALS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "invalid_client": (401, "Bad client credentials"),
        "unauthorized": (401, "Bad credentials"),
        "invalid_token": (401, "Invalid refresh token: it has expired, was revoked, or was never issued"),
        "invalid_grant": (400, "Wrong client for this refresh token"),
    }
)
"""How UAA refuses: its ``error``, with the status and an ``error_description``."""


class UAATokenIssuer(TokenIssuer):
    """Issues tokens as UAA does, Cloud Foundry's identity provider.

    A client names itself by HTTP Basic or in the fields, and must be among ``clients`` where they are given.
    ``assertions`` are the JWTs that are trusted, of users and in place of a client's secret, and
    ``passcodes`` the codes of users that are still good; None: any. Each passcode is good once. With
    ``strict``, refresh tokens that were not issued here are refused too. Without ``rotate``, a refresh token
    stays good for ``refresh_lifetime`` seconds (None: for ever).
    """

    def __init__(
        self,
        clock: Clock,
        lifetime: float,
        *,
        users: Mapping[str, str] | None = None,
        clients: Mapping[str, str] | None = None,
        assertions: Collection[str] | None = None,
        passcodes: Collection[str] | None = None,
        rotate: bool = False,
        refresh_lifetime: float | None = None,
        strict: bool = False,
    ) -> None:
        super().__init__(clock, lifetime, users=users, clients=clients, rotate=rotate, strict=strict)
        self.assertions: set[str] | None = None if assertions is None else set(assertions)
        self.passcodes: set[str] | None = None if passcodes is None else set(passcodes)
        self.refresh_lifetime = refresh_lifetime
        self._used_passcodes: set[str] = set()
        self._refresh = TokenStore[str]("simulated-refresh-")
        """The id of the client that each was issued to."""
        self._spent: set[str] = set()
        """Refresh tokens from elsewhere that were accepted once, and are not again."""

    def revoke_refresh(self) -> None:
        """Refuse all refresh tokens issued so far from now on."""
        self._refresh.end_all()

    def _grant_password(self, fields: Fields, request: Request) -> str:
        client = self._client(fields, request)
        if "passcode" in fields:
            self._use_passcode(fields["passcode"])
            return self._new_refresh(client)
        user, password = fields.get("username"), fields.get("password")
        if self.users is not None and (user not in self.users or self.users[user] != password):
            raise _refused("unauthorized")
        return self._new_refresh(client)

    def _grant_refresh(self, fields: Fields, request: Request) -> str:
        client, refresh = self._client(fields, request), fields.get("refresh_token")
        if refresh is None or not self._refresh.knows(refresh):
            if self.strict or refresh in self._spent:
                raise _refused("invalid_token")
            if self.rotate and refresh is not None:
                self._spent.add(refresh)
            return self._new_refresh(client)
        owner = self._refresh.get(refresh, self._clock.now())
        if owner is None:
            raise _refused("invalid_token")
        if owner != client:
            raise _refused("invalid_grant")
        if not self.rotate:
            return refresh
        self._refresh.end(refresh)
        return self._new_refresh(client)

    def _grant_assertion(self, fields: Fields, request: Request) -> str:
        client = self._client(fields, request)
        self._check_assertion(fields.get("assertion"), "invalid_token")
        return self._new_refresh(client)

    def _grant_client_credentials(self, fields: Fields, request: Request) -> None:
        self._client(fields, request)

    def _use_passcode(self, passcode: str) -> None:
        known = self.passcodes is None or passcode in self.passcodes
        if not known or passcode in self._used_passcodes:
            raise TokenRefused(401, "unauthorized", "Invalid passcode")
        self._used_passcodes.add(passcode)

    def _check_assertion(self, assertion: str | None, error: str) -> None:
        if not assertion or (self.assertions is not None and assertion not in self.assertions):
            raise TokenRefused(401, error, "The assertion is not trusted, or has expired")

    def _client(self, fields: Fields, request: Request) -> str:
        """Return the id of the client. Raise `TokenRefused` where it is not among the clients."""
        client, secret = self._client_and_secret(fields, request)
        if "client_assertion" in fields:
            self._check_assertion(fields["client_assertion"], "invalid_client")
            if fields.get("client_assertion_type") != CLIENT_ASSERTION:
                raise TokenRefused(400, "invalid_request", "Unknown client_assertion_type")
            if self.clients is not None and client not in self.clients:
                raise _refused("invalid_client")
            return client
        if self.clients is not None and (client not in self.clients or self.clients[client] != secret):
            raise _refused("invalid_client")
        return client

    def _client_and_secret(self, fields: Fields, request: Request) -> tuple[str, str]:
        """Return what HTTP Basic says, its parts form-encoded or as they are, or else two of the fields."""
        basic = basic_pair(request.headers.get("authorization", ""))
        if basic is None:
            return fields.get("client_id", ""), fields.get("client_secret", "")
        known = (self.clients or {}).get(basic[0])
        return basic if known == basic[1] else (unquote_plus(basic[0]), unquote_plus(basic[1]))

    def _new_refresh(self, client: str) -> str:
        now, lifetime = self._clock.now(), self.refresh_lifetime
        return self._refresh.add(client, now=now, until=None if lifetime is None else now + lifetime)


TokenDesk = UAATokenIssuer
"""The former name of `UAATokenIssuer`."""


def _refused(error: str) -> TokenRefused:
    status, description = REFUSALS[error]
    return TokenRefused(status, error, description)


def bearer(authorization: str) -> str:
    """Return the bearer token in an ``Authorization`` header; empty where there is none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def basic_pair(authorization: str) -> tuple[str, str] | None:
    """Return user and password of HTTP Basic; None for any other header."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None


def _parameters(request: Request) -> Fields:
    """Return the fields of a token request that are text; none where its body cannot be read."""
    if "json" not in request.headers.get("content-type", ""):
        pairs = parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        return {name: texts[-1] for name, texts in pairs.items()}
    try:
        return {name: value for name, value in dict(request.json()).items() if isinstance(value, str)}
    except (TypeError, ValueError):
        return {}
