"""Tell the application that its refresh token was replaced, and log what its function raises."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import anyio

from common.auth.oauth2 import TokenHttp
from common.concurrency import was_cancelled
from common.telemetry.events import logger

OnRotate = Callable[[str], object]
"""Called with each refresh token that replaces the one before; may be async."""


async def tell_rotation(on_rotate: OnRotate, refresh_token: str, http: TokenHttp) -> None:
    """Call ``on_rotate``, which may take as long as a request of the source. Log an error where it fails."""
    try:
        with anyio.move_on_after(http.request_timeout) as scope:
            pending = on_rotate(refresh_token)
            if inspect.isawaitable(pending):
                await pending
        if not scope.cancelled_caught:
            return
        reason = f"it did not return within {http.request_timeout:g} s"
    except Exception as error:
        reason = http.redact(f"{type(error).__name__}: {error}")
    except anyio.get_cancelled_exc_class():
        if was_cancelled():
            raise
        reason = "what it waited for was cancelled"
    # Without its traceback: code that handles the token may quote it.
    logger.error("on_rotate failed (%s); the new refresh token is kept in this process alone", reason)
