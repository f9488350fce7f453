"""Find the secrets in headers and URLs, so that they appear in no message, log or pickle."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from typing import NoReturn, Self
from urllib.parse import unquote, unquote_plus

SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie", "x-api-key")
"""Request headers whose values are secrets, whoever set them."""
PLAIN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "date",
        "host",
        "user-agent",
    }
)
"""Headers whose values are never secrets, even if they look like a token."""

MIN_SECRET_LENGTH = 3
"""Characters: shorter secrets occur by chance in too many texts to be redacted."""
MIN_COOKIE_LENGTH = 6
"""Characters: a shorter cookie is a flag or a number, not a session."""

_SECRET_NAME = re.compile(
    r"auth|cookie|credential|passw|private|secret|session|signature|token|(api|access)[-_]?key", re.IGNORECASE
)
_TOKEN = re.compile(
    r"(?i:bearer|basic|digest|negotiate)\s+\S|\beyJ[\w-]{8}|\b(?=\w{32})(?=\w*\d)(?=\w*[A-Za-z])", re.ASCII
)
"""A scheme with its credentials, a JSON web token, or a word of at least 32 letters and digits.

Each part takes linear time: the look-aheads, for example, begin only at the start of a word.
"""
_PROOF = re.compile(r"""\b(?:response|signature|token|mac)=["']?([^\s"',]+)""", re.IGNORECASE)
"""The parameter of ``Authorization`` that proves who signed: of Digest, of signatures, of other schemes."""


class Unpicklable:
    """Base class of objects that hold a secret: they refuse to be pickled, and a copy is the same object."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds a secret and cannot be pickled: create it where it is used, "
            "from your secret store"
        )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


def secrets_in(headers: Mapping[str, str]) -> set[str]:
    """Return the secrets in a request's headers: values, tokens without scheme, passwords of HTTP Basic."""
    secrets: set[str] = set()
    for name, value in headers.items():
        if _SECRET_NAME.search(name):
            token = value.rpartition(" ")[2]
            secrets |= {value, token, *_PROOF.findall(value)} | _basic(token)
            if name.lower() == "cookie":
                cookies = [pair.strip().partition("=")[2] for pair in value.split(";")]
                secrets |= {cookie for cookie in cookies if len(cookie) >= MIN_COOKIE_LENGTH}
    return secrets


def proxy_secrets(proxy: str | None) -> set[str]:
    """Return the secrets in a proxy's URL: as written, decoded, and encoded for its header.

    For None, return those in the proxies of the environment.
    """
    if proxy is None:
        proxies = [os.environ.get(name, "") for name in os.environ if name.lower().endswith("_proxy")]
        return set().union(*map(_login_secrets, proxies))
    return _login_secrets(proxy)


def _login_secrets(url: str) -> set[str]:
    login = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")[0]
    if not login:
        return set()
    user, colon, password = login.partition(":")
    plain = f"{unquote(user)}:{unquote(password)}"
    secrets = {login, plain, base64.b64encode(plain.encode()).decode("ascii")}
    return secrets | ({password, unquote(password)} if colon else {unquote(user)})


def _basic(token: str) -> set[str]:
    try:
        user, colon, password = base64.b64decode(token, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return set()
    return {f"{user}:{password}", password, unquote_plus(password)} if colon else set()


def redacted(name: str, value: str) -> str:
    """Return a header's value for a log: ``****`` where its name or its form says that it is a secret."""
    plain = name.lower() in PLAIN_HEADERS
    return "****" if not plain and (_SECRET_NAME.search(name) or _TOKEN.search(value)) else value


def redacted_url(url: str) -> str:
    """Return a URL for a log, without the query values whose names or forms say that they are secrets."""
    base, mark, query = url.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")]
    return (
        f"{base}{mark}{'&'.join(f'{name}{equals}{redacted(name, value)}' for name, equals, value in pairs)}"
    )
