"""The rules that storms are held to: each of them bites."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
import attrs
import pytest

from common import JobState, PollPolicy, WaitTimeout
from common.simulator import faults
from common.telemetry.events import EventKind
from tests.contract.systems import CF, ONTAP
from tests.faults.chaos.checker import check_courses
from tests.faults.chaos.history import Answer, Evidence
from tests.faults.chaos.recording_transport import Trip
from tests.faults.chaos.repeatable_loop import run
from tests.faults.chaos.system_under_test import Place
from tests.faults.chaos.workload import Course, Plan, follow

BEGAN = 10.0


def said(at: float, token: str = "", state: JobState | None = None, *, left: float | None = None) -> Answer:
    """A reply about a job: to this token a refusal, else the state, else none of both."""
    trip = Trip(0, None, "GET", "/", at - 0.1 if left is None else left, at)
    return Answer(trip, at, token, single=True, state=state, refused=bool(token))


def shown(*answers: Answer, sign_ins: Sequence[tuple[float, bool]] = ()) -> Evidence:
    return Evidence({"job": answers}, {}, sign_ins, {}, ())


def test_a_wait_may_end_on_two_refusals_of_its_own_poll() -> None:
    assert shown(said(20, "a"), said(21, "b")).refuses_twice("job", BEGAN, 21)


@pytest.mark.parametrize(
    ("answers", "at"),
    [
        pytest.param([said(21, "a")], 21, id="one refusal"),
        pytest.param([said(20, "a"), said(21, "a")], 21, id="the same token twice"),
        pytest.param([said(19, "a"), said(20, "", JobState.RUNNING), said(21, "b")], 21, id="not in a row"),
        pytest.param([said(19, "a"), said(20), said(21, "b")], 21, id="trouble in between"),
        pytest.param([said(20, "a"), said(21, "b")], 22, id="some time ago"),
        pytest.param([said(20, "a"), said(21, "b"), said(22)], 22, id="followed by something else"),
        pytest.param([said(20, "a", left=9.0), said(21, "b")], 21, id="begun before the wait"),
    ],
)
def test_other_refusals_end_no_wait(answers: list[Answer], at: float) -> None:
    assert not shown(*answers).refuses_twice("job", BEGAN, at)


@pytest.mark.parametrize(
    ("sign_ins", "at", "turned_away"),
    [
        ([(20.0, True)], 20.0, True),
        ([(20.0, True)], 29.9, True),
        ([(20.0, True)], 30.1, False),
        ([(20.0, True), (25.0, False)], 26.0, False),
        ([(20.0, False), (25.0, True)], 26.0, True),
        ([(20.0, True)], 19.0, False),
        ([], 20.0, False),
    ],
)
def test_a_refused_sign_in_counts_for_ten_seconds(
    sign_ins: list[tuple[float, bool]], at: float, turned_away: bool
) -> None:
    assert shown(sign_ins=sign_ins).turns_away(at) is turned_away


def test_an_outage_is_one_without_any_good_answer() -> None:
    trouble = [said(20), said(30), said(60)]
    assert shown(*trouble).silent("job", 15, 60)
    assert not shown(*trouble, said(40, "", JobState.RUNNING)).silent("job", 15, 60)


def test_what_a_list_told_that_broke_off_counts_for_as_long_as_its_next_page_may_take() -> None:
    async def main() -> tuple[str, Evidence]:
        place = Place.of(ONTAP, 1, page_size=1)
        first, last = sorted(place.job(0.0, JobState.SUCCEEDED) for _ in range(2))
        place.simulator.inject(lambda request: "start.uuid" in request.query, faults.Status(503))
        async with place.source() as source:
            await source._pollable.read_batch([source.ref(first), source.ref(last)])
        return first, place.evidence()

    first, evidence = run(main, "asyncio", 1)
    assert [answer.state for answer in evidence.told(first, 1e6)] == [None]  # the page that failed
    assert evidence.ever(first, JobState.SUCCEEDED, 0.0)
    assert [evidence.shows(first, JobState.SUCCEEDED, at) for at in (-1, 0, 60, 61)] == [
        False,
        True,
        True,
        False,
    ]


Tamper = Callable[[Place, Course], object]


def _told_twice(place: Place, course: Course) -> None:
    place.told.append(place.told[0])


def _not_told(place: Place, course: Course) -> None:
    del place.told[0]


def _abandoned(place: Place, course: Course) -> None:
    place.told[0] = attrs.evolve(place.told[0], kind=EventKind.ABANDONED)


def _not_handed_out(place: Place, course: Course) -> None:
    del course.outcomes[0]


def _handed_out_twice(place: Place, course: Course) -> None:
    course.outcomes.append(course.outcomes[0])


def _another_end(place: Place, course: Course) -> None:
    id, at, _ = course.outcomes[0]
    course.outcomes[0] = (id, at, WaitTimeout("late"))


def _too_late(place: Place, course: Course) -> None:
    course.ended += 1.0


def _another_state(place: Place, course: Course) -> None:
    for request in place.simulator.journal:
        request.response = None


def _somebody_else(place: Place, course: Course) -> None:
    place.told[0] = attrs.evolve(place.told[0], who="somebody else")


def _too_early(place: Place, course: Course) -> None:
    told = place.told[0]
    place.told[0] = attrs.evolve(told, at=told.at - 1.0, job=None, error=WaitTimeout("early"))


TAMPERS: tuple[Tamper, ...] = (
    *(_told_twice, _not_told, _abandoned, _not_handed_out, _handed_out_twice),
    *(_another_end, _too_late, _another_state, _somebody_else, _too_early),
)


@pytest.mark.parametrize(
    "tamper", [None, *TAMPERS], ids=lambda tamper: getattr(tamper, "__name__", "as it is")
)
def test_a_course_that_was_tampered_with_is_found_out(tamper: Tamper | None) -> None:
    place, course = run(_ridden, "asyncio", 1)
    if tamper is None:
        check_courses(place, [course], place.evidence())
        return
    tamper(place, course)
    with pytest.raises(AssertionError):
        check_courses(place, [course], place.evidence())


async def _ridden() -> tuple[Place, Course]:
    place = Place.of(CF, 1)
    ids = [place.job(seconds, JobState.SUCCEEDED) for seconds in (2.0, 5.0)]
    course = Course(Plan("all", {id: id for id in ids}, 0.0, 20.0, None, PollPolicy(maximum=2)))
    async with place.source() as source, anyio.create_task_group() as group:
        group.start_soon(follow, source, course)
    return place, course
