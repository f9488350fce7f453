"""Read the JSON bodies sent to ``/_sim/``: jobs, faults, numbers. Raise `ValueError` with what is wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, cast

import attrs

from common.model.nesting import too_deep
from common.simulator.faults import KINDS, Fault
from common.simulator.faults.match import Match, match_of
from common.simulator.script import NewJob, ScriptedLife, Step

if TYPE_CHECKING:
    from common.simulator.faults.injection import Injection
    from common.simulator.messages import Request

Data = Mapping[str, Any]

LARGEST = 16 * 2**20
"""Bytes in a body, at most."""
JOB_KEYS = ("script", "id", "fields", "warnings")
STEP_KEYS = ("state", "seconds", "changes")
TRIGGER_KEYS: Mapping[str, type[object]] = {
    "times": int,
    "after": int,
    "after_seconds": float,
    "probability": float,
}
MATCH_KEYS: Mapping[str, type[object]] = {
    "method": str,
    "path": str,
    "regex": str,
    "query": dict,
    "job": str,
    "nth": int,
}


def read_body(request: Request, keys: Collection[str]) -> Data:
    """Return the JSON object in a body. Raise `ValueError` for anything else, and for keys not named."""
    if len(request.body) > LARGEST:
        raise ValueError(f"the body has {len(request.body)} bytes; a body has {LARGEST} at most")
    try:
        data = json.loads(request.body, parse_constant=_no_number, parse_float=_finite)
        # Raises for lone surrogates, which no response could quote.
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a text in the body contains a lone surrogate and cannot be encoded") from None
    except ValueError as error:
        raise ValueError(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise ValueError("the body is nested too deep") from None
    if too_deep(data):
        raise ValueError("the body is nested too deep")
    return _object(data, "the body", keys)


def read_number(data: Data, key: str) -> float:
    """Return the number under a key. Raise `ValueError` for anything else."""
    return float(_typed(data[key], float, key))


def read_job(data: Data) -> NewJob:
    """Return the job that a body describes. Raise `ValueError` for a script that makes no sense."""
    if "script" not in data:
        raise ValueError('a job needs a script: {"script": [["queued", 1], ["success", null]]}')
    script = [_step(step) for step in _typed(data["script"], list, "script")]
    ScriptedLife.of(script)
    fields = _typed(data.get("fields") or {}, dict, "fields")
    for name in ("script", "id"):
        if name in fields:
            raise ValueError(f'{name!r} belongs beside "fields", not in it')
    id = data.get("id")
    warnings = [
        _typed(each, str, "a warning") for each in _typed(data.get("warnings") or [], list, "warnings")
    ]
    return NewJob(script, fields, None if id is None else _typed(id, str, "id"), tuple(warnings))


def inject_from(inject: Callable[..., Injection], data: Data) -> Injection:
    """Inject the faults that a body describes. Raise `ValueError` for those that make no sense."""
    described = data.get("faults")
    faults = [_fault(each) for each in (described if isinstance(described, list) else [described])]
    trigger = {
        name: _typed(data[name], kind, name)
        for name, kind in TRIGGER_KEYS.items()
        if name in data and not (name == "times" and data[name] is None)
    }
    if "times" in data:
        trigger.setdefault("times", None)
    return inject(_match(data.get("match")), *faults, **trigger)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _fault(data: object) -> Fault:
    described = _object(data, "a fault", None)
    kind = KINDS.get(str(described.get("kind")))
    if kind is None:
        raise ValueError(f"a fault's kind is one of {', '.join(KINDS)}, not {described.get('kind')!r}")
    arguments = {name: value for name, value in described.items() if name != "kind"}
    fields = attrs.fields_dict(kind)
    _object(arguments, f"{kind.__name__}", fields)
    missing = [
        name for name, field in fields.items() if field.default is attrs.NOTHING and name not in arguments
    ]
    if missing:
        raise ValueError(f"{kind.__name__} needs {', '.join(missing)}")
    return kind(**arguments)


def _match(data: object) -> Match:
    if data is None or isinstance(data, str):
        return match_of(data)
    described = _object(data, "a match", MATCH_KEYS)
    conditions = {
        name: _typed(value, MATCH_KEYS[name], name) for name, value in described.items() if value is not None
    }
    for text in conditions.get("query", {}).values():
        _typed(text, str, "the pattern of a parameter")
    return Match(**conditions)


def _step(data: object) -> Step:
    if isinstance(data, list) and 1 <= len(data) <= len(STEP_KEYS):
        data = dict(zip(STEP_KEYS, data, strict=False))
    step = _object(data, "a step", STEP_KEYS)
    state, seconds = step.get("state"), step.get("seconds")
    return Step(
        None if state is None else _typed(state, str, "state"),
        None if seconds is None else _typed(seconds, float, "seconds"),
        _typed(step.get("changes") or {}, dict, "changes"),
    )


def _object(data: object, what: str, keys: Collection[str] | None) -> Data:
    known = cast("dict[str, Any]", _typed(data, dict, what))
    for name in known:
        if keys is not None and name not in keys:
            raise ValueError(f"{what} has no {name!r}; it takes {', '.join(keys) or 'nothing'}")
    return known


_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "an array"}


def _typed(value: object, kind: type[Any], what: str) -> Any:
    fits = isinstance(value, (int, float) if kind is float else kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{what} must be {_NAMES.get(kind, 'a JSON object')}, not {value!r:.60}")
    return value
