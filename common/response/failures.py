"""What a reply that is no success means: which exception, whether it passes by itself, what to do."""

from __future__ import annotations

from http import HTTPStatus

import attrs

from common.model.errors import ApiError, AuthenticationError, PermissionDenied, RateLimited, ServerError
from common.response.http_response import EXCERPT, HttpResponse

TRANSIENT = frozenset({408, 425, 429})
"""Statuses below 500 that pass by themselves on any server; all of 5xx does too."""
FATAL = {
    401: "check the credentials, or that the token has not expired",
    403: "the account signed in, but its role does not allow this",
}
"""Statuses that never pass by themselves, with what to do about them."""
GATEWAY_ERRORS = frozenset({502, 504})
"""A gateway's word for a reply that it lost: the write behind it may have been taken."""

_CLASSES: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    403: PermissionDenied,
    429: RateLimited,
}


@attrs.frozen
class ErrorBody:
    """What a provider's error body says, read by the provider's ``wire`` module.

    ``spoken`` is False where the body is not the API's (a proxy's page): such a reply passes by itself,
    whatever its status, unless that is 401 or 403. ``missing`` where it says that the job does not exist,
    ``certain`` where the id can never be a job's.
    """

    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    from_api: bool = True
    transient: bool = False
    not_found: bool = False
    never_existed: bool = False
    hint: str | None = None


def is_transient(status: int, fault: ErrorBody) -> bool:
    """Whether asking again later can help."""
    if status in FATAL:
        return False
    return fault.transient or not fault.from_api or status in TRANSIENT or status >= 500 or status < 400


def write_outcome_unknown(status: int, fault: ErrorBody) -> bool:
    """Whether a write that got this reply may have been taken: a gateway says no more than that it failed."""
    return status in GATEWAY_ERRORS or (status >= 500 and not fault.from_api)


def api_error(reply: HttpResponse, fault: ErrorBody, *, request: str) -> ApiError:
    """The typed exception for a reply that is no success; ``asked`` is the request, for its text."""
    cls = _CLASSES.get(reply.status, ServerError if reply.status >= 500 else ApiError)
    phrase = _phrase(reply.status)
    said = fault.message or (f"the body begins {reply.excerpt[:120]!r}" if reply.excerpt else "no body")
    text = f"{request} answered {reply.status}{phrase}: {said}"
    if fault.code:
        text += f" (code {fault.code})"
    if fault.request_id:
        text += f" (request {fault.request_id})"
    hint = fault.hint or FATAL.get(reply.status)
    return cls(
        f"{text}; {hint}" if hint else text,
        status=reply.status,
        code=fault.code,
        message=fault.message,
        request_id=fault.request_id,
        body=reply.excerpt[:EXCERPT],
        transient=is_transient(reply.status, fault),
        retry_after=reply.retry_after,
    )


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""
