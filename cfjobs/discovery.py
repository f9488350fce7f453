"""Where a Cloud Foundry signs in: the token endpoint that its API names, if that may be trusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

import attrs

from cfjobs.wire import parse_error
from common.auth.client_credentials import read_token_url
from common.auth.oauth2 import TokenHttp, request_token, sign_in_failed
from common.model.endpoints import is_loopback, origin
from common.model.errors import AuthenticationError, DecodeError, UsageError
from common.response.decoding import root_object
from common.response.failures import api_error

LOGIN_PATH = "/oauth/token"
LINKS = ("login", "uaa")
"""The links of ``GET /`` that name a login server, the better one first; either may be null."""

_PATH = re.compile(r"[\w/.~%!$&'()*+,;=:@-]*", re.ASCII)


async def find_token_url(http: TokenHttp) -> str:
    """The token endpoint that the API itself names, asked without a token.

    From ``GET /`` (Cloud Controller v3 API reference, "Root": ``links.login`` and ``links.uaa``). Raises
    `AuthenticationError` where it names none, or one that is not trusted; `TransportError` and `ApiError`
    where it can't be asked for now.
    """
    what = f"asking {http.endpoint} where to sign in"
    reply = await request_token(http, "GET", f"{http.endpoint}/", what=what)
    if reply.status != 200:
        raise api_error(attrs.evolve(reply, body=b""), parse_error(reply), request=what)
    try:
        links = root_object(reply.body).get("links")
    except DecodeError as error:
        sign_in_failed(f"{what} gave nothing that can be read: {error}")
    if not isinstance(links, Mapping):
        sign_in_failed(f"{what} gave no links: it is not the root of a Cloud Foundry API that answered")
    hrefs = [href for name in LINKS if (href := _href(links.get(name))) is not None]
    if not hrefs:
        refuse(
            f"{http.endpoint} names no UAA to sign in at (Korifi has none): pass auth=Bearer(token), or "
            "cert= for a client certificate"
        )
    return trusted_token_url(hrefs[0], http.endpoint)


def trusted_token_url(link: str, endpoint: str) -> str:
    """The token endpoint below a login server's link, if secrets may go there on the endpoint's word.

    An https endpoint may name any https server, for its certificate vouches for what it says. One on plain
    http may name only itself, or on this very machine another port. Raises `AuthenticationError`, which
    names the origin alone.
    """
    try:
        parts = urlsplit(link)
        host = origin(f"{parts.scheme}://{parts.netloc}")
        sound = not (parts.query or parts.fragment) and _PATH.fullmatch(parts.path) is not None
    except (ValueError, UsageError):
        refuse(
            f"{endpoint} names a login server by something that is no http or https URL (or one with a user "
            "name in it), and nothing was sent there; pass the right one as login_url="
        )
    if not sound:
        refuse(f"{endpoint} names a login server at {host}, but not by a plain path: nothing was sent there")
    if endpoint.startswith("https:"):
        trusted = host.startswith("https:")
    else:
        trusted = host == endpoint or (is_loopback(host) and is_loopback(endpoint))
    if not trusted:
        refuse(
            f"{endpoint} names {host} as its login server, which is not trusted on the word of "
            f"{'an https' if endpoint.startswith('https:') else 'a plain-http'} endpoint: nothing was sent "
            "there; if it is the right one, pass it as login_url="
        )
    return token_url_below(host + parts.path)


def read_login_url(url: str | None) -> str | None:
    """The token endpoint of a ``login_url=``; None where that is left out. Raises `UsageError`.

    To be called by the constructor that the user calls: a warning about plain http names that line.
    """
    if url is None:
        return None
    sound = isinstance(url, str) and not set("?#") & set(url)
    try:
        return read_token_url(token_url_below(url) if sound else "", stacklevel=4)
    except UsageError:
        raise UsageError(
            "login_url= must be the URL of the login server or UAA, such as 'https://login.example.org'"
        ) from None


def token_url_below(login: str) -> str:
    """``{login}/oauth/token``, also where that is what was given."""
    return login.rstrip("/").removesuffix(LOGIN_PATH) + LOGIN_PATH


def refuse(text: str) -> NoReturn:
    """Raise the `AuthenticationError` for a sign-in that cannot be tried."""
    raise AuthenticationError(text, status=401)


def _href(link: Any) -> str | None:
    href = link.get("href") if isinstance(link, Mapping) else None
    return href if isinstance(href, str) and href else None
