"""Decide how a job ended from ``last_operation`` of its resource: a service instance or a binding.

Facts are from the Cloud Controller v3 API reference: ``type`` is create, update or delete, ``state`` is
"initial", "in progress", "succeeded" or "failed", and ``description`` is the service broker's text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from common.model.errors import DecodeError, JobGone, JobNotFound, JobsError, UsageError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import JobState
from common.response.decoding import Fields, Object
from common.sources.probes import resolved_as

OperationType = Literal["create", "update", "delete"]
"""What a job does to its resource, in the words of ``last_operation.type``."""

TYPES = ("create", "update", "delete")
STATES: Mapping[str, JobState | None] = {
    "initial": None,
    "in progress": None,
    "succeeded": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
}
"""The words of ``last_operation.state``; None while the operation goes on."""


@attrs.frozen
class LastOperation:
    """Reads ``last_operation``; ``type`` is what the job was to do, None to take it from the job."""

    type: OperationType | None = None

    def __attrs_post_init__(self) -> None:
        if self.type is not None and self.type not in TYPES:
            raise UsageError(f"type= must be one of {', '.join(TYPES)}, or left out")

    def __call__(self, ref: JobRef, last: Job | None, resource: Object | None) -> Job | None:
        """Return the job with its end inferred from the resource, None while the operation goes on.

        If the resource does not exist, a delete has succeeded. Raise `JobGone` (`JobNotFound` for a job never
        seen) if the resource does not tell how this job ended: it does not exist and the job was no delete,
        or its last operation is another one. Raise `DecodeError` for a resource without ``last_operation``.
        """
        wanted = self.type or _type_of(ref, last)
        if resource is None:
            if wanted == "delete":
                return resolved_as(ref, last, JobState.SUCCEEDED)
            raise _outcome_unknown(ref, last, "its resource does not exist either")
        operation = resource.get("last_operation")
        if not isinstance(operation, Mapping):
            raise DecodeError(
                "the resource has no last_operation (only service instances and their bindings do): "
                "use absent(path) or present(path)",
                path="$.last_operation",
            )
        fields = Fields(operation)
        done, word, reason = fields.text("type"), fields.text("state") or "", fields.text("description")
        if wanted is not None and done is not None and done.casefold() != wanted:
            raise _outcome_unknown(
                ref, last, f"the last operation of its resource is another one ({done} {word})"
            )
        if word.casefold() not in STATES:
            raise DecodeError(
                f"the state of the last operation is {word!r}, which is unknown",
                path="$.last_operation.state",
            )
        state = STATES[word.casefold()]
        if state is JobState.FAILED:
            return resolved_as(ref, last, state, reason or "the last operation failed, without a reason")
        return None if state is None else resolved_as(ref, last, state)


def _type_of(ref: JobRef, last: Job | None) -> str | None:
    # Korifi's ids begin with the operation: "managed_service_instance.delete~…".
    operation = (last.operation if last is not None else None) or ref.id.partition("~")[0]
    word = operation.rpartition(".")[2]
    return word if word in TYPES else None


def _outcome_unknown(ref: JobRef, last: Job | None, why: str) -> JobsError:
    text = f"{ref}: the server has no such job, and {why}: its outcome is unknown"
    return JobNotFound(text, ref=ref) if last is None else JobGone(text, ref=ref, job=last)
