"""Whom the simulated BlueXP signs in, and which of its tokens it takes: as Auth0 and as a private agent."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs

import attrs

from bluexp_jobs.auth import ASSERTION_TYPE, AUDIENCE, assertion_audience
from common.simulator.messages import Request, Response, json_response
from common.simulator.tokens import Ledger, TokenDesk

if TYPE_CHECKING:
    from common.simulator.clock import Clock

Holder = Literal["service", "user"]
"""Who has a token: a service account, or somebody by name."""
PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----"


@attrs.frozen
class Refused(Exception):
    """A sign-in that is refused, in the words of Auth0."""

    status: int
    error: str
    description: str


class BlueXPTokenDesk(TokenDesk):
    """Issues tokens to whom it knows, and to everybody where it was told of nobody.

    ``users`` are passwords by user name. ``clients`` are the secrets of service accounts by client id, or
    their public keys in PEM form (which needs ``jobsource[jwt]``). ``refresh_tokens`` are those that are
    good; with ``rotate`` each is so once, and another comes with the reply. With ``strict`` a token that was
    not issued here is refused, and so is everybody who is not known.
    """

    def __init__(
        self,
        clock: Clock,
        lifetime: float,
        *,
        users: Mapping[str, str] | None = None,
        clients: Mapping[str, str] | None = None,
        refresh_tokens: Iterable[str] | None = None,
        rotate: bool = False,
        strict: bool = False,
        audience: str = AUDIENCE,
    ) -> None:
        super().__init__(clock, lifetime)
        self._now = clock.now
        self._strict = strict
        self._users = _known(users, strict)
        self._clients = _known(clients, strict)
        anybody = refresh_tokens is None and not strict
        self.refresh_tokens: set[str] | None = None if anybody else set(refresh_tokens or ())
        """The refresh tokens that are good now; None where all are."""
        self._rotate = rotate
        self._audience = audience
        self._issued = Ledger[Holder]("simulated-")
        self._assertions: dict[str, float] = {}
        """Until when each is good, by its ``jti``."""

    def answer(self, request: Request) -> Response:
        """Answer a token request, form-encoded or JSON."""
        fields = _fields(request)
        token = self._issued.next_name
        more: dict[str, str] = {}
        try:
            match fields.get("grant_type"):
                case "refresh_token":
                    more = self._refreshed(fields, token)
                case "client_credentials":
                    self._check_client(fields, request)
                case "password":
                    self._check_user(fields)
                case _:
                    return json_response(400, {"error": "unsupported_grant_type"})
        except Refused as refused:
            said = {"error": refused.error, "error_description": refused.description}
            return json_response(refused.status, said)
        holder: Holder = "service" if fields["grant_type"] == "client_credentials" else "user"
        self._issued.add(holder, now=self._now(), until=self._now() + self.lifetime)
        reply = {"access_token": token, "expires_in": int(self.lifetime), "token_type": "Bearer", **more}
        return json_response(200, reply)

    def accepts(self, authorization: str) -> bool:
        """Tell whether this ``Authorization`` header holds a bearer token that is good."""
        token = bearer(authorization)
        if token in self._expired:
            return False
        if self._issued.knows(token):
            return self._issued.get(token, self._now()) is not None
        return bool(token) and not self._strict

    def is_service(self, authorization: str) -> bool:
        """Tell whether the token in this header was issued to a service account."""
        return self._issued.get(bearer(authorization), self._now()) == "service"

    def revoke(self) -> None:
        """Let all access tokens expire now. Any thread may call it."""
        self._issued.end_all()

    def expire_all(self, *authorizations: str) -> None:
        """Let every token expire now that was issued, and those of these ``Authorization`` headers."""
        brought = set(filter(None, map(bearer, authorizations)))
        self._expired |= {token for token in brought if not self._issued.knows(token)}
        self._issued.suspend_all()

    def restore(self) -> None:
        """Take those again that `expire_all` let expire before their time."""
        super().restore()
        self._issued.restore()

    def _refreshed(self, fields: Mapping[str, str], token: str) -> dict[str, str]:
        self._check_audience(fields, needed=False)
        given = fields.get("refresh_token", "")
        if not given or (self.refresh_tokens is not None and given not in self.refresh_tokens):
            raise Refused(403, "invalid_grant", "Unknown or invalid refresh token.")
        if not self._rotate:
            return {}
        successor = f"{token}-refresh"
        if self.refresh_tokens is not None:
            self.refresh_tokens.remove(given)
            self.refresh_tokens.add(successor)
        return {"refresh_token": successor}

    def _check_user(self, fields: Mapping[str, str]) -> None:
        self._check_audience(fields, needed=False)
        password = fields.get("password")
        if self._users is not None and (
            not password or self._users.get(fields.get("username", "")) != password
        ):
            raise Refused(403, "invalid_grant", "Wrong email or password.")

    def _check_client(self, fields: Mapping[str, str], request: Request) -> None:
        if self._clients is None:
            return
        if "client_assertion" in fields:
            self._check_assertion(fields, request)
        else:
            secret = self._clients.get(fields.get("client_id", ""))
            if not secret or secret.startswith(PUBLIC_KEY) or fields.get("client_secret") != secret:
                raise Refused(401, "access_denied", "Unauthorized")
        self._check_audience(fields, needed=True)

    def _check_audience(self, fields: Mapping[str, str], *, needed: bool) -> None:
        audience = fields.get("audience")
        if audience != self._audience and (needed or audience is not None):
            raise Refused(403, "access_denied", f"Service not found: {audience}")

    def _check_assertion(self, fields: Mapping[str, str], request: Request) -> None:
        """Check a JWT signed by a client's key, as RFC 7523 (section 3) and Auth0 ask for it."""
        try:
            jwt = import_module("jwt")
        except ImportError:
            raise ImportError('checking a client\'s JWT needs PyJWT: pip install "jobsource[jwt]"') from None
        if fields.get("client_assertion_type") != ASSERTION_TYPE:
            raise Refused(400, "invalid_request", "Unknown client_assertion_type")
        assertion = fields["client_assertion"]
        try:
            client = jwt.decode(assertion, options={"verify_signature": False}).get("iss")
            key = (self._clients or {}).get(client, "")
            claims: dict[str, Any] = jwt.decode(
                assertion,
                key if key.startswith(PUBLIC_KEY) else "",
                algorithms=["RS256"],
                audience=assertion_audience(f"{request.origin}/oauth/token"),
                issuer=client,
                options={"require": ["iss", "sub", "aud", "exp", "jti"]},
            )
        except jwt.PyJWTError as error:
            raise Refused(401, "invalid_client", f"Invalid client assertion: {error}") from None
        now = time.time()  # PyJWT's own clock
        self._assertions = {jti: until for jti, until in self._assertions.items() if until > now}
        if claims["sub"] != client or claims["jti"] in self._assertions:
            raise Refused(
                401, "invalid_client", "Invalid client assertion: of another subject, or used before"
            )
        self._assertions[claims["jti"]] = float(claims["exp"])


def bearer(authorization: str) -> str:
    """The token in an ``Authorization`` header, empty where there is none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _known(given: Mapping[str, str] | None, strict: bool) -> dict[str, str] | None:
    return None if given is None and not strict else dict(given or {})


def _fields(request: Request) -> dict[str, str]:
    try:
        if "json" in request.headers.get("content-type", ""):
            said = request.json()
        else:
            said = {name: texts[-1] for name, texts in parse_qs(request.body.decode()).items()}
    except ValueError:
        return {}
    fields: dict[str, Any] = said if isinstance(said, dict) else {}
    return {name: value for name, value in fields.items() if isinstance(value, str)}
