"""A cookie jar that stays empty: each request authenticates itself, and no server's session is kept."""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import Any


class NoCookies(CookieJar):
    """For an HTTP client that would otherwise store the cookies of each response."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Store nothing."""


def take_no_cookies(client: Any) -> None:
    """Keep an httpx client from looking for cookies in responses at all.

    It would do so for each response, by way of urllib, which takes a tenth of a request's time and caches the
    last 128 URLs: of up to 6,000 bytes each, in requests for many jobs.
    """
    client.cookies.extract_cookies = _nothing


def _nothing(response: Any) -> None:
    """Store nothing."""
