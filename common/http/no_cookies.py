"""A cookie jar that stays empty: every request is signed by itself, and no server's session is kept."""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import Any


class NoCookies(CookieJar):
    """For an HTTP client that would look through each reply for cookies, and keep them."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Nothing is taken from a reply."""


def take_no_cookies(client: Any) -> None:
    """Let a client of httpx not even look at its empty jar.

    It would do so for each reply, by way of urllib, which takes a tenth of a request's time and keeps the
    last 128 URLs: of up to 6,000 bytes each, where one asks for many jobs.
    """
    client.cookies.extract_cookies = _nothing


def _nothing(response: Any) -> None:
    """Nothing is taken from a reply."""
