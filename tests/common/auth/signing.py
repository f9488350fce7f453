"""Signing in without a network: a scripted `TokenHttp`, a small `TokenAuth`, and a server that rotates."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.lowlevel
import attrs

from common.auth.oauth2 import TokenHttp, TokenRequest
from common.auth.rotation import OnRotate
from common.auth.token_auth import TokenAuth
from common.response.http_response import HttpResponse

PASSWORD = "correct-horse-battery"
FIRST_REFRESH = "refresh-token-of-yesterday"
URL = "https://login.example.org/oauth/token"

Outcome = HttpResponse | Exception
ScriptedResponse = Outcome | Callable[["SentRequest"], Outcome]


@attrs.frozen
class SentRequest:
    """One request for a token, and the time at which it was sent."""

    at: float
    form: Mapping[str, str]
    headers: Mapping[str, str]


def response(data: Any, status: int = 200, **headers: str) -> HttpResponse:
    """Return a response; ``data`` is its bytes, or is sent as JSON."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    named = tuple((name.replace("_", "-").lower(), value) for name, value in headers.items())
    return HttpResponse(status, named, body)


def token(access: str, expires_in: Any = 600, **more: Any) -> HttpResponse:
    """Return a response with a token."""
    return response({"access_token": access, "token_type": "bearer", "expires_in": expires_in, **more})


class FakeTokenHttp:
    """A `TokenHttp` that returns scripted responses in order, and repeats the last one.

    ``latency`` is the seconds until a response comes, half of them before the server has the request.
    """

    endpoint = "https://api.example.org"
    request_timeout = 30.0

    def __init__(self, *responses: ScriptedResponse, latency: float = 0.0) -> None:
        self.requests: list[SentRequest] = []
        self.latency = latency
        self._responses = responses
        self.auths: list[TokenAuth] = []

    @property
    def times(self) -> list[float]:
        """The times at which the requests were sent."""
        return [request.at for request in self.requests]

    def redact(self, text: str, limit: int | None = None) -> str:
        secrets = {secret for auth in self.auths for secret in auth.secrets()}
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "****")
        return text[:limit]

    async def request(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        assert (method, url, json) == ("POST", URL, None)
        await anyio.lowlevel.checkpoint()
        await anyio.sleep(self.latency / 2)
        request = SentRequest(anyio.current_time(), dict(form or {}), dict(headers or {}))
        self.requests.append(request)
        answer = self._responses[min(len(self.requests), len(self._responses)) - 1]
        outcome = answer if isinstance(answer, HttpResponse | Exception) else answer(request)
        await anyio.sleep(self.latency / 2)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class PasswordAuth(TokenAuth):
    """The smallest sign-in: with a password, or with a refresh token where there is one."""

    hint = "say the magic word"

    def __init__(
        self,
        http: FakeTokenHttp | None = None,
        *,
        refresh_token: str | None = None,
        on_rotate: OnRotate | None = None,
        can_reauthenticate: bool = True,
    ) -> None:
        super().__init__(refresh_token=refresh_token, on_rotate=on_rotate)
        if not can_reauthenticate:
            self.can_reauthenticate = False
        if http is not None:
            http.auths.append(self)

    async def token_request(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        fields = {"password": PASSWORD} if refresh_token is None else {"refresh_token": refresh_token}
        return TokenRequest(url=URL, fields=fields)

    def credential_secrets(self) -> tuple[str, ...]:
        return (PASSWORD,)


class RotatingServer:
    """A server whose refresh tokens are valid once. ``respent`` are those that were sent again."""

    def __init__(self) -> None:
        self.current = FIRST_REFRESH
        self.spent: set[str] = set()
        self.respent: list[str] = []

    def __call__(self, request: SentRequest) -> HttpResponse:
        refresh = request.form.get("refresh_token")
        if refresh is not None and refresh != self.current:
            self.respent.append(refresh)
            return response({"error": "invalid_token", "error_description": f"spent: {refresh}"}, 401)
        self.spent.add(self.current)
        number = len(self.spent)
        self.current = f"refresh-{number}-{FIRST_REFRESH}"
        return token(f"access-{number}", refresh_token=self.current)
