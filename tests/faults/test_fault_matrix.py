"""Faults by phases by systems: each outcome exactly, from the table, on both event loops."""

from __future__ import annotations

from typing import Any

import pytest

from common import JobState, Unsupported, WaitTimeout
from common.simulator import Fault, Status
from common.simulator.faults import KINDS
from tests.common.scripted import about
from tests.faults.matrix.cases import COLUMNS, PHASES, POLL_PHASES, Bench, Column, Result, attempt, bench
from tests.faults.matrix.exclusions import DOES_NOT_FIT, NEVER, NO_SUCH_FEATURE, SAME_AS_ONE, UNSUPPORTED
from tests.faults.matrix.expectations import ROWS, TABLE, Cell

pytestmark = pytest.mark.anyio

CODES: dict[str, dict[int, Any]] = {
    "ontap": {400: "262179", 401: "6691623", 403: "6", 429: "1", 500: "1"},
    "cf": {400: 10005, 401: 1000, 403: 10003, 429: 10013, 500: 10001},
}
TICK = 1e-3
"""Seconds: clocks that are moved to a moment may be a little past it."""
ALL = [(kind, phase, column) for kind in TABLE for phase in PHASES for column in COLUMNS]


def why_never(kind: str, phase: str, column: Column) -> str | None:
    return next((each.why for each in NEVER if each.covers(kind, phase, column.name)), None)


def cases(*whys: str | None) -> list[Any]:
    return [
        pytest.param(kind, phase, column, id=f"{column.name}-{phase}-{kind}")
        for kind, phase, column in ALL
        if why_never(kind, phase, column) in whys
    ]


def fault_of(kind: str, column: Column) -> Fault:
    row = TABLE[kind]
    fault = row.fault_on.get(column.provider, row.faults[kind])
    if isinstance(fault, Fault):
        return fault
    return Status(fault, body=_words(column.provider, fault))


def _words(provider: str, status: int) -> Any:
    """An error as the provider words it."""
    match provider:
        case "ontap":
            return {"error": {"message": "so says ONTAP", "code": CODES[provider][status]}}
        case "cf":
            code = CODES[provider][status]
            return {"errors": [{"code": code, "title": "CF-Error", "detail": "so says CF"}]}
        case _:
            return {"statusCode": status, "error": "Error", "message": "so says BlueXP"}


def check(rig: Bench, result: Result, cell: Cell) -> None:
    assert result.outcomes == {cell.outcome}
    assert result.after <= cell.sent
    assert result.ended <= cell.by + TICK
    if cell.outcome is WaitTimeout:
        assert result.ended == about(60)
        assert all(isinstance(error.__cause__, cell.cause or ()) for error in result.raised)
    # Twice only where the first was refused unread.
    assert len([request for request in rig.writes() if request.status != 401]) <= 1
    assert rig.wire.sent.count(rig.column.write[0]) + rig.wire.sent.count("PATCH") <= 2
    assert rig.wire.flying == 0
    rig.sim.verify()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "phase", "column"), cases(None))
async def test_a_fault_that_shows_once(kind: str, phase: str, column: Column) -> None:
    cell = TABLE[kind].cell(phase, column.name, ever=False)
    assert cell is not None
    async with bench(column) as rig:
        check(rig, await attempt(rig, phase, fault_of(kind, column)), cell)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "phase", "column"), cases(None))
async def test_a_fault_that_never_ends(kind: str, phase: str, column: Column) -> None:
    cell = TABLE[kind].cell(phase, column.name, ever=True)
    assert cell is not None
    async with bench(column) as rig:
        check(rig, await attempt(rig, phase, fault_of(kind, column), times=None), cell)


# --- the table is complete


def test_every_kind_that_can_be_injected_is_in_the_table() -> None:
    faults = [fault for row in ROWS for fault in row.faults.values()]
    assert {type(fault).__name__ for fault in faults if isinstance(fault, Fault)} | {"Status"} == set(KINDS)
    assert {fault for fault in faults if isinstance(fault, int)} == {400, 401, 403, 429, 500}
    assert len(TABLE) == len(faults)


def test_every_case_has_a_row_or_a_reason() -> None:
    for kind, phase, column in ALL:
        row, why = TABLE[kind], why_never(kind, phase, column)
        for ever in (False, True):
            cell = row.cell(phase, column.name, ever=ever)
            assert why or cell, f"{kind}, {phase}, {column.name}: neither an outcome nor a reason"
    for reason in NEVER:
        assert any(reason.covers(kind, phase, column.name) for kind, phase, column in ALL), reason


def test_no_outcome_is_without_a_case() -> None:
    for kind, row in TABLE.items():
        for phase in PHASES:
            possible = [column for column in COLUMNS if why_never(kind, phase, column) is None]
            assert possible or row.cell(phase, "", ever=False) is None, f"{kind}, {phase}"


# --- the reasons are true


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "phase", "column"), cases(UNSUPPORTED))
async def test_what_a_system_lacks_raises_before_any_request(kind: str, phase: str, column: Column) -> None:
    async with bench(column) as rig:
        try:
            result = await attempt(rig, phase, fault_of(kind, column))
        except ValueError:  # nor has it what could go wrong
            return
        assert result.outcomes == {Unsupported}
        assert rig.wire.sent == []


@pytest.mark.parametrize(("kind", "phase", "column"), cases(NO_SUCH_FEATURE))
async def test_what_a_system_lacks_cannot_go_wrong(kind: str, phase: str, column: Column) -> None:
    async with bench(column) as rig:
        with pytest.raises(ValueError, match=f"{type(rig.sim).__name__} has no"):
            await attempt(rig, phase, fault_of(kind, column))


@pytest.mark.parametrize(("kind", "phase", "column"), cases(DOES_NOT_FIT))
async def test_what_does_not_fit_is_never_met(kind: str, phase: str, column: Column) -> None:
    async with bench(column) as rig:
        result = await attempt(rig, phase, fault_of(kind, column), times=None)
        assert result.injection.met == []
        assert result.outcomes <= {JobState.SUCCEEDED, JobState.RUNNING, "started"}


def test_many_jobs_differ_from_one_in_polls_alone() -> None:
    assert {(c.values[1], c.values[2].name) for c in cases(SAME_AS_ONE)} == {
        (phase, "ontap-many") for phase in PHASES if phase not in POLL_PHASES
    }
