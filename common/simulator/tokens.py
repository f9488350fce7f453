"""Which bearer tokens a simulator hands out and to whom, and which of them it still takes."""

from __future__ import annotations

import base64
import binascii
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote_plus

from common.simulator.messages import Request, Response, json_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.simulator.clock import Clock


import math
from typing import Generic, TypeVar

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
        self._access = Ledger[bool]("simulated-")
        self._refresh = Ledger[str]("simulated-refresh-")
        """Whose each is: a client's id."""
        self._expired: set[str] = set()
        self._spent: set[str] = set()
        """Tokens of others that were taken once, and are no more."""

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
        if self._access.knows(token):
            return self._access.get(token, self._clock.now()) is not None
        return not self.strict

    def revoke(self) -> None:
        """Refuse all access tokens issued so far; the refresh tokens stay good. Any thread may call it."""
        self._access.end_all()

    def expire_all(self, *authorizations: str) -> None:
        """Let every token expire now that was issued, and those of these ``Authorization`` headers."""
        brought = {text.partition(" ")[2].strip() for text in authorizations}
        self._expired |= {token for token in brought if token and not self._access.knows(token)}
        self._access.suspend_all()

    def restore(self) -> None:
        """Take those again that `expire_all` let expire before their time."""
        self._expired.clear()
        self._access.restore()

    def revoke_refresh(self) -> None:
        """Refuse all refresh tokens issued so far from now on."""
        self._refresh.end_all()

    def _client(self, request: Request, fields: Mapping[str, Any]) -> tuple[str, str]:
        """Who asks: by HTTP Basic, its parts form-encoded or as they are, or by two of the fields."""
        basic = basic_pair(request.headers.get("authorization", ""))
        if basic is None:
            return str(fields.get("client_id", "")), str(fields.get("client_secret", ""))
        known = (self.clients or {}).get(basic[0])
        return basic if known == basic[1] else (unquote_plus(basic[0]), unquote_plus(basic[1]))

    def _renew(self, refresh: Any, client: str) -> Response:
        if not isinstance(refresh, str) or not self._refresh.knows(refresh):
            if self.strict or refresh in self._spent:
                return refusal("invalid_token")
            if self.rotate and isinstance(refresh, str):
                self._spent.add(refresh)
            return self._issue(self._new_refresh(client))
        owner = self._refresh.get(refresh, self._clock.now())
        if owner is None:
            return refusal("invalid_token")
        if owner != client:
            return refusal("invalid_grant")
        if not self.rotate:
            return self._issue(refresh)
        self._refresh.end(refresh)
        return self._issue(self._new_refresh(client))

    def _new_refresh(self, client: str) -> str:
        now, life = self._clock.now(), self.refresh_lifetime
        return self._refresh.add(client, now=now, until=None if life is None else now + life)

    def _issue(self, refresh: str | None) -> Response:
        now = self._clock.now()
        token = self._access.add(True, now=now, until=now + self.lifetime)
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


_T = TypeVar("_T")


class Ledger(Generic[_T]):
    """Names such as ``simulated-7``, and what belongs to each until a moment of the clock.

    What is over is forgotten, so that a simulator may hand out tokens for years: of its own names it
    needs to know no more than how many there were.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0
        self._suspended = 0
        self._good: dict[str, tuple[float, _T]] = {}

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._good)

    @property
    def next_name(self) -> str:
        """What is handed out next is called so."""
        return f"{self._prefix}{self._count + 1}"

    def add(self, what: _T, *, now: float, until: float | None) -> str:
        """Hand something out that is good until then (None: for ever), and return its name."""
        good = self._good
        while good and now >= good[oldest := next(iter(good))][0]:
            good.pop(oldest, None)
        name = self.next_name
        self._count += 1
        self._good[name] = math.inf if until is None else until, what
        return name

    def get(self, name: str, now: float) -> _T | None:
        """What is good under this name now."""
        until, what = self._good.get(name, (-math.inf, None))
        return what if now < until and self._number(name) > self._suspended else None

    def knows(self, name: str) -> bool:
        """Tell whether this was handed out here, be it good or not."""
        return 1 <= self._number(name) <= self._count

    def _number(self, name: str) -> int:
        number = name.removeprefix(self._prefix)
        if not (number.isascii() and number.isdecimal() and len(number) < 20):
            return 0
        return int(number) if name == f"{self._prefix}{int(number)}" else 0

    def end(self, name: str) -> None:
        """This is good no more."""
        self._good.pop(name, None)

    def end_all(self) -> None:
        """Nothing that was handed out so far is good any more. Any thread may call it."""
        self._good = {}

    def suspend_all(self) -> None:
        """Nothing that was handed out so far is good until `restore`."""
        self._suspended = self._count

    def restore(self) -> None:
        """What was suspended is good again, for as long as it was to be."""
        self._suspended = 0
