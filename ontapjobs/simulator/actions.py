"""What becomes of pause, resume and cancel: on one simulated job, and on all that match a filter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from common.simulator.script import Step
from ontapjobs.simulator.errors import ALLOWED_FROM, OntapError, invalid_value, refuse_action
from ontapjobs.simulator.job_record import link

if TYPE_CHECKING:
    from common.simulator.script import ScriptedJob

BULK_OPTIONS = frozenset({"action", "continue_on_failure", "serial_records"})
"""What a request about many jobs has beside filters and the options of a list."""

_FLAGS: Mapping[str, bool] = MappingProxyType({"true": True, "false": False, "": False})
_CANCELLED = Step(
    "failure",
    None,
    {
        "message": "cancelled by user",
        "code": 459760,
        "error": {"message": "cancelled by user", "code": "459760"},
    },
)
"""How a cancelled job ends: ONTAP has no cancelled state."""


def check_action(action: str) -> None:
    """Raise `OntapError` for an unknown action."""
    if action not in ALLOWED_FROM:
        raise invalid_value(action, "action", "<pause|resume|cancel>")


def act(job: ScriptedJob, action: str, now: float, settle: float) -> None:
    """Carry out an action; for ``settle`` seconds the job still reads running. Raise `OntapError`."""
    moment = job.at(now)
    error = refuse_action(action, moment.state if moment else None, job.refuses)
    if error is not None:
        raise error
    settling = Step("running", settle)
    if action == "pause":
        job.life = job.life.hold(now, settling, Step("paused"))
    elif action == "resume":
        job.life = job.life.release(now)
    else:
        job.life = job.life.finish(now, settling, _CANCELLED)


def act_on_all(
    jobs: Iterable[ScriptedJob], texts: Mapping[str, str], now: float, settle: float
) -> tuple[int, dict[str, Any]]:
    """Carry out the action on each job; return the status and the body of the reply.

    By default the first that refuses ends the request. With ``continue_on_failure`` the others go on, and
    ``errors`` has each error with the job's uuid as its target: the reference shows no such reply.
    """
    go_on, named = _flag(texts, "continue_on_failure"), _flag(texts, "return_records")
    done: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for job in jobs:
        try:
            act(job, texts.get("action", ""), now, settle)
        except OntapError as error:
            errors.append({**error.error, "target": job.id})
            if not go_on:
                break
        else:
            done.append(link(job))
    body: dict[str, Any] = {"num_records": len(done)}
    if named:
        body["records"] = done
    if errors and not go_on:
        return 409, {**body, "error": errors[0]}
    return 200, {**body, "errors": errors} if errors else body


def _flag(texts: Mapping[str, str], name: str) -> bool:
    text = texts.get(name, "")
    if text not in _FLAGS:
        raise invalid_value(text, name, "<true|false>")
    return _FLAGS[text]
