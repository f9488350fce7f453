"""A Cloud Foundry of an API and a UAA that answers by script, and what was sent to both."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import anyio.lowlevel
import httpx

from cfjobs import CFJobs
from common.auth.token_auth import TokenAuth

API, LOGIN = "https://api.example.org", "https://login.example.org"
Links = Any


def basic(client: str, secret: str) -> str:
    """HTTP Basic, as it is sent."""
    return "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()


class Foundation(httpx.AsyncBaseTransport):
    """An API, whose root says ``links``, and its UAA, which answers with one of ``tokens`` after another."""

    def __init__(self, links: Links = None, *tokens: httpx.Response | Exception) -> None:
        self.links = {"login": {"href": LOGIN}, "uaa": {"href": "https://uaa.x"}} if links is None else links
        self.root: Callable[[], httpx.Response] = lambda: httpx.Response(200, json={"links": self.links})
        self.requests: list[httpx.Request] = []
        self.failures: list[Exception] = []
        """What comes of the next requests for a job, before it is found."""
        self._tokens = list(tokens) or [granted()]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await anyio.lowlevel.checkpoint()
        if request.url.path == "/":
            return self.root()
        if request.method == "POST":
            answer = self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]
            if isinstance(answer, Exception):
                raise answer
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        if self.failures:
            raise self.failures.pop(0)
        return httpx.Response(200, json={"guid": "j", "state": "COMPLETE"})

    @property
    def lines(self) -> list[str]:
        return [f"{request.method} {request.url}" for request in self.requests]

    @property
    def posts(self) -> list[httpx.Request]:
        return [request for request in self.requests if request.method == "POST"]

    def form(self, number: int = 0) -> dict[str, str]:
        return dict(parse_qsl(self.posts[number].content.decode(), strict_parsing=True))

    def jobs(self, auth: TokenAuth, endpoint: str = API) -> CFJobs:
        return CFJobs(endpoint, auth=auth, transport=self)


def granted(access: str = "t0ken", **more: Any) -> httpx.Response:
    return httpx.Response(
        200, json={"access_token": access, "token_type": "bearer", "expires_in": 600, **more}
    )


def refused(error: str, status: int = 401, description: str = "no") -> httpx.Response:
    return httpx.Response(status, json={"error": error, "error_description": description})
