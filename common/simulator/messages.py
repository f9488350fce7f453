"""The requests that a simulator receives, and the responses that it sends."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote

import attrs

HttpScope = MutableMapping[str, Any]
"""An ASGI connection scope."""


@attrs.frozen
class Response:
    """A response of a simulator: a status, headers and the bytes of the body.

    ``cut`` is how many bytes of the body are sent before the connection closes; None: all, and it stays open.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    body: bytes = b""
    cut: int | None = attrs.field(default=None, kw_only=True)

    @property
    def sent(self) -> bytes:
        """The part of the body that is sent."""
        return self.body[: self.cut]

    def json(self) -> Any:
        """Return the decoded body. Raise `ValueError` when it is not JSON, or is nested too deep."""
        return _decode(self.body)

    def header(self, name: str) -> str | None:
        """Return the header of this name in any letter case, or None."""
        wanted = name.lower()
        return next((text for key, text in self.headers.items() if key.lower() == wanted), None)

    def adding(self, headers: Mapping[str, str]) -> Response:
        """Return the response with these headers too, unless it has headers of the same name."""
        missing = {name: text for name, text in headers.items() if self.header(name) is None}
        return attrs.evolve(self, headers={**self.headers, **missing})

    def replacing(self, headers: Mapping[str, str]) -> Response:
        """Return the response with these headers, in place of its own of the same names."""
        names = {name.lower() for name in headers}
        kept = {name: text for name, text in self.headers.items() if name.lower() not in names}
        return attrs.evolve(self, headers={**kept, **headers})


def json_response(
    status: int,
    data: Any,
    headers: Mapping[str, str] | None = None,
    *,
    content_type: str = "application/json",
) -> Response:
    """Return a response with ``data`` as its JSON body."""
    body = json.dumps(data, ensure_ascii=False).encode()
    return Response(status, {"Content-Type": content_type, **(headers or {})}, body)


def text_response(status: int, text: str) -> Response:
    """Return a response in plain text."""
    return Response(status, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())


@attrs.frozen
class Quirks:
    """What a system is to do wrong with one request, because of a fault; simulators look here.

    ``page`` is the most records on a page that ends early; ``ignores`` are the filters not to apply.
    """

    page: int | None = None
    ignores: frozenset[str] = frozenset()


NO_QUIRKS = Quirks()


@attrs.define(eq=False, on_setattr=attrs.setters.frozen)
class Request:
    """One request that a simulator received; `response` is set once it has been answered.

    `headers` have lower-case names. `raw_path` and `raw_query` are as sent, still percent-encoded.
    `at` is when it came, in seconds on the simulator's clock. The repr leaves out headers and body, which
    can hold credentials.
    """

    method: str
    path: str
    raw_path: str
    raw_query: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    at: float
    scheme: str = "http"
    quirks: Quirks = attrs.field(default=NO_QUIRKS, repr=False, kw_only=True)
    response: Response | None = attrs.field(
        default=None, repr=False, on_setattr=attrs.setters.NO_OP, kw_only=True
    )

    @classmethod
    def from_scope(cls, scope: HttpScope, body: bytes, *, at: float) -> Request:
        """Return the request of an ASGI scope of type ``http`` with its whole body."""
        path: str = scope["path"]
        raw_path: bytes = scope.get("raw_path") or path.encode()
        return cls(
            method=scope["method"],
            path=path,
            raw_path=raw_path.partition(b"?")[0].decode("latin-1"),
            raw_query=scope.get("query_string", b"").decode("latin-1"),
            headers=join_headers(scope["headers"]),
            body=body,
            at=at,
            scheme=scope.get("scheme", "http"),
        )

    @property
    def status(self) -> int | None:
        """The status of the response; None while it is outstanding."""
        return self.response.status if self.response else None

    @property
    def target(self) -> str:
        """The path and query as sent."""
        return f"{self.raw_path}?{self.raw_query}" if self.raw_query else self.raw_path

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The decoded parameters in order; ``%20`` is a space, and ``+`` is a plus sign."""
        return parse_parameters(self.raw_query)

    @property
    def query(self) -> dict[str, str]:
        """The parameters by name; of a repeated one, the last."""
        return dict(self.parameters)

    @property
    def segments(self) -> tuple[str, ...]:
        """The segments of the path, each decoded on its own, so that ``%2F`` does not split one."""
        return tuple(unquote(part) for part in self.raw_path.strip("/").split("/"))

    @property
    def origin(self) -> str:
        """The scheme, host and port as the client named them."""
        return f"{self.scheme}://{self.headers.get('host', 'localhost')}"

    def json(self) -> Any:
        """Return the decoded body. Raise `ValueError` when it is not JSON, or is nested too deep."""
        return _decode(self.body)


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None


def parse_parameters(query: str) -> tuple[tuple[str, str], ...]:
    """Return the decoded pairs of a query string, in order; ``+`` stays a plus sign."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return tuple((unquote(name), unquote(text)) for name, _, text in pairs)


def join_headers(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by lower-case name; repeated ones are joined with a comma."""
    joined: dict[str, str] = {}
    for raw_name, raw_text in headers:
        name, text = raw_name.decode("latin-1").lower(), raw_text.decode("utf-8", "replace")
        joined[name] = f"{joined[name]}, {text}" if name in joined else text
    return joined
