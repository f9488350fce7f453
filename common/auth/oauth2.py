"""A request for a token, and what may come back: the wire side of signing in (RFC 6749, section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NoReturn, Protocol

import attrs

from common.auth.credentials import bare_token
from common.model.errors import DecodeError, SourceError, TransportError, UsageError
from common.response.decoding import finite, read_json
from common.response.failures import ErrorBody, api_error
from common.response.http_response import EXCERPT, EXCERPT_SOURCE, HttpResponse
from common.response.redaction import Unpicklable

REFUSED = frozenset({400, 401, 403})
"""How token endpoints say that credentials are wrong (RFC 6749, section 5.2, and what is seen besides)."""


@attrs.frozen(repr=False)
class Token(Unpicklable):
    """What a sign-in gave: ``lifetime`` in seconds, None where the server did not tell."""

    access: str
    lifetime: float | None = None
    refresh: str | None = None


@attrs.frozen(repr=False, kw_only=True)
class TokenRequest(Unpicklable):
    """One request for a token: ``fields`` go form-encoded, or as JSON."""

    url: str
    fields: Mapping[str, str]
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    as_json: bool = False


class TokenHttp(Protocol):
    """What signing in needs of a source: whose token it is, and unsigned requests over its connections."""

    @property
    def endpoint(self) -> str:
        """The origin that the token is for."""
        ...

    def redact(self, text: str) -> str:
        """A text without the secrets that are sent here."""
        ...

    async def request(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """Send one request without credentials of the source. Raises `TransportError`, `DecodeError`."""
        ...


async def request_token(
    http: TokenHttp,
    method: Literal["GET", "POST"],
    url: str,
    *,
    what: str,
    form: Mapping[str, str] | None = None,
    json: object = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """`SignIn.ask`; what fails is a `TransportError` that says ``what`` failed, and that nothing was sent.

    For no write that waits for a token has been sent yet, whatever became of the request for the token.
    """
    try:
        return await http.request(method, url, form=form, json=json, headers=headers)
    except TransportError as error:
        sign_in_failed(f"{what} failed: {error}")
    except DecodeError as error:
        sign_in_failed(f"{what} gave nothing that can be read: {error}")


def read_token(reply: HttpResponse, what: str) -> Token:
    """The token in a reply of 200 (RFC 6749, section 5.1). Raises `TransportError` where there is none."""
    try:
        said = read_json(reply.body)
    except DecodeError as error:
        sign_in_failed(f"{what} gave no token: {error}")
    fields: dict[str, Any] = said if isinstance(said, dict) else {}
    try:
        access = bare_token(fields.get("access_token"))
    except UsageError:
        sign_in_failed(f"{what} gave no token: there is no access_token in the reply that a header can carry")
    kind = fields.get("token_type")
    if isinstance(kind, str) and kind.lower() != "bearer":
        sign_in_failed(f"{what} gave a token of the type {kind[:40]!r}, and not a bearer token")
    refresh = fields.get("refresh_token")
    return Token(access, _seconds(fields.get("expires_in")), refresh if isinstance(refresh, str) else None)


def sign_in_failed(text: str) -> NoReturn:
    """Raise the `TransportError` for a sign-in that failed for now."""
    raise TransportError(text, sent=False) from None


def _seconds(value: object) -> float | None:
    seconds = finite(value)
    return seconds if seconds is not None and 0 < seconds < 1e9 else None


def token_error(reply: HttpResponse, what: str, hint: str, http: TokenHttp) -> SourceError:
    """The exception for a sign-in that was refused, with ``hint``, or that failed for now."""
    try:
        said = read_json(reply.body)
    except DecodeError:
        said = None
    fields: dict[str, Any] = said if isinstance(said, dict) else {}
    code, message = fields.get("error"), fields.get("error_description") or fields.get("message")
    code = http.redact(code[:EXCERPT_SOURCE])[:EXCERPT] if isinstance(code, str) else None
    # Cleaned before it is cut: half a secret would not be recognised.
    message = http.redact(message[:EXCERPT_SOURCE])[:EXCERPT] if isinstance(message, str) else None
    refused = reply.status in REFUSED and (code is not None or reply.status == 401)
    fault = ErrorBody(code=code, message=message, from_api=code is not None, hint=hint if refused else None)
    # An excerpt of the body is left out: a token endpoint may quote what it was sent.
    bare = attrs.evolve(reply, body=b"", status=401 if refused else reply.status)
    error = api_error(bare, fault, request=what)
    error.transient = error.transient and not refused
    return error
