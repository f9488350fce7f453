"""How a simulator is told over HTTP what to do, below ``/_sim/``, so that clients in any language can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.simulator.clock import Clock
from common.simulator.control_body import JOB_KEYS, TERM_KEYS, body_of, injected_by, job_of, number_of
from common.simulator.faults.injection import complaints
from common.simulator.messages import json_response

if TYPE_CHECKING:
    from common.simulator.faults.injection import Injection
    from common.simulator.messages import Request, Response
    from common.simulator.script import ScriptedJob
    from common.simulator.simulator import Simulator

FAULT_KEYS = ("match", "faults", *TERM_KEYS)
PARTS = ("jobs", "writes", "faults", "clock", "journal", "reset", "verify")
LONGEST = 250
"""Characters of a complaint: it quotes what was sent."""
SECRET = frozenset({"authorization", "proxy-authorization", "cookie"})
"""Headers whose values the journal keeps to itself."""


class _NotFound(Exception):
    pass


def control(system: Simulator, request: Request) -> Response:
    """Do what a request asks of the simulator, and say so in JSON; 400 with what is wrong."""
    try:
        status, data = _route(system, request)
    except _NotFound as error:
        return json_response(404, {"error": _sentence(error)})
    except (ValueError, OverflowError) as error:
        return json_response(400, {"error": _sentence(error)})
    return json_response(status, data)


def _sentence(error: Exception) -> str:
    said = " ".join(str(error).split())
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}…"


def _route(system: Simulator, request: Request) -> tuple[int, dict[str, Any]]:
    match request.method, *request.segments[1:]:
        case ("GET",):
            return 200, {"simulator": type(system).__name__, **_clock(system), "parts": list(PARTS)}
        case "GET", "jobs":
            return 200, {"jobs": [_job(system, job) for job in system.jobs.values()]}
        case "POST", "jobs":
            return 201, _job(system, _added(system, request))
        case "DELETE", "jobs":
            system.jobs.clear()
            return 200, {}
        case "GET" | "DELETE" as method, "jobs", id:
            if id not in system.jobs:
                raise _NotFound(f"there is no job {id!r}")
            return 200, _job(system, system.jobs[id] if method == "GET" else system.jobs.pop(id))
        case "PUT" | "POST", "writes":
            system.on_write = job_of(body_of(request, JOB_KEYS))
            return 200, {}
        case "GET", "faults":
            return 200, {"faults": [_injection(each) for each in system.faults]}
        case "POST", "faults":
            return 201, _injection(injected_by(system, body_of(request, FAULT_KEYS)))
        case "DELETE", "faults":
            system.faults.clear()
            return 200, {}
        case "GET" | "DELETE" as method, "faults", number:
            found = next((each for each in system.faults if str(each.id) == number), None)
            if found is None:
                raise _NotFound(f"there is no fault {number!r}")
            if method == "DELETE":
                system.faults.remove(found)
            return 200, _injection(found)
        case "GET", "clock":
            return 200, _clock(system)
        case "PUT" | "POST", "clock":
            _set_clock(system, request)
            return 200, _clock(system)
        case "GET", "journal":
            return 200, {"journal": [_entry(system, entry) for entry in system.journal]}
        case "DELETE", "journal":
            system.journal.clear()
            return 200, {}
        case "POST", "reset":
            system.reset()
            return 200, {}
        case "GET" | "POST", "verify":
            unmet = complaints(system.faults)
            return 409 if unmet else 200, {"unmet": unmet}
        case _:
            known = ", ".join(PARTS)
            raise _NotFound(f"no {request.method} {request.path}; below /_sim/ there are {known}")


def _added(system: Simulator, request: Request) -> ScriptedJob:
    new = job_of(body_of(request, JOB_KEYS))
    try:
        return system.jobs[system.add_job(new.script, id=new.id, **new.fields)]
    except TypeError as error:
        raise ValueError(str(error)) from None


def _set_clock(system: Simulator, request: Request) -> None:
    asked = body_of(request, ("scale", "step"))
    if not asked:
        raise ValueError('say {"step": seconds} or {"scale": factor}')
    scale = number_of(asked, "scale") if "scale" in asked else system.clock.scale
    step = number_of(asked, "step") if "step" in asked else 0.0
    Clock.scaled(scale)  # raises: a wrong order is not carried out by half
    system.clock.step(step)
    system.clock.scale = scale


def _clock(system: Simulator) -> dict[str, Any]:
    now = system.clock.now()
    return {"now": now, "date": system.wall(now).isoformat(), "scale": system.clock.scale}


def _job(system: Simulator, job: ScriptedJob) -> dict[str, Any]:
    moment = job.at(system.clock.now())
    script = [[step.state, step.seconds, dict(step.changes)] for step in job.life.steps]
    said = {"id": job.id, "state": None, "gone": moment is None, "script": script, "fields": {**job.fields}}
    return said if moment is None else {**said, "state": moment.state, "fields": {**moment.fields}}


def _injection(injection: Injection) -> dict[str, Any]:
    return {
        "id": injection.id,
        "fault": str(injection),
        "matched": injection.matched,
        "met": len(injection.met),
    }


def _entry(system: Simulator, entry: Request) -> dict[str, Any]:
    met = next((each.id for each in system.faults if any(one is entry for one in each.met)), None)
    form = "form-urlencoded" in entry.headers.get("content-type", "")  # somebody signs in
    return {
        "method": entry.method,
        "target": entry.target,
        "headers": {name: "…" if name in SECRET else text for name, text in entry.headers.items()},
        "body": "…" if form else entry.body.decode("utf-8", "replace"),
        "at": entry.at,
        "status": entry.status,
        "fault": met,
    }
