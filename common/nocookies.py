"""A cookie jar that stays empty: every request is signed by itself, and no server's session is kept."""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import Any


class NoCookies(CookieJar):
    """For an HTTP client that would look through each reply for cookies, and keep them."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Nothing is taken from a reply."""
