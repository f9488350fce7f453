"""What ``auth=`` accepts, and how it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from common.auth.credentials import Basic, HeaderAuth
from common.model.errors import UsageError

if TYPE_CHECKING:
    import httpx

    from common.auth.token_auth import TokenAuth


AuthLike: TypeAlias = "tuple[str, str] | HeaderAuth | TokenAuth | httpx.Auth"
"""What every source takes: a user-and-password pair, one of the classes here, or an ``httpx.Auth``."""


def read_auth(auth: Any) -> HeaderAuth | Any | None:
    """What a caller passed as ``auth=``, made uniform; an ``httpx.Auth`` is passed through.

    Raises `UsageError` for anything else, without quoting it.
    """
    if isinstance(auth, type):
        raise UsageError("auth= was given a class: make one, such as Bearer(token)")
    if auth is None or isinstance(auth, HeaderAuth):
        return auth
    if isinstance(auth, tuple):
        if len(auth) != 2 or not all(isinstance(part, str) for part in auth):
            raise UsageError("auth= as a tuple must be (user, password), both text")
        return Basic(*auth)
    if isinstance(auth, str):
        raise UsageError("auth= was given as text: pass (user, password), or Bearer(token) for a token")
    if hasattr(auth, "bind") or hasattr(auth, "auth_flow") or hasattr(auth, "async_auth_flow"):
        return auth
    raise UsageError("auth= must be (user, password), Bearer(token), or an httpx.Auth")
