"""How ONTAP's keys in a profile or the environment become a source: a user, a token, or a certificate."""

from __future__ import annotations

from typing import Any

from common.auth.argument import AuthLike
from common.auth.credentials import Basic, Bearer
from common.config.auth_methods import Way
from common.config.settings import Settings
from ontapjobs.source import OntapJobs


def connect(settings: Settings) -> OntapJobs:
    """The source that these settings describe. Raises `UsageError`; sends nothing.

    Keys: ``user`` and ``password``; ``token``; ``token_url``, ``client_id`` and ``client_secret``, with
    ``scope``, ``audience`` and ``send`` ("header" or "body") as the issuer of tokens asks for them (OAuth 2.0
    is in 9.14 and later). A ``cert`` signs in by itself.
    """
    endpoint = settings.endpoint
    given = settings.read(
        text=("user", "token_url", "client_id", "scope", "audience", "send"),
        secret=("password", "client_secret"),
        token=("token",),
    )
    return OntapJobs(endpoint, auth=given.sign_in(*WAYS), **given.options)


def _client_credentials(
    token_url: str,
    client_id: str,
    client_secret: str,
    scope: str | None,
    audience: str | None,
    send: Any,
) -> AuthLike:
    from common.auth.client_credentials import ClientCredentials  # only for those who use it

    return ClientCredentials(
        token_url, client_id, client_secret, scope=scope, audience=audience, send=send or "header"
    )


WAYS: tuple[Way, ...] = (
    Way(("user", "password"), Basic),
    Way(("token",), Bearer),
    Way(("token_url", "client_id", "client_secret"), _client_credentials, ("scope", "audience", "send")),
)
"""How ONTAP's users sign in."""
