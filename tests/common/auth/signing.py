"""Signing in without a network: a http that answers by script, and a sign-in that says what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.lowlevel
import attrs

from common.auth.oauth2 import TokenHttp, TokenRequest
from common.auth.token_auth import OnRotate, TokenAuth
from common.response.http_response import HttpResponse

PASSWORD = "correct-horse-battery"
FIRST_REFRESH = "refresh-token-of-yesterday"
URL = "https://login.example.org/oauth/token"

Answered = HttpResponse | Exception
Said = Answered | Callable[["Asked"], Answered]


@attrs.frozen
class Asked:
    """One request for a token, and when it left."""

    at: float
    form: Mapping[str, str]
    headers: Mapping[str, str]


def said(data: Any, status: int = 200, **headers: str) -> HttpResponse:
    """A reply; ``data`` is its bytes, or becomes JSON."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    named = tuple((name.replace("_", "-").lower(), value) for name, value in headers.items())
    return HttpResponse(status, named, body)


def token(access: str, expires_in: Any = 600, **more: Any) -> HttpResponse:
    """A reply with a token."""
    return said({"access_token": access, "token_type": "bearer", "expires_in": expires_in, **more})


class FakeTokenHttp:
    """A source as a sign-in sees it; gives its answers in their order, the last one for ever.

    ``latency`` is the seconds until an answer comes, half of them before the server has got the request.
    """

    endpoint = "https://api.example.org"

    def __init__(self, *answers: Said, latency: float = 0.0) -> None:
        self.asked: list[Asked] = []
        self.latency = latency
        self._answers = answers
        self.auths: list[TokenAuth] = []

    @property
    def times(self) -> list[float]:
        """When the requests left."""
        return [asked.at for asked in self.asked]

    def redact(self, text: str) -> str:
        secrets = {secret for auth in self.auths for secret in auth.secrets()}
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "****")
        return text

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
        asked = Asked(anyio.current_time(), dict(form or {}), dict(headers or {}))
        self.asked.append(asked)
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        outcome = answer if isinstance(answer, HttpResponse | Exception) else answer(asked)
        await anyio.sleep(self.latency / 2)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Plain(TokenAuth):
    """The smallest sign-in: a password, or a refresh token where there is one."""

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
        self.can_reauthenticate = can_reauthenticate
        if http is not None:
            http.auths.append(self)

    async def grant(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        fields = {"password": PASSWORD} if refresh_token is None else {"refresh_token": refresh_token}
        return TokenRequest(url=URL, fields=fields)

    def own_secrets(self) -> tuple[str, ...]:
        return (PASSWORD,)


class Rotating:
    """The server's side of refresh tokens that can be spent once. ``respent`` are those that came again."""

    def __init__(self) -> None:
        self.current = FIRST_REFRESH
        self.spent: set[str] = set()
        self.respent: list[str] = []

    def __call__(self, asked: Asked) -> HttpResponse:
        refresh = asked.form.get("refresh_token")
        if refresh is not None and refresh != self.current:
            self.respent.append(refresh)
            return said({"error": "invalid_token", "error_description": f"spent: {refresh}"}, 401)
        self.spent.add(self.current)
        number = len(self.spent)
        self.current = f"refresh-{number}-{FIRST_REFRESH}"
        return token(f"access-{number}", refresh_token=self.current)
