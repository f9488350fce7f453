"""Every exception that this SDK raises.

JobsError
 +-- UsageError              the call was wrong; nothing was sent (also a ValueError)
 |    +-- WrongSource        the ref belongs to another provider, endpoint or scope
 +-- SourceError             the server or the connection to it
 |    +-- TransportError     no response: refused, reset, timed out, TLS
 |    +-- ApiError           an error response: status, code, message, request_id, body
 |    |    +-- AuthenticationError   401, or a sign-in was refused
 |    |    +-- PermissionDenied      403
 |    |    +-- RateLimited           429
 |    |    +-- ServerError           5xx
 |    +-- DecodeError        a response that could not be read; ``path`` says where
 +-- JobNotFound             the API says that it never knew the job
 +-- JobGone                 the API knew the job and has forgotten it; the outcome is unknown
 +-- Unsupported             the server has no such operation
 +-- ActionRefused           the server refused pause, resume or cancel
 |    +-- AlreadyFinished    because the job has ended
 +-- ActionUncertain         the response to an action or a write was lost: it may have been carried out
 +-- JobFailed               the job ended as FAILED or CANCELLED
 |    +-- JobPartiallyFailed the job ended as PARTIAL
 +-- SourceClosed            the source was closed during the wait; says nothing of the job
 +-- WaitTimeout             the deadline passed first (also a TimeoutError); says nothing of the job
 +-- UnexpectedState         a state that the caller did not ask for, or UNKNOWN for too long

JobsFailed                  some of many waits failed: an ExceptionGroup of JobsErrors

All of them pickle, whatever their signature, and none holds a secret or a type of the HTTP library.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from copyreg import __newobj__  # type: ignore[attr-defined]  # typeshed does not have it
from typing import TYPE_CHECKING, Any, Self, TypeVar

from common.model.failure_text import failure_text, state_words
from common.set_module import set_module

if TYPE_CHECKING:
    from common.model.job import Job
    from common.model.refs import JobRef

_E = TypeVar("_E", bound="JobsError")


def rebuild(cls: type[_E], args: tuple[Any, ...], state: dict[str, Any]) -> _E:
    """Return an error with these arguments and attributes, without a call of its constructor."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class JobsError(Exception):
    """Base class of all errors of this SDK. ``ref`` and ``job`` (as last seen) name the job, if any."""

    _final = False
    unknown_kind: str | None = None
    """The name of its class, if it was stored by a later release and is of a class that this one lacks."""

    def __init__(self, message: str, *, ref: JobRef | None = None, job: Job | None = None) -> None:
        super().__init__(message)
        self.ref = ref
        self._job = job

    @property
    def job(self) -> Job | None:
        """The last observation of the job; None if there was none, or the error is not about a job."""
        return self._job

    @property
    def final(self) -> bool:
        """Whether the outcome is final, so that a retry is pointless."""
        return self._final

    def about(self, ref: JobRef | None, job: Job | None = None) -> None:
        """Set the job that the error is about, where the code that raised it did not know."""
        self.ref = ref
        self._job = job or self._job

    def copy_for(self, ref: JobRef | None, job: Job | None, text: str | None = None) -> Self:
        """Return a copy about one job: one request may serve many waits, and each gets its own.

        ``text`` takes the place of the message.
        """
        copied = rebuild(type(self), self.args if text is None else (text,), self.__dict__)
        copied.__dict__.pop("__notes__", None)
        for note in getattr(self, "__notes__", ()):
            copied.add_note(note)
        copied.__cause__ = self.__cause__
        copied.about(ref, job)
        return copied.with_traceback(self.__traceback__)

    def __reduce__(self) -> tuple[Any, ...]:
        # BaseException would call the class with its args alone, which breaks subclasses that need more. This
        # is what object does, and a pickle names no function of this module, which may move. `args` is part
        # of the state because OSError.__new__ sets none.
        return __newobj__, (type(self), *self.args), {**self.__dict__, "args": self.args}


class UsageError(JobsError, ValueError):
    """The call itself was wrong. Raised before any request; the message says what to do instead."""


class WrongSource(UsageError):
    """The job belongs to another provider, endpoint or scope than the source that was called."""


class SourceError(JobsError):
    """The server, or the connection to it, failed. A wait retries if ``transient`` is True."""

    transient: bool = False
    retry_after: float | None = None
    """Seconds that the server asked to wait before the next request, or None."""
    sent: bool = True
    """False only if the server has certainly not received, or not carried out, the request."""


class TransportError(SourceError):
    """No response came.

    ``dropped``: an open connection broke, which is normal for an idle keep-alive connection.
    ``misconfigured``: a certificate does not verify, a host name does not exist, or one side speaks TLS and
    the other plain http; that is ``transient`` only where the source has had a good reply before.
    """

    transient: bool = True

    def __init__(
        self,
        message: str,
        *,
        sent: bool = True,
        dropped: bool = False,
        misconfigured: bool = False,
        ref: JobRef | None = None,
        job: Job | None = None,
    ) -> None:
        super().__init__(message, ref=ref, job=job)
        self.sent = sent
        self.dropped = dropped
        self.misconfigured = misconfigured
        self.transient = not misconfigured


class ApiError(SourceError):
    """A response that is not a success.

    ``status`` is the HTTP status; ``code`` and ``message`` are the API's own (None where the body has none);
    ``request_id`` identifies the request to the provider's support; ``body`` is an excerpt of at most 500
    characters.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int,
        code: str | None = None,
        message: str | None = None,
        request_id: str | None = None,
        body: str = "",
        transient: bool = False,
        retry_after: float | None = None,
        ref: JobRef | None = None,
        job: Job | None = None,
    ) -> None:
        super().__init__(text, ref=ref, job=job)
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id
        self.body = body
        self.transient = transient
        self.retry_after = retry_after


class AuthenticationError(ApiError):
    """The credentials were refused, also after one refresh: 401, or a sign-in's 400 (RFC 6749) or 403."""


class PermissionDenied(ApiError):
    """403: signed in, but not allowed."""


class RateLimited(ApiError):
    """429: too many requests; ``retry_after`` says for how many seconds, where the server did."""


class ServerError(ApiError):
    """5xx: the server, or a gateway in front of it, failed."""


class DecodeError(SourceError):
    """A response that could not be decoded.

    ``path`` says where, as in ``$.records[3].state``. ``transient`` is True where the response was not the
    API's (a proxy's page, half a body).
    """

    def __init__(
        self,
        message: str,
        *,
        path: str = "$",
        transient: bool = False,
        ref: JobRef | None = None,
        job: Job | None = None,
    ) -> None:
        text = message if message.startswith(f"{path}: ") else f"{path}: {message}"
        super().__init__(text, ref=ref, job=job)
        self.path = path
        self.transient = transient


class JobNotFound(JobsError):
    """The API has no such job. ``certain``: the id can never be that of a job."""

    _final = True

    def __init__(
        self, message: str, *, certain: bool = False, ref: JobRef | None = None, job: Job | None = None
    ) -> None:
        super().__init__(message, ref=ref, job=job)
        self.certain = certain


class JobGone(JobsError):
    """The job was seen, and the API no longer has it. Its outcome is unknown."""

    _final = True


class Unsupported(JobsError):
    """The system has no such operation; nothing was sent."""


class ActionRefused(JobsError):
    """The server refused an action. ``code`` is the server's; ``retryable``: the action may succeed later."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retryable: bool = False,
        ref: JobRef | None = None,
        job: Job | None = None,
    ) -> None:
        super().__init__(message, ref=ref, job=job)
        self.code = code
        self.retryable = retryable


class AlreadyFinished(ActionRefused):
    """The action came too late: the job had ended."""


class ActionUncertain(JobsError):
    """The response to an action, or to a write of ``start``, was lost: the request may have been carried out.

    It is not sent again. After an action, read the job (``ref``) before you repeat it. After a write, whose
    job is not known (``ref`` is None), look for what the message names before you repeat it.
    """


class JobFailed(JobsError):
    """The job ended without success. The message has all errors; ``job`` is the job as it ended."""

    _final = True

    def __init__(self, job: Job) -> None:
        super().__init__(failure_text(job), ref=job.ref, job=job)
        self._failed = job

    @property
    def job(self) -> Job:
        """The whole job, as it ended."""
        return self._failed


class JobPartiallyFailed(JobFailed):
    """The job ended as PARTIAL: part of its work failed."""


class SourceClosed(JobsError):
    """The source was closed during the wait. This says nothing about the job."""


class WaitTimeout(JobsError, TimeoutError):
    """The deadline passed before the job ended. The job may still be running; it has not failed."""


class UnexpectedState(JobsError):
    """The job ended in another state than waited for (``final``), or was UNKNOWN for too long."""

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self._job is not None and self._job.done


class JobsFailed(ExceptionGroup[JobsError]):
    """Some of many waits failed. ``outcomes`` has every one by ref: the `Job`, the error, or None.

    As an exception group it holds the errors: ``except* JobFailed`` takes the failed jobs out of it.
    """

    outcomes: dict[JobRef, Job | JobsError | None]

    @classmethod
    def of(cls, outcomes: Iterable[tuple[JobRef, Job | JobsError | None]]) -> JobsFailed:
        """Return the group of the errors among all outcomes. Of two outcomes of one job, an error counts."""
        pairs = list(outcomes)
        errors = [outcome for _, outcome in pairs if isinstance(outcome, JobsError)]
        counts = ", ".join(f"{n} {kind}" for kind, n in sorted(Counter(map(_kind, errors)).items()))
        group = cls(f"{len(errors)} of {len(pairs)} jobs: {counts}", errors)
        group.outcomes = dict(pairs)
        group.outcomes.update((ref, outcome) for ref, outcome in pairs if isinstance(outcome, JobsError))
        return group

    def derive(self, excs: Sequence[JobsError]) -> JobsFailed:  # type: ignore[override]
        """Return a group of some of the errors, with all outcomes; used by ``except*`` and ``split``."""
        group = JobsFailed(self.message, excs)
        group.outcomes = self.outcomes
        return group

    def __repr__(self) -> str:  # without the errors: there may be 100,000
        return f"JobsFailed({self.message!r}, <{len(self.exceptions)} errors>)"

    def __reduce__(self) -> tuple[Any, ...]:
        return JobsFailed, (self.message, list(self.exceptions)), self.__dict__.copy()


def _kind(error: JobsError) -> str:
    """Return the state of a job that ended without success, else the exception's name and the last state."""
    if isinstance(error, JobFailed):
        return state_words(error.job)
    seen = "" if error.job is None else f" (last seen {state_words(error.job)})"
    return f"{type(error).__name__}{seen}"


def job_failure(job: Job) -> JobFailed:
    """Return the exception for a job that ended without success: `JobPartiallyFailed` for PARTIAL."""
    return JobPartiallyFailed(job) if job.state.value == "partial" else JobFailed(job)


set_module(*[each for each in vars().values() if isinstance(each, type) and each.__module__ == __name__])
