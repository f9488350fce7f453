"""Make a BlueXP source from the keys in a profile or the environment."""

from __future__ import annotations

from urllib.parse import urlsplit

from bluexp_jobs.provider import PUBLIC_HOSTS
from bluexp_jobs.source import BlueXPJobs
from common.auth.argument import AuthLike
from common.auth.credentials import Bearer
from common.config.auth_methods import AuthMethod
from common.config.settings import Settings


def connect(settings: Settings) -> BlueXPJobs:
    """Return the source for these settings; no request is sent. Raise `UsageError`.

    Keys: ``account`` and ``agent``, where the target does not name them; ``token``; ``refresh_token``, with
    the ``client_id`` that it was issued to, if that is not the public one; ``client_id`` with
    ``client_secret``, or with ``private_key`` and its ``key_id``, for a service account; with these and with
    a refresh token ``token_url``, for another issuer; ``user`` and ``password``, of a user who is not
    federated, with ``client_id``, ``realm`` and ``token_url`` if they are not the public ones; or in private
    mode, where the endpoint is the agent's, of its local user.
    """
    endpoint = settings.endpoint
    resolved = settings.read(
        text=("user", "client_id", "realm", "key_id", "token_url"),
        secret=("password", "client_secret", "refresh_token", "private_key"),
        token=("token",),
        scope=("account", "agent"),
    )

    by_password = AuthMethod(("user", "password"), _agent_password)
    if urlsplit(endpoint).hostname in PUBLIC_HOSTS:
        by_password = AuthMethod(("user", "password"), _user_password, ("client_id", "realm", "token_url"))

    return BlueXPJobs(
        account=resolved.text("account") or "",
        agent=resolved.text("agent") or "",
        auth=resolved.sign_in(*AUTH_METHODS, by_password),
        endpoint=endpoint,
        **resolved.options,
    )


def _agent_password(user: str, password: str) -> AuthLike:
    from bluexp_jobs.auth import AgentPassword  # lazily, as below: only those who use it need it

    return AgentPassword(user, password)


def _user_password(
    user: str, password: str, client_id: str | None, realm: str | None, token_url: str | None
) -> AuthLike:
    from bluexp_jobs.auth import ISSUER_URL, USER_CLIENT, USER_REALM, UserPassword

    return UserPassword(
        user,
        password,
        client_id=client_id or USER_CLIENT,
        realm=realm or USER_REALM,
        token_url=token_url or ISSUER_URL,
    )


def _refresh_token(token: str, client_id: str | None, token_url: str | None) -> AuthLike:
    from bluexp_jobs.auth import ISSUER_URL, PUBLIC_CLIENT, RefreshToken

    return RefreshToken(token, client_id=client_id or PUBLIC_CLIENT, token_url=token_url or ISSUER_URL)


def _service_account(client_id: str, client_secret: str, token_url: str | None) -> AuthLike:
    from bluexp_jobs.auth import ISSUER_URL, ServiceAccount

    return ServiceAccount(client_id, client_secret, token_url=token_url or ISSUER_URL)


def _service_key(client_id: str, private_key: str, key_id: str | None, token_url: str | None) -> AuthLike:
    from bluexp_jobs.auth import ISSUER_URL, ServiceAccount

    # As bytes: text could be taken for a path, and an error would quote it as a missing file.
    key = private_key.encode()
    return ServiceAccount(client_id, private_key=key, key_id=key_id, token_url=token_url or ISSUER_URL)


AUTH_METHODS: tuple[AuthMethod, ...] = (
    AuthMethod(("token",), Bearer),
    AuthMethod(("refresh_token",), _refresh_token, ("client_id", "token_url")),
    AuthMethod(("client_id", "client_secret"), _service_account, ("token_url",)),
    AuthMethod(("client_id", "private_key"), _service_key, ("key_id", "token_url")),
)
"""How users of BlueXP sign in, at any endpoint."""
