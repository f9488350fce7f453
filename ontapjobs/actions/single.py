"""Pause, resume and cancel one of ONTAP's jobs: the request, and the exceptions for refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import attrs

from common.model.errors import (
    ActionRefused,
    ActionUncertain,
    AlreadyFinished,
    ApiError,
    DecodeError,
    JobsError,
    TransportError,
)
from common.model.refs import JobRef, encode_segment
from common.model.states import Action
from common.response.failures import write_outcome_unknown
from common.response.http_response import HttpResponse
from common.sources.reader import HttpReader
from ontapjobs.paths.links import JOBS


async def send_action(reader: HttpReader, ref: JobRef, action: Action) -> None:
    """Ask the server for an action, once. Return when the server has accepted it.

    Raise `AlreadyFinished`, `ActionRefused`, `ActionUncertain`, `JobNotFound` or `SourceError`.
    """
    try:
        response = await reader.send("PATCH", f"{JOBS}/{encode_segment(ref.id)}?action={action}")
    except (TransportError, DecodeError) as error:
        if not error.sent:
            error.ref = ref
            raise
        raise _uncertain(ref, action, error) from error
    if not response.ok:
        raise refusal(
            reader,
            response,
            action,
            subject=str(ref),
            request=f"PATCH job {ref.id} {action}",
            lost=partial(_uncertain, ref, action),
            ref=ref,
        )


def refusal(
    reader: HttpReader,
    response: HttpResponse,
    action: Action,
    *,
    subject: str,
    request: str,
    lost: Callable[[JobsError], ActionUncertain],
    ref: JobRef | None = None,
) -> JobsError:
    """Return the exception for a response that refuses an action on one job (``ref``), or on many.

    ``lost`` returns the exception for a response that leaves open whether the action was carried out.
    """
    error_body = reader.error_body(response)
    known = REFUSALS.get(error_body.code or "")
    if known is not None:
        cls = AlreadyFinished if known.finished else ActionRefused
        message = f" ({error_body.message})" if error_body.message else ""
        return cls(
            f"{subject}: cannot {action}: {known.sentence}{message}",
            code=error_body.code,
            retryable=known.retryable,
            ref=ref,
        )
    failure = reader.request_failure(response, request, ref)
    if write_outcome_unknown(response.status, error_body):
        return lost(failure)
    if isinstance(failure, ApiError) and response.status in (400, 405, 409, 422):
        return ActionRefused(
            f"{subject}: cannot {action}: {failure}",
            code=error_body.code,
            retryable=error_body.transient,
            ref=ref,
        )
    return failure


def _uncertain(ref: JobRef, action: Action, error: JobsError) -> ActionUncertain:
    return ActionUncertain(
        f"{ref}: the response to {action} was lost ({error}); it may have been carried out: read the job "
        "before you repeat it",
        ref=ref,
    )


@attrs.frozen(eq=False)
class Refusal:
    """What one code means. ``finished``: the job has ended; ``retryable``: the action may succeed later."""

    sentence: str
    finished: bool = False
    retryable: bool = False


REFUSALS: Mapping[str, Refusal] = {
    "458762": Refusal("the job has already ended", finished=True),
    "458771": Refusal("the job is running; only a paused job can be resumed"),
    "458773": Refusal("the job manager is not initialised; try again later", retryable=True),
    "458776": Refusal("the job is not running"),
    "458783": Refusal("this kind of job cannot be paused"),
    "458784": Refusal("this kind of job cannot be cancelled"),
    "459753": Refusal("the program that runs the job refused"),
}
"""By the server's code, as text.

From the ONTAP REST reference, "Update the state of a specific asynchronous job".
"""
