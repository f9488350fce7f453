"""Make an ONTAP source from the keys in a profile or the environment: a user, a token, or a certificate."""

from __future__ import annotations

from typing import Any

from common.auth.argument import AuthLike
from common.auth.credentials import Basic, Bearer
from common.config.auth_methods import AuthMethod
from common.config.settings import Settings
from ontapjobs.source import OntapJobs


def connect(settings: Settings) -> OntapJobs:
    """Return the source for these settings; no request is sent. Raise `UsageError`.

    Keys: ``user`` and ``password``; ``token``; ``token_url``, ``client_id`` and ``client_secret``, with
    ``scope``, ``audience`` and ``send`` ("header" or "body") if the issuer of tokens needs them (OAuth 2.0:
    ONTAP 9.14 and later). A ``cert`` signs in by itself.
    """
    endpoint = settings.endpoint
    resolved = settings.read(
        text=("user", "token_url", "client_id", "scope", "audience", "send"),
        secret=("password", "client_secret"),
        token=("token",),
    )
    return OntapJobs(endpoint, auth=resolved.sign_in(*AUTH_METHODS), **resolved.options)


def _client_credentials(
    token_url: str,
    client_id: str,
    client_secret: str,
    scope: str | None,
    audience: str | None,
    send: Any,
) -> AuthLike:
    from common.auth.client_credentials import ClientCredentials  # lazily: only those who use it need it

    return ClientCredentials(
        token_url, client_id, client_secret, scope=scope, audience=audience, send=send or "header"
    )


AUTH_METHODS: tuple[AuthMethod, ...] = (
    AuthMethod(("user", "password"), Basic),
    AuthMethod(("token",), Bearer),
    AuthMethod(
        ("token_url", "client_id", "client_secret"), _client_credentials, ("scope", "audience", "send")
    ),
)
"""How users of ONTAP sign in."""
