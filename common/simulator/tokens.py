"""Which bearer tokens a simulator hands out and to whom, and which of them it still takes."""

from __future__ import annotations

import base64
import binascii
from types import MappingProxyType
from typing import TYPE_CHECKING
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import unquote_plus

import attrs

from common.simulator.messages import Request
from common.simulator.messages import Response
from common.simulator.messages import json_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.simulator.clock import Clock

GRANTS = frozenset({"password", "refresh_token", "client_credentials"})

REFUSALS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "invalid_client": (401, "Bad client credentials"),
        "unauthorized": (401, "Bad credentials"),
        "invalid_token": (401, "Invalid refresh token: it has expired, was revoked, or was never issued"),
        "invalid_grant": (400, "Wrong client for this refresh token"),
    }
)
"""How UAA says no: its ``error``, with the status and an ``error_description``."""


@attrs.define
class _Refresh:
    """A refresh token that was issued: to which client, until when, and whether it is spent."""

    client: str
    expires: float | None
    spent: bool = False


class TokenDesk:
    """Issues tokens that live for ``lifetime`` seconds, and refuses its own once expired.

    By default anybody gets one, and a token that it did not issue is taken as good, so that tests may use
    any. ``users`` are passwords by user name, ``clients`` secrets by client id: where they are given, who
    asks must be among them, a client by HTTP Basic or in the fields. With ``strict``, tokens that were not
    issued here are refused, refresh tokens too. With ``rotate``, a refresh token can be spent once, and
    buys the next one; else it stays good, for ``refresh_lifetime`` seconds (None: for ever).
    """

    def __init__(
        self,
        clock: Clock,
        lifetime: float,
        *,
        users: Mapping[str, str] | None = None,
        clients: Mapping[str, str] | None = None,
        rotate: bool = False,
        refresh_lifetime: float | None = None,
        strict: bool = False,
    ) -> None:
        self.lifetime = lifetime
        self.users: dict[str, str] | None = None if users is None else dict(users)
        self.clients: dict[str, str] | None = None if clients is None else dict(clients)
        self.rotate = rotate
        self.refresh_lifetime = refresh_lifetime
        self.strict = strict
        self._clock = clock
        self._expiry: dict[str, float] = {}
        self._expired: set[str] = set()
        self._refresh: dict[str, _Refresh] = {}

    def answer(self, request: Request) -> Response:
        """Answer a token request, form-encoded or JSON."""
        fields = _parameters(request)
        grant = fields.get("grant_type")
        if grant not in GRANTS:
            return json_response(400, {"error": "unsupported_grant_type"})
        client, secret = self._client(request, fields)
        if self.clients is not None and (client not in self.clients or self.clients[client] != secret):
            return refusal("invalid_client")
        if grant == "client_credentials":
            return self._issue(None)
        if grant == "password":
            user, password = fields.get("username"), fields.get("password")
            if self.users is not None and (user not in self.users or self.users[user] != password):
                return refusal("unauthorized")
            return self._issue(self._new_refresh(client))
        return self._renew(fields.get("refresh_token"), client)

    def accepts(self, authorization: str) -> bool:
        """Tell whether this ``Authorization`` header holds a bearer token that is good here."""
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or token in self._expired:
            return False
        expiry = self._expiry.get(token)
        return not self.strict if expiry is None else self._clock.now() < expiry

    def revoke(self) -> None:
        """Refuse all access tokens issued so far; the refresh tokens stay good. Any thread may call it."""
        self._expiry = dict.fromkeys(self._expiry, float("-inf"))

    def expire_all(self, *authorizations: str) -> None:
        """Let every token expire now that was issued, and those of these ``Authorization`` headers."""
        brought = (text.partition(" ")[2].strip() for text in authorizations)
        self._expired.update(self._expiry, filter(None, brought))

    def restore(self) -> None:
        """Take those again that `expire_all` let expire before their time."""
        self._expired.clear()

    def revoke_refresh(self) -> None:
        """Refuse all refresh tokens issued so far from now on."""
        for issued in self._refresh.values():
            issued.spent = True

    def _client(self, request: Request, fields: Mapping[str, Any]) -> tuple[str, str]:
        """Who asks: by HTTP Basic, its parts form-encoded or as they are, or by two of the fields."""
        basic = basic_pair(request.headers.get("authorization", ""))
        if basic is None:
            return str(fields.get("client_id", "")), str(fields.get("client_secret", ""))
        known = (self.clients or {}).get(basic[0])
        return basic if known == basic[1] else (unquote_plus(basic[0]), unquote_plus(basic[1]))

    def _renew(self, refresh: Any, client: str) -> Response:
        issued = self._refresh.get(refresh) if isinstance(refresh, str) else None
        if issued is None:
            if self.strict:
                return refusal("invalid_token")
            if self.rotate and isinstance(refresh, str):
                self._refresh[refresh] = _Refresh(client, None, spent=True)
            return self._issue(self._new_refresh(client))
        expired = issued.expires is not None and self._clock.now() >= issued.expires
        if issued.spent or expired:
            return refusal("invalid_token")
        if issued.client != client:
            return refusal("invalid_grant")
        if not self.rotate:
            return self._issue(refresh)
        issued.spent = True
        return self._issue(self._new_refresh(client))

    def _new_refresh(self, client: str) -> str:
        token = f"simulated-refresh-{len(self._refresh) + 1}"
        life = self.refresh_lifetime
        self._refresh[token] = _Refresh(client, None if life is None else self._clock.now() + life)
        return token

    def _issue(self, refresh: str | None) -> Response:
        token = f"simulated-{len(self._expiry) + 1}"
        self._expiry[token] = self._clock.now() + self.lifetime
        reply = {"access_token": token, "token_type": "bearer", "expires_in": int(self.lifetime)}
        if refresh is not None:
            reply["refresh_token"] = refresh
        return json_response(200, reply)


def refusal(error: str) -> Response:
    """Return UAA's answer to a token request that it refuses."""
    status, description = REFUSALS[error]
    return json_response(status, {"error": error, "error_description": description})


def basic_pair(authorization: str) -> tuple[str, str] | None:
    """Return user and password of HTTP Basic; None for any other header."""
    scheme, _, coded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None


def _parameters(request: Request) -> dict[str, Any]:
    if "json" not in request.headers.get("content-type", ""):
        pairs = parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        return {name: texts[-1] for name, texts in pairs.items()}
    try:
        return dict(request.json())
    except (TypeError, ValueError):
        return {}
