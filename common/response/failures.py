"""Make the exception for a response that is not a success: its class, whether it is transient, a hint."""

from __future__ import annotations

import attrs

from common.model.errors import ApiError, AuthenticationError, PermissionDenied, RateLimited, ServerError
from common.response.http_response import EXCERPT, HttpResponse

TRANSIENT = frozenset({408, 425, 429})
"""Statuses below 500 that are transient on every server; all of 5xx are too."""
FATAL = {
    401: "check the credentials, or that the token has not expired",
    403: "the account signed in, but its role does not allow this",
}
"""Statuses that are not transient unless the API's own code is, with what the user should do."""
GATEWAY_ERRORS = frozenset({502, 504})
"""Statuses by which a gateway says that it lost the response: the write may have been carried out."""

_CLASSES: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    403: PermissionDenied,
    429: RateLimited,
}


@attrs.frozen(eq=False)
class ErrorBody:
    """What an error body says, read by the provider's ``wire`` module.

    ``from_api`` is False where the body is not the API's (a proxy's page): such a response is transient
    whatever its status, unless that is 401 or 403. ``transient`` is True where the API's own code says so,
    whatever the status. ``forwarded`` is what a gateway says that answers in the API's place: False if the
    API did not get the request, True if it may have.
    ``not_found`` means that the job does not exist, ``never_existed`` that its id can never be a job's.
    ``hint`` says what the user should do.
    """

    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    from_api: bool = True
    transient: bool = False
    forwarded: bool | None = None
    not_found: bool = False
    never_existed: bool = False
    hint: str | None = None


def is_transient(status: int, error_body: ErrorBody) -> bool:
    """Whether the same request may succeed later."""
    if error_body.transient or status in FATAL:
        return error_body.transient
    return not error_body.from_api or status in TRANSIENT or status >= 500 or status < 400


def write_outcome_unknown(status: int, error_body: ErrorBody) -> bool:
    """Whether a write with this response may have been carried out; a gateway may say so (``forwarded``)."""
    if error_body.forwarded is not None:
        return error_body.forwarded
    return status in GATEWAY_ERRORS or (status >= 500 and not error_body.from_api)


def api_error(
    response: HttpResponse,
    error_body: ErrorBody,
    *,
    request: str,
    refused: bool = False,
    show_body: bool = True,
) -> ApiError:
    """Return the exception for a response that is not a success; its text names the ``request``.

    It is an `AuthenticationError` if credentials were ``refused``, whatever the status. With ``show_body``,
    an excerpt of the body is shown if there is no message.
    """
    cls = _CLASSES.get(response.status, ServerError if response.status >= 500 else ApiError)
    if refused:
        cls = AuthenticationError
    phrase, excerpt = _phrase(response.status), response.excerpt if show_body else ""
    body = f"the body begins {excerpt[:120]!r}" if excerpt else "no body"
    if response.body and not show_body:
        body = "the body is not shown"
    detail = error_body.message or ("a redirect, which is not followed" if response.is_redirect else body)
    elsewhere = response.redirected_to
    if elsewhere is not None:
        # Without the body, which is not the API's and usually repeats the whole address.
        error_body = attrs.evolve(error_body, code=None, message=None)
        detail, excerpt = f"a redirect to {elsewhere}, which is not followed", ""
    text = f"{request} answered {response.status}{phrase}: {detail}"
    if error_body.code:
        text += f" (code {error_body.code})"
    if error_body.request_id:
        text += f" (request {error_body.request_id})"
    transient = elsewhere is None and not refused and is_transient(response.status, error_body)
    hint = error_body.hint or (None if transient else FATAL.get(response.status))
    if elsewhere is not None:
        hint = "if that is the right server, use its address as the endpoint"
    error = cls(
        f"{text}; {hint}" if hint else text,
        status=response.status,
        code=error_body.code,
        message=error_body.message,
        request_id=error_body.request_id,
        body=excerpt[:EXCERPT],
        transient=transient,
        retry_after=response.retry_after,
    )
    if error_body.forwarded is False:
        error.sent = False
    return error


def _phrase(status: int) -> str:
    from http import HTTPStatus  # lazily: only failures need it

    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""
