"""A client with nothing but the standard library, as one in another language has no more."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from typing import Any


def ask(url: str, method: str = "GET", data: Any = None) -> tuple[int, Any]:
    """Send JSON, and return the status and the JSON that came back."""
    status, _, body = fetch(url, method, None if data is None else json.dumps(data).encode())
    return status, json.loads(body)


def fetch(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    timeout: float = 10.0,
) -> tuple[int, Message, bytes]:
    """Send a request, and return status, headers and body. Raises what the connection does."""
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)  # noqa: S310  # loopback
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:  # noqa: S310
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()
    except urllib.error.URLError as error:
        raise error.reason if isinstance(error.reason, OSError) else error from None
