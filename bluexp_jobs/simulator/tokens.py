"""Whom the simulated BlueXP signs in, and which of its tokens it accepts: as Auth0 and a private agent do."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from bluexp_jobs.auth import AUDIENCE, assertion_audience
from common.auth.oauth2 import CLIENT_ASSERTION_TYPE
from common.model.distribution import install_hint
from common.simulator.messages import Request
from common.simulator.tokens import Fields, TokenIssuer, TokenRefused

if TYPE_CHECKING:
    from common.simulator.clock import Clock

PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----"


class BlueXPTokenDesk(TokenIssuer):
    """Issues tokens to the users, service accounts and refresh tokens that it is given.

    ``users`` are passwords by user name. ``clients`` are the secrets of service accounts by client id, or
    their public keys in PEM form (which needs ``jobsource[jwt]``). ``refresh_tokens`` are those that are
    good; with ``rotate``, each can be used once, and the response has the next one. Where one of these is
    None, anybody gets a token in that way; with ``strict``, nobody does, and tokens that were not issued here
    are refused.
    """

    scheme: ClassVar[str] = "Bearer"

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
        if strict:
            users, clients, refresh_tokens = users or {}, clients or {}, refresh_tokens or ()
        super().__init__(clock, lifetime, users=users, clients=clients, rotate=rotate, strict=strict)
        self.refresh_tokens: set[str] | None = None if refresh_tokens is None else set(refresh_tokens)
        """The refresh tokens that are good now; None where all are."""
        self._audience = audience
        self._assertions: dict[str, float] = {}
        """The expiry of each assertion used so far, by its ``jti``."""

    def _grant_refresh(self, fields: Fields, request: Request) -> str | None:
        self._check_audience(fields, needed=False)
        refresh = fields.get("refresh_token", "")
        if not refresh or (self.refresh_tokens is not None and refresh not in self.refresh_tokens):
            raise TokenRefused(403, "invalid_grant", "Unknown or invalid refresh token.")
        if not self.rotate:
            return None
        successor = f"{self._access.next_name}-refresh"
        if self.refresh_tokens is not None:
            self.refresh_tokens.remove(refresh)
            self.refresh_tokens.add(successor)
        return successor

    def _grant_password(self, fields: Fields, request: Request) -> None:
        self._check_audience(fields, needed=False)
        password = fields.get("password")
        if self.users is not None and (
            not password or self.users.get(fields.get("username", "")) != password
        ):
            raise TokenRefused(403, "invalid_grant", "Wrong email or password.")

    def _grant_client_credentials(self, fields: Fields, request: Request) -> None:
        if self.clients is None:
            return
        if fields.get("client_assertion"):
            self._check_assertion(self.clients, fields, request)
        else:
            secret = self.clients.get(fields.get("client_id", ""))
            if not secret or secret.startswith(PUBLIC_KEY) or fields.get("client_secret") != secret:
                raise TokenRefused(401, "access_denied", "Unauthorized")
        self._check_audience(fields, needed=True)

    def _check_audience(self, fields: Fields, *, needed: bool) -> None:
        audience = fields.get("audience") or None
        if audience != self._audience and (needed or audience is not None):
            raise TokenRefused(403, "access_denied", f"Service not found: {audience}")

    def _check_assertion(self, clients: Mapping[str, str], fields: Fields, request: Request) -> None:
        """Check a JWT signed by a client's key, as RFC 7523 (section 3) and Auth0 ask for it."""
        try:
            jwt = import_module("jwt")
        except ImportError:
            raise ImportError(f"checking a client's JWT needs PyJWT: {install_hint('jwt')}") from None
        if fields.get("client_assertion_type") != CLIENT_ASSERTION_TYPE:
            raise TokenRefused(400, "invalid_request", "Unknown client_assertion_type")
        assertion = fields["client_assertion"]
        try:
            client = jwt.decode(assertion, options={"verify_signature": False}).get("iss")
            key = clients.get(client, "")
            claims: dict[str, Any] = jwt.decode(
                assertion,
                key if key.startswith(PUBLIC_KEY) else "",
                algorithms=["RS256"],
                audience=assertion_audience(f"{request.origin}/oauth/token"),
                issuer=client,
                options={"require": ["iss", "sub", "aud", "exp", "jti"]},
            )
        except jwt.PyJWTError as error:
            raise TokenRefused(401, "invalid_client", f"Invalid client assertion: {error}") from None
        now = time.time()  # PyJWT's own clock
        self._assertions = {jti: until for jti, until in self._assertions.items() if until > now}
        if claims["sub"] != client or claims["jti"] in self._assertions:
            raise TokenRefused(
                401, "invalid_client", "Invalid client assertion: of another subject, or used before"
            )
        self._assertions[claims["jti"]] = float(claims["exp"])
