"""The checker's rules: each of them finds what violates it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
import attrs
import pytest

from common import JobState, PollPolicy, WaitTimeout
from common.simulator import faults
from common.telemetry.events import EventKind
from tests.contract.systems import CF, ONTAP
from tests.faults.chaos.checker import check_waits
from tests.faults.chaos.history import History
from tests.faults.chaos.recording_transport import Exchange
from tests.faults.chaos.repeatable_loop import run_repeatably
from tests.faults.chaos.replies import JobReply
from tests.faults.chaos.system_under_test import SystemUnderTest
from tests.faults.chaos.workload import WaitPlan, WaitRun, execute_plan

STARTED_AT = 10.0


def job_reply(
    at: float, rejected_token: str = "", state: JobState | None = None, *, sent_at: float | None = None
) -> JobReply:
    """Return a reply about a job: a 401 to ``rejected_token``, else ``state``, else an inconclusive one."""
    exchange = Exchange(0, None, "GET", "/", at - 0.1 if sent_at is None else sent_at, at)
    return JobReply(exchange, at, rejected_token, single=True, state=state, unauthorized=bool(rejected_token))


def history_of(*replies: JobReply, sign_ins: Sequence[tuple[float, bool]] = ()) -> History:
    return History({"job": replies}, {}, sign_ins, {}, ())


def test_a_wait_may_end_when_its_own_poll_was_rejected_twice() -> None:
    assert history_of(job_reply(20, "a"), job_reply(21, "b")).rejected_twice("job", STARTED_AT, 21)


@pytest.mark.parametrize(
    ("replies", "at"),
    [
        pytest.param([job_reply(21, "a")], 21, id="one rejection"),
        pytest.param([job_reply(20, "a"), job_reply(21, "a")], 21, id="the same token twice"),
        pytest.param(
            [job_reply(19, "a"), job_reply(20, "", JobState.RUNNING), job_reply(21, "b")],
            21,
            id="a state in between",
        ),
        pytest.param(
            [job_reply(19, "a"), job_reply(20), job_reply(21, "b")], 21, id="a transient error in between"
        ),
        pytest.param([job_reply(20, "a"), job_reply(21, "b")], 22, id="a second earlier"),
        pytest.param(
            [job_reply(20, "a"), job_reply(21, "b"), job_reply(22)], 22, id="another reply after them"
        ),
        pytest.param(
            [job_reply(20, "a", sent_at=9.0), job_reply(21, "b")], 21, id="sent before the wait started"
        ),
    ],
)
def test_other_rejections_end_no_wait(replies: list[JobReply], at: float) -> None:
    assert not history_of(*replies).rejected_twice("job", STARTED_AT, at)


@pytest.mark.parametrize(
    ("sign_ins", "at", "rejected"),
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
def test_a_rejected_sign_in_counts_for_ten_seconds(
    sign_ins: list[tuple[float, bool]], at: float, rejected: bool
) -> None:
    assert history_of(sign_ins=sign_ins).sign_in_rejected(at) is rejected


def test_an_outage_has_no_conclusive_reply() -> None:
    errors = [job_reply(20), job_reply(30), job_reply(60)]
    assert history_of(*errors).outage("job", 15, 60)
    assert not history_of(*errors, job_reply(40, "", JobState.RUNNING)).outage("job", 15, 60)


def test_the_pages_of_an_incomplete_list_are_delivered_while_its_next_page_fails() -> None:
    async def main() -> tuple[str, History]:
        sut = SystemUnderTest.create(ONTAP, 1, page_size=1)
        first, last = sorted(sut.add_job(0.0, JobState.SUCCEEDED) for _ in range(2))
        sut.simulator.inject(lambda request: "start.uuid" in request.query, faults.Status(503))
        async with sut.source() as source:
            await source._pollable.read_batch([source.ref(first), source.ref(last)], {})
        return first, sut.history()

    first, history = run_repeatably(main, "asyncio", 1)
    assert [reply.state for reply in history.delivered(first, 1e6)] == [None]  # the page that failed
    assert history.state_reported(first, JobState.SUCCEEDED, 0.0)
    assert [history.state_delivered(first, JobState.SUCCEEDED, at) for at in (-1, 0, 60, 61)] == [
        False,
        True,
        True,
        False,
    ]


Violation = Callable[[SystemUnderTest, WaitRun], object]
"""Changes a correct run so that it violates a rule."""


def _reported_twice(sut: SystemUnderTest, run: WaitRun) -> None:
    sut.wait_ends.append(sut.wait_ends[0])


def _not_reported(sut: SystemUnderTest, run: WaitRun) -> None:
    del sut.wait_ends[0]


def _abandoned(sut: SystemUnderTest, run: WaitRun) -> None:
    sut.wait_ends[0] = attrs.evolve(sut.wait_ends[0], kind=EventKind.ABANDONED)


def _not_returned(sut: SystemUnderTest, run: WaitRun) -> None:
    del run.outcomes[0]


def _returned_twice(sut: SystemUnderTest, run: WaitRun) -> None:
    run.outcomes.append(run.outcomes[0])


def _another_outcome(sut: SystemUnderTest, run: WaitRun) -> None:
    id, at, _ = run.outcomes[0]
    run.outcomes[0] = (id, at, WaitTimeout("late"))


def _returned_late(sut: SystemUnderTest, run: WaitRun) -> None:
    run.ended_at += 1.0


def _state_not_in_the_journal(sut: SystemUnderTest, run: WaitRun) -> None:
    for request in sut.simulator.journal:
        request.response = None


def _unknown_caller(sut: SystemUnderTest, run: WaitRun) -> None:
    sut.wait_ends[0] = attrs.evolve(sut.wait_ends[0], caller="another caller")


def _timeout_too_early(sut: SystemUnderTest, run: WaitRun) -> None:
    end = sut.wait_ends[0]
    sut.wait_ends[0] = attrs.evolve(end, at=end.at - 1.0, job=None, error=WaitTimeout("early"))


VIOLATIONS: tuple[Violation, ...] = (
    *(_reported_twice, _not_reported, _abandoned, _not_returned, _returned_twice),
    *(_another_outcome, _returned_late, _state_not_in_the_journal, _unknown_caller, _timeout_too_early),
)


@pytest.mark.parametrize(
    "violate", [None, *VIOLATIONS], ids=lambda violate: getattr(violate, "__name__", "none")
)
def test_the_checker_finds_each_violation(violate: Violation | None) -> None:
    sut, run = run_repeatably(_correct_run, "asyncio", 1)
    if violate is None:
        check_waits(sut, [run], sut.history())
        return
    violate(sut, run)
    with pytest.raises(AssertionError):
        check_waits(sut, [run], sut.history())


async def _correct_run() -> tuple[SystemUnderTest, WaitRun]:
    sut = SystemUnderTest.create(CF, 1)
    ids = [sut.add_job(seconds, JobState.SUCCEEDED) for seconds in (2.0, 5.0)]
    run = WaitRun(WaitPlan("wait_all", {id: id for id in ids}, 0.0, 20.0, None, PollPolicy(maximum=2)))
    async with sut.source() as source, anyio.create_task_group() as group:
        group.start_soon(execute_plan, source, run)
    return sut, run
