"""What must be cleaned out of a text before a person, a log or a queue gets it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import unquote
from urllib.parse import urlsplit

SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie", "x-api-key")
"""Request headers whose values are secrets, whoever put them there."""


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
