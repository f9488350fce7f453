"""Errors of the SDK as failures of Temporal, and back: what is tried again, and when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from common.integrations.outcomes import worth_retrying
from common.model.errors import DecodeError, JobFailed, JobsError, SourceError, UsageError
from common.model.serialize import from_dict, to_dict


def application_error(error: JobsError, *, retryable: bool = True) -> ApplicationError:
    """Return a failure whose type is the error's class and whose details are the error as plain data.

    It is retryable where another try may end otherwise, unless ``retryable`` is False, and not before the
    server wants to be asked again (``retry_after``). A job that failed is no fault of the worker: its failure
    is benign, which Temporal neither logs nor counts.
    """
    retry_after = error.retry_after if isinstance(error, SourceError) else None
    benign = isinstance(error, JobFailed)
    return ApplicationError(
        str(error),
        to_dict(error),
        type=error.unknown_kind or type(error).__name__,
        non_retryable=not (retryable and worth_retrying(error)),
        next_retry_delay=timedelta(seconds=retry_after) if retry_after else None,
        category=ApplicationErrorCategory.BENIGN if benign else ApplicationErrorCategory.UNSPECIFIED,
    )


def jobs_error(failure: BaseException) -> JobsError | None:
    """Return the error that a failed activity or workflow ended with, None where it was none of the SDK.

    ``failure`` is what Temporal raises, such as ``ActivityError`` and ``WorkflowFailureError``: the error is
    looked for among its causes.
    """
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, JobsError):
            return cause
        if isinstance(cause, ApplicationError) and (error := _stored_in(cause)) is not None:
            return error
        cause = cause.__cause__
    return None


def _stored_in(failure: ApplicationError) -> JobsError | None:
    data = failure.details[0] if failure.details else None
    if not isinstance(data, Mapping) or "error" not in data or data["error"] != failure.type:
        return None
    try:
        error: JobsError = from_dict(data)
    except (DecodeError, UsageError):
        return None  # another library's details, or those of a later release
    return error


class JobsFailureConverter(DefaultFailureConverter):
    """Let workflows and activities fail with any error of the SDK as with its `application_error`."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Convert an exception to Temporal's failure."""
        if isinstance(exception, JobsError):
            mapped = application_error(exception)
            mapped.__traceback__ = exception.__traceback__
            mapped.__cause__ = exception.__cause__
            exception = mapped
        super().to_failure(exception, payload_converter, failure)
