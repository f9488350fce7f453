"""Which bearer tokens a simulator hands out, and which of them it still takes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from urllib.parse import parse_qs

from common.simulator.messages import Request
from common.simulator.messages import Response
from common.simulator.messages import json_response

if TYPE_CHECKING:
    from common.simulator.clock import Clock

GRANTS = frozenset({"password", "refresh_token", "client_credentials"})


class TokenDesk:
    """Issues tokens that live for ``lifetime`` seconds, and refuses its own once expired.

    A token that it did not issue is taken as good, so that tests may use any.
    """

    def __init__(self, clock: Clock, lifetime: float) -> None:
        self.lifetime = lifetime
        self._clock = clock
        self._expiry: dict[str, float] = {}

    def answer(self, request: Request) -> Response:
        """Answer a token request, form-encoded or JSON."""
        grant = _parameters(request).get("grant_type")
        if grant not in GRANTS:
            return json_response(400, {"error": "unsupported_grant_type"})
        token = f"simulated-{len(self._expiry) + 1}"
        self._expiry[token] = self._clock.now() + self.lifetime
        reply = {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": int(self.lifetime),
        }
        if grant != "client_credentials":
            reply["refresh_token"] = f"{token}-refresh"
        return json_response(200, reply)

    def accepts(self, authorization: str) -> bool:
        """Tell whether this ``Authorization`` header holds a bearer token that has not expired."""
        scheme, _, token = authorization.partition(" ")
        expiry = self._expiry.get(token.strip())
        return (
            scheme.lower() == "bearer"
            and bool(token.strip())
            and (expiry is None or self._clock.now() < expiry)
        )


def _parameters(request: Request) -> dict[str, Any]:
    if "json" not in request.headers.get("content-type", ""):
        return {name: texts[-1] for name, texts in parse_qs(request.body.decode()).items()}
    try:
        return dict(request.json())
    except (TypeError, ValueError):
        return {}
