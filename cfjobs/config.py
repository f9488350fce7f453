"""How Cloud Foundry's keys in a profile or the environment, or the cf command's login, become a source."""

from __future__ import annotations

from typing import Any

import attrs

from cfjobs.source import CFJobs
from common.auth.argument import AuthLike
from common.auth.credentials import Bearer
from common.config.auth_methods import Way
from common.config.settings import Given, Settings
from common.model.errors import UsageError
from common.options import read_aliases


@attrs.frozen
class CommandHome:
    """The folder that ``.cf`` is in, as ``CF_HOME`` names it; None for the cf command's own choice."""

    path: str | None = None


def connect(settings: Settings) -> CFJobs:
    """The source that these settings describe. Raises `UsageError`; sends nothing.

    Keys: ``token``; ``user`` and ``password``, with ``origin`` (the user's identity provider); ``client_id``
    and ``client_secret``; ``refresh_token``, with the ``client_id`` and ``client_secret`` that it was given
    to; with each of them ``login_url``, where the API is not to be asked where its UAA is; ``cf_home``, for
    the cf command's login in that folder. A ``cert`` signs in by itself (Korifi). Where none of these is
    given, the cf command's login is used if it is one at this endpoint.
    """
    given = settings.read(
        text=("user", "origin", "client_id", "login_url"),
        secret=("password", "client_secret", "refresh_token"),
        token=("token",),
        path=("cf_home",),
    )
    auth = given.sign_in(*WAYS, required=False)
    if auth is None and not {"cert", "http"} & set(given.options):
        return _logged_in(settings, given, CommandHome())
    if isinstance(auth, CommandHome):
        return _logged_in(settings, given, auth)
    return CFJobs(settings.endpoint, auth=auth, **given.options)


def _logged_in(settings: Settings, given: Given, home: CommandHome) -> CFJobs:
    """By the cf command's login, if it is for this endpoint: its file says so under ``Target``."""
    stated = settings.known_endpoint
    aliases = read_aliases(given.options.get("aliases", ()))
    options: dict[str, Any] = {**given.options, "aliases": aliases | {stated} if stated else aliases}
    try:
        source = CFJobs.from_cf_config(home.path, **options)
    except UsageError as error:
        if home.path is not None or not stated:
            raise
        raise UsageError(f"{given.unsigned(WAYS)}; the cf command's login is of no use: {error}") from None
    if stated and source.endpoint != stated and source.endpoint not in aliases:
        raise UsageError(
            f"{given.unsigned(WAYS)}; the cf command is logged in to {source.endpoint}: cf login -a {stated}"
        )
    return source


def _password(user: str, password: str, origin: str | None, login_url: str | None) -> AuthLike:
    from cfjobs.auth import UAAPassword  # lazily, here and below: only for those who use it

    return UAAPassword(user, password, origin=origin, login_url=login_url)


def _client_credentials(client_id: str, client_secret: str, login_url: str | None) -> AuthLike:
    from cfjobs.auth import UAAClientCredentials

    return UAAClientCredentials(client_id, client_secret, login_url=login_url)


def _refresh_token(
    token: str, client_id: str | None, client_secret: str | None, login_url: str | None
) -> AuthLike:
    from cfjobs.auth import UAARefreshToken

    return UAARefreshToken(
        token, client_id=client_id or "cf", client_secret=client_secret or "", login_url=login_url
    )


WAYS: tuple[Way, ...] = (
    Way(("token",), Bearer),
    Way(("user", "password"), _password, ("origin", "login_url")),
    Way(("client_id", "client_secret"), _client_credentials, ("login_url",)),
    Way(("refresh_token",), _refresh_token, ("client_id", "client_secret", "login_url")),
    Way(("cf_home",), CommandHome),
)
"""How Cloud Foundry's users sign in."""
