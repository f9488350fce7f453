"""Faults by phases by systems: each has exactly the outcome that the matrix expects, on both event loops."""

from __future__ import annotations

from typing import Any

import pytest

from common import JobState, Unsupported, WaitTimeout
from common.simulator import Fault, Status
from common.simulator.faults import KINDS
from tests.common.scripted import about
from tests.faults.matrix.cases import (
    PHASES,
    POLL_PHASES,
    TARGETS,
    CaseResult,
    Rig,
    Target,
    open_rig,
    run_case,
)
from tests.faults.matrix.exclusions import (
    DOES_NOT_APPLY,
    EXCLUSIONS,
    NO_SUCH_FEATURE,
    SAME_AS_ONE,
    UNSUPPORTED,
)
from tests.faults.matrix.expectations import Expected
from tests.faults.matrix.rows import MATRIX, ROWS

pytestmark = pytest.mark.anyio

CODES: dict[str, dict[int, Any]] = {
    "ontap": {400: "262179", 401: "6691623", 403: "6", 429: "1", 500: "1"},
    "cf": {400: 10005, 401: 1000, 403: 10003, 429: 10013, 500: 10001},
}
TICK = 1e-3
"""Seconds by which a virtual clock may be late, because of rounding."""
ALL = [(name, phase, target) for name in MATRIX for phase in PHASES for target in TARGETS]


def exclusion_reason(name: str, phase: str, target: Target) -> str | None:
    return next((each.reason for each in EXCLUSIONS if each.covers(name, phase, target.name)), None)


def cases(reason: str | None) -> list[Any]:
    """Return the cases that are excluded for this reason; None: those that are not excluded."""
    return [
        pytest.param(name, phase, target, id=f"{target.name}-{phase}-{name}")
        for name, phase, target in ALL
        if exclusion_reason(name, phase, target) == reason
    ]


def fault_of(name: str, target: Target) -> Fault:
    row = MATRIX[name]
    fault = row.provider_faults.get(target.provider, row.faults[name])
    if isinstance(fault, Fault):
        return fault
    return Status(fault, body=_error_body(target.provider, fault))


def _error_body(provider: str, status: int) -> Any:
    match provider:
        case "ontap":
            return {"error": {"message": "so says ONTAP", "code": CODES[provider][status]}}
        case "cf":
            code = CODES[provider][status]
            return {"errors": [{"code": code, "title": "CF-Error", "detail": "so says CF"}]}
        case _:
            return {"statusCode": status, "error": "Error", "message": "so says BlueXP"}


def check(rig: Rig, result: CaseResult, expected: Expected) -> None:
    assert result.outcomes == {expected.outcome}
    assert result.requests_since_fault <= expected.requests
    assert result.seconds <= expected.seconds + TICK
    if expected.outcome is WaitTimeout:
        assert result.seconds == about(60)
        assert all(isinstance(error.__cause__, expected.cause or ()) for error in result.raised)
    # A write is sent a second time only if the first one was rejected with 401, and so not carried out.
    assert len([request for request in rig.writes() if request.status != 401]) <= 1
    assert rig.wire.sent.count(rig.target.write[0]) + rig.wire.sent.count("PATCH") <= 2
    assert rig.wire.in_flight == 0
    rig.simulator.verify()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "phase", "target"), cases(None))
async def test_a_fault_that_one_request_meets(name: str, phase: str, target: Target) -> None:
    expected = MATRIX[name].expected(phase, target.name, permanent=False)
    assert expected is not None
    async with open_rig(target) as rig:
        check(rig, await run_case(rig, phase, fault_of(name, target)), expected)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "phase", "target"), cases(None))
async def test_a_permanent_fault(name: str, phase: str, target: Target) -> None:
    expected = MATRIX[name].expected(phase, target.name, permanent=True)
    assert expected is not None
    async with open_rig(target) as rig:
        check(rig, await run_case(rig, phase, fault_of(name, target), times=None), expected)


# --- the matrix is complete


def test_every_fault_that_can_be_injected_is_in_the_matrix() -> None:
    faults = [fault for row in ROWS for fault in row.faults.values()]
    assert {type(fault).__name__ for fault in faults if isinstance(fault, Fault)} | {"Status"} == set(KINDS)
    assert {fault for fault in faults if isinstance(fault, int)} == {400, 401, 403, 429, 500}
    assert len(MATRIX) == len(faults)


def test_every_case_has_an_expected_outcome_or_is_excluded() -> None:
    for name, phase, target in ALL:
        row, reason = MATRIX[name], exclusion_reason(name, phase, target)
        for permanent in (False, True):
            expected = row.expected(phase, target.name, permanent=permanent)
            assert reason or expected, f"{name}, {phase}, {target.name}: neither expected nor excluded"
    for exclusion in EXCLUSIONS:
        assert any(exclusion.covers(name, phase, target.name) for name, phase, target in ALL), exclusion


def test_no_outcome_is_expected_where_all_cases_are_excluded() -> None:
    for name, row in MATRIX.items():
        for phase in PHASES:
            possible = [target for target in TARGETS if exclusion_reason(name, phase, target) is None]
            assert possible or row.expected(phase, "", permanent=False) is None, f"{name}, {phase}"


# --- the reasons of the exclusions are true


UNSUPPORTED_CALLS = [
    pytest.param(phase, target, id=f"{target.name}-{phase}")
    for phase in PHASES
    for target in TARGETS
    if all(exclusion_reason(name, phase, target) == UNSUPPORTED for name in MATRIX)
]


@pytest.mark.parametrize(("phase", "target"), UNSUPPORTED_CALLS)
async def test_an_unsupported_call_sends_no_request_whatever_the_fault(phase: str, target: Target) -> None:
    for name in MATRIX:
        async with open_rig(target) as rig:
            try:
                result = await run_case(rig, phase, fault_of(name, target))
            except ValueError:  # inject() refuses the fault, because the system lacks the feature
                continue
            assert result.outcomes == {Unsupported}, name
            assert rig.wire.sent == [], name


@pytest.mark.slow
@pytest.mark.parametrize(("name", "phase", "target"), cases(NO_SUCH_FEATURE))
async def test_a_fault_of_a_feature_that_the_system_lacks_is_refused(
    name: str, phase: str, target: Target
) -> None:
    async with open_rig(target) as rig:
        with pytest.raises(ValueError, match=f"{type(rig.simulator).__name__} has no"):
            await run_case(rig, phase, fault_of(name, target))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "phase", "target"), cases(DOES_NOT_APPLY))
async def test_a_fault_that_does_not_apply_is_never_met(name: str, phase: str, target: Target) -> None:
    async with open_rig(target) as rig:
        result = await run_case(rig, phase, fault_of(name, target), times=None)
        assert result.injection.met == []
        assert result.outcomes <= {JobState.SUCCEEDED, JobState.RUNNING, "started"}


def test_many_jobs_differ_from_one_in_polls_alone() -> None:
    assert {(c.values[1], c.values[2].name) for c in cases(SAME_AS_ONE)} == {
        (phase, "ontap-many") for phase in PHASES if phase not in POLL_PHASES
    }
