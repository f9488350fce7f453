"""Make a Cloud Foundry source from the keys in a profile or the environment, or the cf command's login."""

from __future__ import annotations

from typing import Any

import attrs

from cfjobs.source import CFJobs
from common.auth.argument import AuthLike
from common.auth.credentials import Bearer, TokenSource
from common.config.auth_methods import AuthMethod
from common.config.settings import ResolvedSettings, Settings
from common.model.errors import UsageError
from common.options import read_aliases


@attrs.frozen
class CfCliHome:
    """The parent folder of ``.cf``, as in ``CF_HOME``; None for the one that the cf command would use."""

    path: str | None = None


def connect(settings: Settings) -> CFJobs:
    """Return the source for these settings; no request is sent. Raise `UsageError`.

    Keys: ``token``; ``user`` and ``password``, with ``origin`` (the user's identity provider); ``client_id``
    and ``client_secret``; ``refresh_token``, with the ``client_id`` and ``client_secret`` that it was issued
    to; ``assertion`` for a user, with the ``client_id`` and ``client_secret`` that may use it; ``client_id``
    and ``client_assertion``; ``passcode``; with each of these but ``token``, ``login_url`` for the UAA, which
    otherwise the API names; ``cf_home``, for the cf command's login in that folder. An assertion in a file is
    read again when the file is replaced. A ``cert`` signs in by itself (Korifi). Where none of these is set,
    the cf command's login is used if it is for this endpoint; ``CF_USERNAME`` and ``CF_PASSWORD`` go before
    its tokens. Hermetic settings read neither.
    """
    resolved = settings.read(
        text=("user", "origin", "client_id", "login_url"),
        secret=("password", "client_secret", "refresh_token", "passcode"),
        token=("token", "assertion", "client_assertion"),
        path=("cf_home",),
    )
    if settings.hermetic:
        if "cf_home" in (settings.mapping or {}) or settings.keywords.get("cf_home"):
            raise UsageError(
                "cf_home cannot be combined with settings=: the login of the cf command is not read then"
            )
        methods = [method for method in AUTH_METHODS if method.make is not CfCliHome]
        return CFJobs(settings.endpoint, auth=resolved.sign_in(*methods), **resolved.options)
    auth = resolved.sign_in(*AUTH_METHODS, required=False)
    if auth is None and not {"cert", "http"} & set(resolved.options):
        return _by_cf_cli(settings, resolved, CfCliHome())
    if isinstance(auth, CfCliHome):
        return _by_cf_cli(settings, resolved, auth)
    return CFJobs(settings.endpoint, auth=auth, **resolved.options)


def _by_cf_cli(settings: Settings, resolved: ResolvedSettings, home: CfCliHome) -> CFJobs:
    """Return a source with the cf command's login, if the ``Target`` in its file is this endpoint."""
    stated = settings.known_endpoint
    aliases = read_aliases(resolved.options.get("aliases", ()))
    options: dict[str, Any] = {**resolved.options, "aliases": aliases | {stated} if stated else aliases}
    try:
        source = CFJobs.from_cf_config(home.path, **options)
    except UsageError as error:
        if home.path is not None or not stated:
            raise
        raise UsageError(
            f"{resolved.no_credentials(AUTH_METHODS)}; the cf command's login cannot be used: {error}"
        ) from None
    if stated and source.endpoint != stated and source.endpoint not in aliases:
        raise UsageError(
            f"{resolved.no_credentials(AUTH_METHODS)}; the cf command is logged in to {source.endpoint}: "
            f"run cf login -a {stated}"
        )
    return source


def _password(user: str, password: str, origin: str | None, login_url: str | None) -> AuthLike:
    from cfjobs.auth.uaa import UAAPassword  # lazily, as below: only those who use it need it

    return UAAPassword(user, password, origin=origin, login_url=login_url)


def _client_credentials(client_id: str, client_secret: str, login_url: str | None) -> AuthLike:
    from cfjobs.auth.uaa import UAAClientCredentials

    return UAAClientCredentials(client_id, client_secret, login_url=login_url)


def _refresh_token(
    token: str, client_id: str | None, client_secret: str | None, login_url: str | None
) -> AuthLike:
    from cfjobs.auth.uaa import UAARefreshToken

    return UAARefreshToken(
        token, client_id=client_id or "cf", client_secret=client_secret or "", login_url=login_url
    )


def _assertion(
    assertion: str | TokenSource, client_id: str | None, client_secret: str | None, login_url: str | None
) -> AuthLike:
    from cfjobs.auth.assertion import UAAAssertion

    return UAAAssertion(
        assertion, client_id=client_id or "cf", client_secret=client_secret or "", login_url=login_url
    )


def _client_assertion(client_id: str, assertion: str | TokenSource, login_url: str | None) -> AuthLike:
    from cfjobs.auth.assertion import UAAAssertion

    return UAAAssertion(assertion, client_id=client_id, as_client=True, login_url=login_url)


def _passcode(passcode: str, login_url: str | None) -> AuthLike:
    from cfjobs.auth.uaa import UAAPasscode

    return UAAPasscode(passcode, login_url=login_url)


AUTH_METHODS: tuple[AuthMethod, ...] = (
    AuthMethod(("token",), Bearer),
    AuthMethod(("user", "password"), _password, ("origin", "login_url")),
    AuthMethod(("client_id", "client_secret"), _client_credentials, ("login_url",)),
    AuthMethod(("refresh_token",), _refresh_token, ("client_id", "client_secret", "login_url")),
    AuthMethod(("assertion",), _assertion, ("client_id", "client_secret", "login_url")),
    AuthMethod(("client_id", "client_assertion"), _client_assertion, ("login_url",)),
    AuthMethod(("passcode",), _passcode, ("login_url",)),
    AuthMethod(("cf_home",), CfCliHome),
)
"""How users of Cloud Foundry sign in."""
