"""What a scripted life says of a job at a given time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.simulator.script import Moment, ScriptedLife, Step

if TYPE_CHECKING:
    from common.simulator.script import Script

LIFE = ScriptedLife.of(
    [
        ("queued", 1, {"message": "waiting"}),
        ("running", 2, {"code": 7}),
        ("success", None, {"message": "done"}),
    ]
).begun(100.0)
VIA = Step("running", 0.5)
PAUSED = Step("paused")


def moment(life: ScriptedLife, now: float) -> Moment:
    found = life.at(now)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("now", "state", "since"),
    [
        (100.0, "queued", 100.0),
        (100.99, "queued", 100.0),
        (101.0, "running", 101.0),
        (102.9, "running", 101.0),
        (103.0, "success", 103.0),
        (1e9, "success", 103.0),
    ],
)
def test_a_step_holds_for_its_seconds_and_the_last_for_ever(now: float, state: str, since: float) -> None:
    found = moment(LIFE, now)
    assert (found.state, found.since) == (state, since)


def test_fields_add_up_from_step_to_step() -> None:
    assert moment(LIFE, 100).fields == {"message": "waiting"}
    assert moment(LIFE, 102).fields == {"message": "waiting", "code": 7}
    assert moment(LIFE, 104).fields == {"message": "done", "code": 7}


def test_before_it_begins_a_life_stays_at_its_first_step() -> None:
    waiting = ScriptedLife.of([("queued", 1), ("success", None)])
    assert moment(waiting, 5e9).state == "queued"
    assert moment(waiting, 5e9).since is None
    assert waiting.entered({"success"}) is None
    assert waiting.left({"queued"}) is None
    assert waiting.begun(3).begun(9).start == 3


def test_after_a_last_step_with_seconds_the_job_is_gone() -> None:
    life = ScriptedLife.of([("running", 1)]).begun(0)
    assert moment(life, 0.9).state == "running"
    assert life.at(1.0) is None


def test_entered_and_left_tell_when_states_change() -> None:
    assert LIFE.entered({"success", "failure"}) == 103
    assert LIFE.entered({"failure"}) is None
    assert LIFE.left({"queued"}) == 101
    assert LIFE.left({"queued", "running", "success"}) is None


def test_a_held_life_settles_then_pauses_and_goes_on_where_it_was() -> None:
    held = LIFE.hold(102.5, VIA, PAUSED)
    assert [moment(held, now).state for now in (102.5, 102.9, 103.0, 500)] == [
        "running",
        "running",
        "paused",
        "paused",
    ]
    assert moment(held, 500).fields["code"] == 7
    released = held.release(500)
    assert [moment(released, now).state for now in (103, 500, 500.4, 500.5)] == [
        "paused",
        "running",
        "running",
        "success",
    ]


def test_a_finished_life_settles_then_ends_and_takes_no_more_changes() -> None:
    finished = LIFE.finish(101.5, VIA, Step("failure", None, {"message": "cancelled"}))
    assert moment(finished, 101.9).state == "running"
    assert moment(finished, 102).state == "failure"
    assert moment(finished, 102).fields == {"message": "cancelled", "code": 7}
    assert finished.hold(101.6, VIA, PAUSED) is finished
    assert finished.finish(101.6, VIA, PAUSED) is finished


def test_holding_twice_and_releasing_what_is_not_held_change_nothing() -> None:
    held = LIFE.hold(102, VIA, PAUSED)
    assert held.hold(102.1, VIA, PAUSED) is held
    assert LIFE.release(102) is LIFE


def test_a_life_cut_short_while_paused_forgets_what_was_held() -> None:
    finished = LIFE.hold(102, VIA, PAUSED).finish(200, VIA, Step("failure"))
    assert moment(finished, 200.2).state == "running"
    assert moment(finished.release(300), 300).state == "failure"


def test_states_are_not_checked() -> None:
    life = ScriptedLife.of([("florbing", 1), (None, None)]).begun(0)
    assert moment(life, 0).state == "florbing"
    assert moment(life, 1).state is None


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ([], "at least one step"),
        ([("running", None), ("success", None)], "only the last step"),
        ([("running", -1), ("success", None)], "0 or more"),
        ([("running", float("nan")), ("success", None)], "0 or more"),
        ([("running", "5")], "0 or more"),
        ("running", "a step is"),
        ([("running",)], "a step is"),
        ([("running", 1, 5)], "fields by name"),
    ],
)
def test_a_script_without_sense_is_refused(script: Script, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ScriptedLife.of(script)
