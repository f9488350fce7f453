"""Control of a simulator over HTTP, below ``/_sim/``, so that clients in any language can use it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from common.simulator.clock import Clock
from common.simulator.control_body import (
    JOB_KEYS,
    TRIGGER_KEYS,
    inject_from,
    read_body,
    read_job,
    read_number,
)
from common.simulator.faults.injection import unmet
from common.simulator.messages import json_response

if TYPE_CHECKING:
    from datetime import datetime

    from common.simulator.counts import Counts
    from common.simulator.faults.injection import Injection
    from common.simulator.messages import Request, Response
    from common.simulator.script import OnWrite, Script, ScriptedJob


class _Simulator(Protocol):
    """What control needs of a simulator."""

    clock: Clock
    jobs: dict[str, ScriptedJob]
    journal: list[Request]
    faults: list[Injection]
    counts: Counts

    @property
    def on_write(self) -> OnWrite: ...
    @on_write.setter
    def on_write(self, on_write: OnWrite) -> None: ...
    def add_job(self, script: Script, *, id: str | None = None, **fields: Any) -> str: ...
    def inject(self, *args: Any, **options: Any) -> Injection: ...
    def wall(self, at: float) -> datetime: ...
    def reset(self) -> None: ...


FAULT_KEYS = ("match", "faults", *TRIGGER_KEYS)
PARTS = ("jobs", "writes", "faults", "clock", "journal", "counts", "reset", "verify")
LONGEST = 250
"""Characters in the sentence of an error, which quotes what was sent."""
SECRET = frozenset({"authorization", "proxy-authorization", "cookie"})
"""Headers whose values the journal does not show."""


class _NotFound(Exception):
    pass


def control(simulator: _Simulator, request: Request) -> Response:
    """Carry out a request to control the simulator, and return the response, in JSON.

    Its status is 404 for a path, job or fault that does not exist, 400 for a body that makes no sense, and
    409 where an injected fault was never met.
    """
    try:
        status, data = _route(simulator, request)
    except _NotFound as error:
        return json_response(404, {"error": _sentence(error)})
    except (ValueError, OverflowError) as error:
        return json_response(400, {"error": _sentence(error)})
    return json_response(status, data)


def _sentence(error: Exception) -> str:
    sentence = " ".join(str(error).split())
    return sentence if len(sentence) <= LONGEST else f"{sentence[:LONGEST]}…"


def _route(simulator: _Simulator, request: Request) -> tuple[int, dict[str, Any]]:
    match request.method, *request.segments[1:]:
        case ("GET",):
            return 200, {"simulator": type(simulator).__name__, **_clock(simulator), "parts": list(PARTS)}
        case "GET", "jobs":
            return 200, {"jobs": [_job(simulator, job) for job in simulator.jobs.values()]}
        case "POST", "jobs":
            return 201, _job(simulator, _added(simulator, request))
        case "DELETE", "jobs":
            simulator.jobs.clear()
            return 200, {}
        case "GET" | "DELETE" as method, "jobs", id:
            if id not in simulator.jobs:
                raise _NotFound(f"there is no job {id!r}")
            return 200, _job(simulator, simulator.jobs[id] if method == "GET" else simulator.jobs.pop(id))
        case "PUT" | "POST", "writes":
            simulator.on_write = read_job(read_body(request, JOB_KEYS))
            return 200, {}
        case "GET", "faults":
            return 200, {"faults": [_injection(each) for each in simulator.faults]}
        case "POST", "faults":
            return 201, _injection(inject_from(simulator.inject, read_body(request, FAULT_KEYS)))
        case "DELETE", "faults":
            simulator.faults.clear()
            return 200, {}
        case "GET" | "DELETE" as method, "faults", number:
            injection = next((each for each in simulator.faults if str(each.id) == number), None)
            if injection is None:
                raise _NotFound(f"there is no fault {number!r}")
            if method == "DELETE":
                simulator.faults.remove(injection)
            return 200, _injection(injection)
        case "GET", "clock":
            return 200, _clock(simulator)
        case "PUT" | "POST", "clock":
            _set_clock(simulator, request)
            return 200, _clock(simulator)
        case "GET", "journal":
            return 200, {"journal": [_logged(simulator, logged) for logged in simulator.journal]}
        case "DELETE", "journal":
            simulator.journal.clear()
            return 200, {}
        case "GET", "counts":
            return 200, _counts(simulator)
        case "POST", "reset":
            simulator.reset()
            return 200, {}
        case "GET" | "POST", "verify":
            sentences = unmet(simulator.faults)
            return 409 if sentences else 200, {"unmet": sentences}
        case _:
            known = ", ".join(PARTS)
            raise _NotFound(f"no {request.method} {request.path}; below /_sim/ there are {known}")


def _added(simulator: _Simulator, request: Request) -> ScriptedJob:
    new = read_job(read_body(request, JOB_KEYS))
    try:
        return simulator.jobs[simulator.add_job(new.script, id=new.id, **new.fields)]
    except TypeError as error:
        raise ValueError(str(error)) from None


def _set_clock(simulator: _Simulator, request: Request) -> None:
    body = read_body(request, ("scale", "step"))
    if not body:
        raise ValueError('the clock takes {"step": seconds} or {"scale": factor}')
    scale = read_number(body, "scale") if "scale" in body else simulator.clock.scale
    step = read_number(body, "step") if "step" in body else 0.0
    Clock.scaled(scale)  # raises before the step is made: a wrong request changes nothing
    simulator.clock.step(step)
    simulator.clock.scale = scale


def _clock(simulator: _Simulator) -> dict[str, Any]:
    now = simulator.clock.now()
    return {"now": now, "date": simulator.wall(now).isoformat(), "scale": simulator.clock.scale}


def _counts(simulator: _Simulator) -> dict[str, Any]:
    """Return how many requests there were, how many met each fault, and how many jobs are in each state."""
    moments = [job.at(simulator.clock.now()) for job in simulator.jobs.values()]
    states = Counter("gone" if moment is None else str(moment.state) for moment in moments)
    return {
        **simulator.counts.as_data(),
        "faults": {str(each.id): len(each.met) for each in simulator.faults},
        "jobs": dict(states.most_common()),
    }


def _job(simulator: _Simulator, job: ScriptedJob) -> dict[str, Any]:
    moment = job.at(simulator.clock.now())
    script = [[step.state, step.seconds, dict(step.changes)] for step in job.life.steps]
    data = {"id": job.id, "state": None, "gone": moment is None, "script": script, "fields": {**job.fields}}
    return data if moment is None else {**data, "state": moment.state, "fields": {**moment.fields}}


def _injection(injection: Injection) -> dict[str, Any]:
    return {
        "id": injection.id,
        "fault": str(injection),
        "matched": injection.matched,
        "met": len(injection.met),
    }


def _logged(simulator: _Simulator, request: Request) -> dict[str, Any]:
    met = next((each.id for each in simulator.faults if any(one is request for one in each.met)), None)
    form = "form-urlencoded" in request.headers.get("content-type", "")  # a sign-in: the body holds secrets
    return {
        "method": request.method,
        "target": request.target,
        "headers": {name: "…" if name in SECRET else text for name, text in request.headers.items()},
        "body": "…" if form else request.body.decode("utf-8", "replace"),
        "at": request.at,
        "status": request.status,
        "fault": met,
    }
