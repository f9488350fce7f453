"""Discover the token endpoint of a Cloud Foundry: the one that its API names, if that can be trusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

import attrs

from cfjobs.wire import parse_error
from common.auth.client_credentials import read_token_url
from common.auth.oauth2 import TokenHttp, request_token, sign_in_failed
from common.model.endpoints import is_loopback, origin, split_endpoint
from common.model.errors import AuthenticationError, DecodeError, UsageError
from common.response.decoding import root_object
from common.response.failures import api_error
from common.response.http_response import MAX_MESSAGE

LOGIN_PATH = "/oauth/token"
LINKS = ("login", "uaa")
"""The links of ``GET /`` that name a login server, the preferred one first; either may be null."""
KORIFI = "cf_on_k8s"
"""The root document of a Korifi says true here, unless it was set up with a UAA. Its ``links.login`` then is
the API itself, for the ``cf`` command's sake (Korifi, ``api/presenter/root.go``): no place for a password."""

_PATH = re.compile(r"[\w/.~%!$&'()*+,;=:@-]{0,200}", re.ASCII)
"""A plain path that is short enough to be in every message about a sign-in."""


async def find_token_url(http: TokenHttp) -> str:
    """Return the token endpoint that the API itself names, by a request without a token.

    From ``GET /`` (Cloud Controller v3 API reference, "Root": ``links.login`` and ``links.uaa``). Raise
    `AuthenticationError` where it names none, or one that is not trusted, and for a Korifi without a UAA;
    `TransportError` and `ApiError` where the request fails for now.
    """
    what = f"asking {http.endpoint} where to sign in"
    response = await request_token(http, "GET", f"{http.endpoint}/", what=what)
    if response.status != 200:
        error_body = parse_error(response)
        if error_body.message is not None:
            error_body = attrs.evolve(error_body, message=http.redact(error_body.message, MAX_MESSAGE))
        raise api_error(attrs.evolve(response, body=b""), error_body, request=what)
    try:
        root = root_object(response.body)
    except DecodeError as error:
        sign_in_failed(f"{what} failed: the response cannot be read: {error}")
    if root.get(KORIFI) not in (None, False):
        refuse_sign_in(
            f"{http.endpoint} is a Korifi ({KORIFI}), which has no UAA, so nothing was sent: sign in with a "
            "client certificate or a bearer token"
        )
    links = root.get("links")
    if not isinstance(links, Mapping):
        sign_in_failed(f"{what} failed: the response has no links, so it is not that of a Cloud Foundry API")
    hrefs = [href for name in LINKS if (href := _href(links.get(name))) is not None]
    if not hrefs:
        refuse_sign_in(
            f"{http.endpoint} names no UAA to sign in at (Korifi has none): pass auth=Bearer(token), or "
            "cert= for a client certificate"
        )
    return trusted_token_url(hrefs[0], http.endpoint)


def trusted_token_url(link: str, endpoint: str) -> str:
    """Return the token endpoint below a login server's link, if secrets may be sent there.

    An https endpoint may name any https server, since its certificate authenticates its response. One on
    plain http may name only itself or, on this machine, another port. Raise `AuthenticationError` for any
    other, whose message contains no more of the link than its origin.
    """
    try:
        parts = urlsplit(link)
        host = origin(f"{parts.scheme}://{parts.netloc}")
        plain = not (parts.query or parts.fragment) and _PATH.fullmatch(parts.path) is not None
    except (ValueError, UsageError):
        refuse_sign_in(
            f"{endpoint} names a login server by an address that is not an http or https URL (or has a user "
            "name); nothing was sent there: set login_url= to the right one"
        )
    if not plain:
        refuse_sign_in(
            f"{endpoint} names a login server at {host}, but its path is not plain, or too long: nothing was "
            "sent there"
        )
    if endpoint.startswith("https:"):
        trusted = host.startswith("https:")
    else:
        trusted = host == split_endpoint(endpoint)[0] or (is_loopback(host) and is_loopback(endpoint))
    if not trusted:
        refuse_sign_in(
            f"{endpoint} names {host} as its login server, which is not trusted from "
            f"{'an https' if endpoint.startswith('https:') else 'a plain-http'} endpoint: nothing was sent "
            "there; if it is the right server, set login_url= to it"
        )
    return token_url_below(host + parts.path)


def read_login_url(url: str | None) -> str | None:
    """Return the token endpoint of a ``login_url=``, None for None. Raise `UsageError` for no URL.

    Must be called directly by the constructor that the user calls: a warning about plain http names that
    line.
    """
    if url is None:
        return None
    plain = isinstance(url, str) and not set("?#") & set(url)
    try:
        return read_token_url(token_url_below(url) if plain else "", callers=4)
    except UsageError:
        raise UsageError(
            "login_url= must be the URL of the login server or UAA, such as 'https://login.example.org'"
        ) from None


def token_url_below(login: str) -> str:
    """Return ``{login}/oauth/token``, also for a URL that ends so already."""
    return login.rstrip("/").removesuffix(LOGIN_PATH) + LOGIN_PATH


def refuse_sign_in(text: str) -> NoReturn:
    """Raise `AuthenticationError` for a sign-in that cannot be tried."""
    raise AuthenticationError(text, status=401)


def _href(link: Any) -> str | None:
    href = link.get("href") if isinstance(link, Mapping) else None
    return href if isinstance(href, str) and href else None
