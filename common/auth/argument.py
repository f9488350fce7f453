"""Check the keyword ``auth=``, and convert what it accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from common.auth.credentials import Basic, HeaderAuth
from common.model.errors import UsageError

if TYPE_CHECKING:
    import httpx

    from common.auth.token_auth import TokenAuth
    from common.options import Options


AuthLike: TypeAlias = "tuple[str, str] | HeaderAuth | TokenAuth | httpx.Auth"
"""What every source accepts: a user-and-password pair, a class of ``common.auth``, or an ``httpx.Auth``."""


def read_auth(auth: Any) -> HeaderAuth | Any | None:
    """Return ``auth=`` as a `HeaderAuth` or `TokenAuth`; None and an ``httpx.Auth`` are returned as they are.

    Raise `UsageError` for anything else. Its message never quotes the value.
    """
    if isinstance(auth, type):
        raise UsageError("auth= must be an instance, not a class: pass for example Bearer(token)")
    if isinstance(auth, tuple):
        if len(auth) != 2 or not all(isinstance(part, str) for part in auth):
            raise UsageError("auth= as a tuple must be (user, password), both text")
        return Basic(*auth)
    if auth is None or isinstance(auth, HeaderAuth):
        return auth
    if isinstance(auth, str):
        raise UsageError("auth= must not be text: pass (user, password), or Bearer(token) for a token")
    if hasattr(auth, "bind") or hasattr(auth, "auth_flow") or hasattr(auth, "async_auth_flow"):
        return auth
    raise UsageError("auth= must be (user, password), Bearer(token), or an httpx.Auth")


def needs_auth(auth: Any, options: Options) -> None:
    """Raise `UsageError` where nothing can authenticate: no ``auth``, certificate or client of the caller."""
    if auth is None and options.cert is None and options.http is None:
        raise UsageError(
            "auth= is missing: pass (user, password), Bearer(token), or cert= for a client certificate"
        )
