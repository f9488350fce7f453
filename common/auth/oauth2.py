"""Token requests of OAuth 2.0, and what their responses mean (RFC 6749, section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NoReturn, Protocol

import attrs

from common.auth.credentials import read_bearer_token
from common.model.errors import DecodeError, SourceError, TransportError, UsageError
from common.response.decoding import finite, read_json
from common.response.failures import ErrorBody, api_error
from common.response.http_response import EXCERPT, HttpResponse
from common.response.large_json import LARGE
from common.response.redaction import Unpicklable
from common.response.repair import REPLACEMENT

CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""The ``client_assertion_type`` of a client that signs in with a JWT (RFC 7523, section 2.2)."""
REFUSED = frozenset({400, 401, 403})
"""Statuses for wrong credentials: 400 and 401 by RFC 6749, section 5.2; 403 has been seen too."""
REFUSALS = frozenset(
    {"access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope"}
    | {"unauthorized_client", "unsupported_grant_type"}
)
"""The codes of RFC 6749, sections 4.1.2.1 and 5.2, for a sign-in that is refused, if with status 200."""


@attrs.frozen(repr=False)
class Token(Unpicklable):
    """The result of a sign-in. ``lifetime`` is in seconds, None where the server told none."""

    access: str = attrs.field(repr=False)
    lifetime: float | None = None


@attrs.frozen(repr=False, kw_only=True)
class TokenRequest(Unpicklable):
    """One request for a token. ``fields`` are sent form-encoded, or as JSON."""

    url: str
    fields: Mapping[str, str] = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    as_json: bool = False


class TokenHttp(Protocol):
    """The interface of a source to a sign-in: its endpoint, and unauthenticated requests."""

    @property
    def endpoint(self) -> str:
        """The origin that the token is for."""
        ...

    @property
    def request_timeout(self) -> float:
        """How long one request may take, in seconds."""
        ...

    def redact(self, text: str, limit: int | None = None) -> str:
        """Return a text, or its first ``limit`` characters, without the secrets that this source sends.

        Do not cut a text before: half a secret is not recognised.
        """
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
        """Send one request without the source's credentials, and return the response, whatever its status.

        Raise `TransportError` without a response, `DecodeError` for a body that cannot be read.
        """
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
    """Send a request of a sign-in, and return the response. Raise `TransportError` with ``what`` in its text.

    Its ``sent`` is always False, since the write that waits for the token has not been sent.
    """
    try:
        return await http.request(method, url, form=form, json=json, headers=headers)
    except TransportError as error:
        failed = TransportError(f"{what} failed: {error}", sent=False, misconfigured=error.misconfigured)
        failed.transient = error.transient
        raise failed from None
    except DecodeError as error:
        sign_in_failed(f"{what} failed: the response cannot be read: {_cause(error)}")


def has_error_for_token(response: HttpResponse) -> bool:
    """Whether a response of status 200 has an OAuth error in place of a token, as some servers answer."""
    try:
        fields = _fields(response)
    except DecodeError:
        return False
    return bool(isinstance(error := fields.get("error"), str) and error and not fields.get("access_token"))


def read_token(response: HttpResponse, what: str) -> Token:
    """Return the token in a response of status 200 (RFC 6749, section 5.1).

    Raise `TransportError`, which is transient, if there is none: such a response comes from a proxy.
    """
    try:
        fields = _fields(response)
    except DecodeError as error:
        sign_in_failed(f"{what} returned no token: {_cause(error)}")
    try:
        access = read_bearer_token(fields.get("access_token"))
    except UsageError:
        sign_in_failed(f"{what} returned no token: the response has no valid access_token")
    token_type = fields.get("token_type")
    if isinstance(token_type, str) and token_type.lower() != "bearer":
        # Not quoted: a server may repeat in any field what it was sent.
        sign_in_failed(f"{what} returned a token of another type instead of a bearer token")
    return Token(access, _seconds(fields.get("expires_in")))


def read_refresh_token(response: HttpResponse) -> str | None:
    """Return the refresh token in a response of status 200, None for none. It may come without a token."""
    try:
        refresh = _fields(response).get("refresh_token")
        usable = isinstance(refresh, str) and bool(refresh.encode()) and REPLACEMENT not in refresh
    except (DecodeError, UnicodeEncodeError):  # the latter for a lone surrogate, which cannot be sent
        return None
    return refresh if usable else None


def sign_in_failed(text: str) -> NoReturn:
    """Raise a transient `TransportError` for a sign-in."""
    raise TransportError(text, sent=False) from None


def _cause(error: DecodeError) -> str:
    return str(error).removeprefix(f"{error.path}: ")  # the path leads to records, and here are none


def _fields(response: HttpResponse) -> dict[str, Any]:
    if len(response.body) > LARGE:
        raise DecodeError(f"{len(response.body)} bytes are too many for the response to a sign-in")
    body = read_json(response.body)
    return body if isinstance(body, dict) else {}


def _seconds(value: object) -> float | None:
    seconds = finite(value)
    return seconds if seconds is not None and 0 < seconds < 1e9 else None


def token_error(response: HttpResponse, what: str, hint: str, http: TokenHttp) -> SourceError:
    """Return the exception for a response that is not 200, or has an error in place of a token.

    `AuthenticationError` with ``hint`` where the sign-in was refused: by 401, by 400 or 403 with an OAuth
    error code, or by 200 with one of `REFUSALS`. Any other response is the usual exception for its status
    (`api_error`).
    """
    try:
        fields = _fields(response)
    except DecodeError:
        fields = {}
    code, message = fields.get("error"), fields.get("error_description") or fields.get("message")
    told = response.status == 200 and code in REFUSALS
    code = http.redact(code, EXCERPT) if isinstance(code, str) else None
    message = http.redact(message, EXCERPT) if isinstance(message, str) else None
    refused = told or (response.status in REFUSED and (code is not None or response.status == 401))
    body = ErrorBody(code=code, message=message, from_api=code is not None, hint=hint if refused else None)
    # Without an excerpt of the body: a token endpoint may quote what it was sent.
    return api_error(response, body, request=what, refused=refused, show_body=False)
