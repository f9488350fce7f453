"""The errors of the simulated ONTAP: their codes, statuses and texts, as data."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from common.simulator.messages import json_response
from common.simulator.script import Words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.simulator.messages import Response

HEADERS: Mapping[str, str] = MappingProxyType({"Keep-Alive": "timeout=5, max=100"})
CONTENT_TYPE = "application/hal+json"

MALFORMED_ID = "2"
GONE = "4"
INVALID_VALUE = "262197"
NOT_AUTHORIZED = "6691623"

ACTION_TEXTS: Mapping[int, str] = MappingProxyType(
    {
        458762: "The job has already reached a terminal state.",
        458771: "The job is running.",
        458776: "The job is not running.",
        458783: "The job does not support pause.",
        458784: "The job does not support cancel.",
    }
)

UNSUPPORTED: Mapping[str, int] = MappingProxyType({"pause": 458783, "cancel": 458784})
"""The code for an action that this job does not support. The reference names none for resume."""

TERMINAL = Words("success", "failure", "dead", "error", "quit", "expired", "cancelled")
FAILED = Words("failure", "dead", "error", "quit", "expired")
NOT_BEGUN = Words("queued", "initial")

ALLOWED_FROM: Mapping[str, frozenset[str | None] | None] = MappingProxyType(
    {"pause": frozenset({"running"}), "resume": frozenset({"paused"}), "cancel": None}
)
"""The states in which an action is accepted; None: every state that is not terminal."""

CONFLICTS: Mapping[str | None, int] = MappingProxyType({"running": 458771})
"""The code for an action in a state that does not allow it; else the job is "not running"."""


class OntapError(Exception):
    """An error reply, raised where a request is refused."""

    def __init__(self, status: int, code: str, message: str, target: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, str] = {"message": message, "code": code}
        if target is not None:
            self.error["target"] = target

    def response(self) -> Response:
        """Return the error as a response."""
        return reply(self.status, {"error": self.error})


def reply(status: int, data: object) -> Response:
    """Return a JSON response with the headers that ONTAP sends."""
    return json_response(status, data, HEADERS, content_type=CONTENT_TYPE)


def not_authorized() -> OntapError:
    """Return the error for wrong credentials, or none."""
    return OntapError(401, NOT_AUTHORIZED, "User is not authorized.")


def gone() -> OntapError:
    """Return the error for a well-formed id that names no job, or no longer does."""
    return OntapError(404, GONE, "entry doesn't exist", "uuid")


def malformed_id(text: str) -> OntapError:
    """Return the error for an id that is not a UUID."""
    return OntapError(404, MALFORMED_ID, f'"{text}" is an invalid value for field "uuid" (<UUID>)', "uuid")


def invalid_value(text: str, field: str, expected: str) -> OntapError:
    """Return the error for a value that its parameter does not accept."""
    message = f'The value "{text}" is invalid for field "{field}" ({expected})'
    return OntapError(400, INVALID_VALUE, message, field)


def unknown_field(name: str, parameter: str) -> OntapError:
    """Return the error for a field that this release lacks, in ``fields`` or as a filter."""
    return OntapError(400, INVALID_VALUE, f'The field "{name}" is unknown', parameter)


def conflict(code: int) -> OntapError:
    """Return the error for an action that the job refuses; ONTAP's status for it is undocumented."""
    return OntapError(409, str(code), ACTION_TEXTS[code])


def refuse_action(action: str, state: str | None, unsupported: frozenset[str]) -> OntapError | None:
    """Return the error with which a job in this state refuses an action; None if it accepts it."""
    allowed = ALLOWED_FROM[action]
    if state in TERMINAL:
        return conflict(458762)
    if allowed is not None and state not in allowed:
        return conflict(CONFLICTS.get(state, 458776))
    if action in unsupported:
        return conflict(UNSUPPORTED[action])
    return None
