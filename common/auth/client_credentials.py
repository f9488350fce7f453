"""Sign in with OAuth 2.0 client credentials (RFC 6749), and check the arguments of all token sign-ins."""

from __future__ import annotations

import base64
import warnings
from typing import Literal
from urllib.parse import quote_plus, urlsplit

from common.auth.oauth2 import TokenHttp, TokenRequest
from common.auth.token_auth import TokenAuth
from common.model.endpoints import is_loopback, origin
from common.model.errors import UsageError
from common.model.tracebacks import stacklevel, without_frames
from common.options import InsecureConnectionWarning


class ClientCredentials(TokenAuth):
    """Sign in as a service, with a client id and secret (RFC 6749, section 4.4).

    ``token_url`` is the identity provider's token endpoint. ``scope`` and ``audience`` are what that provider
    requires. ``send="body"`` sends id and secret as form fields, for providers that do not accept HTTP Basic.
    Raise `UsageError` for an argument that cannot be sent.
    """

    hint = "check the client id and its secret, and that this client may use the grant client_credentials"
    keeps_refresh_token = False  # with it, a refused secret would be sent twice

    @without_frames
    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        scope: str | None = None,
        audience: str | None = None,
        send: Literal["header", "body"] = "header",
    ) -> None:
        super().__init__()
        if send not in ("header", "body"):
            raise UsageError("send= must be 'header' (HTTP Basic) or 'body'")
        self.token_url: str = read_token_url(token_url)
        self.client_id: str = read_text("client_id", client_id)
        self._secret = read_text("client_secret", client_secret)
        self._optional_fields = {
            name: read_text(name, value)
            for name, value in (("scope", scope), ("audience", audience))
            if value is not None
        }
        self._send = send

    async def token_request(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        """Return the same request each time: a refresh token is no part of this grant."""
        del http, refresh_token
        fields = {"grant_type": "client_credentials", **self._optional_fields}
        if self._send == "header":
            return TokenRequest(
                url=self.token_url, fields=fields, headers=client_basic(self.client_id, self._secret)
            )
        fields |= {"client_id": self.client_id, "client_secret": self._secret}
        return TokenRequest(url=self.token_url, fields=fields)

    def credential_secrets(self) -> tuple[str, ...]:
        """Return the client's secret, plain and in each form that is sent."""
        return secret_forms(self.client_id, self._secret)

    def __repr__(self) -> str:
        return f"ClientCredentials({self.token_url!r}, {self.client_id!r}, ****)"


def client_basic(client_id: str, secret: str) -> dict[str, str]:
    """Return the HTTP Basic header of a client, both parts form-encoded (RFC 6749, section 2.3.1)."""
    return {"Authorization": f"Basic {_basic(client_id, secret)}"}


def secret_forms(client_id: str, secret: str) -> tuple[str, ...]:
    """Return a client's secret, plain and in each form that is sent."""
    return (secret, quote_plus(secret), _basic(client_id, secret)) if secret else ()


def read_token_url(url: object, *, callers: int = 3) -> str:
    """Return a token endpoint that was checked. Raise `UsageError` for what is not an absolute http(s) URL.

    Emit `InsecureConnectionWarning` where secrets would be sent to it unencrypted.
    """
    text = url if isinstance(url, str) else ""
    try:
        parts = urlsplit(text)
        host = origin(f"{parts.scheme}://{parts.netloc}") if parts.scheme in ("https", "http") else ""
    except (ValueError, UsageError):
        parts, host = urlsplit(""), ""
    if not host or parts.fragment or any(not 32 < ord(c) < 127 for c in text):
        raise UsageError("the token URL must be one such as 'https://login.example.com/oauth/token'")
    if parts.scheme == "http" and not is_loopback(host):
        message = f"{host} is plain http: credentials are sent to the token endpoint unencrypted"
        warnings.warn(message, InsecureConnectionWarning, stacklevel=stacklevel(callers))
    return text


def read_text(name: str, value: object) -> str:
    """Return an argument that must be text and not empty. Raise `UsageError`, which never quotes it."""
    if not isinstance(value, str) or not value:
        raise UsageError(f"{name}= is missing: pass it as text")
    if any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) <= 0xDFFF for c in value):
        raise UsageError(
            f"{name}= contains a control character or a lone surrogate, which cannot be sent (a line break "
            "at its end?)"
        )
    return value


def _basic(client_id: str, secret: str) -> str:
    return base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode("ascii")
