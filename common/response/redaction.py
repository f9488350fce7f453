"""What must be cleaned out of a text before a person, a log or a queue gets it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import NoReturn, Self
from urllib.parse import unquote, urlsplit

SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie", "x-api-key")
"""Request headers whose values are secrets, whoever put them there."""
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
"""Headers that are never secrets, however long a word is in them."""

_SECRET_NAME = re.compile(
    r"auth|cookie|credential|passw|private|secret|session|signature|token|(api|access)[-_]?key", re.IGNORECASE
)
_TOKEN = re.compile(
    r"(?i:bearer|basic|digest|negotiate)\s+\S|\beyJ[\w-]{8,}\.|(?=\w*\d)(?=\w*[A-Za-z])\w{32,}", re.ASCII
)
"""A scheme with its credentials, a JSON web token, and 32 letters and digits without a break."""


class Unpicklable:
    """Base of what holds a secret: a pickle would hold it in the clear. A copy is the very same object."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds a secret and cannot be pickled: make it where it is used, "
            "from what your secret store gives there"
        )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


def secrets_in(headers: Mapping[str, str]) -> set[str]:
    """The secrets in a request's headers: whole values, bare tokens, and the password of HTTP Basic."""
    found: set[str] = set()
    for name in SECRET_HEADERS:
        value = headers.get(name)
        if value:
            token = value.rpartition(" ")[2]
            found |= {value, token} | _basic(token)
    return found


def proxy_secrets(proxy: str | None) -> set[str]:
    """The secrets in a proxy's URL, as they stand there, decoded, and as the header made of them."""
    login = urlsplit(proxy).netloc.rpartition("@")[0] if proxy else ""
    if not login:
        return set()
    user, _, password = login.partition(":")
    plain = f"{unquote(user)}:{unquote(password)}"
    return {login, password, unquote(password), base64.b64encode(plain.encode()).decode("ascii")}


def _basic(token: str) -> set[str]:
    try:
        user, colon, password = base64.b64decode(token, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return set()
    return {f"{user}:{password}", password} if colon else set()


def redacted(name: str, value: str) -> str:
    """A header's value for a log, ``****`` where its name or its form says that it is a secret."""
    shown = name.lower() in PLAIN_HEADERS
    return "****" if not shown and (_SECRET_NAME.search(name) or _TOKEN.search(value)) else value


def redacted_url(url: str) -> str:
    """A URL for a log, without the values in its query whose names or forms say that they are secrets."""
    base, mark, query = url.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")]
    return (
        f"{base}{mark}{'&'.join(f'{name}{equals}{redacted(name, value)}' for name, equals, value in pairs)}"
    )
