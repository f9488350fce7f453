"""When jobs are asked about again that fell due while the server was not to be had."""

from __future__ import annotations

import math
from bisect import bisect_left

import pytest

from common import JobRef, PollPolicy
from common.model.errors import RateLimited, TransportError
from common.polling.policy import WaitRules
from common.polling.schedule import PollQueue, RecoverySpread
from common.polling.throttle import Throttle
from common.polling.waiters import PolledJob, Waiter

UUID = 40
"""Bytes that one id takes of a request for many."""


def entry(
    number: int, *, delay: float = 10.0, cost: int = 0, deadline: float = math.inf, single_read: bool = False
) -> PolledJob:
    ref = JobRef("ontap", "https://cluster1.example.com", str(number))
    waiter = Waiter(
        ref=ref,
        rules=WaitRules(policy=PollPolicy(initial=2.0)),
        began=0.0,
        deadline=deadline,
        single_read=single_read,
    )
    return PolledJob(ref, [waiter], cost, delay=delay)


def most_within(times: list[float], seconds: float) -> int:
    ordered = sorted(times)
    return max(bisect_left(ordered, begin + seconds) - at for at, begin in enumerate(ordered))


@pytest.mark.parametrize("jobs", [10, 100, 1_000, 10_000])
def test_jobs_come_back_within_their_delays_as_often_as_they_were_asked_before(jobs: int) -> None:
    back = RecoverySpread()
    times = [back.due(entry(number, delay=20.0), 100.0, 0) for number in range(jobs)]
    assert times[0] == 100.0
    assert all(100.0 <= time < 120.0 for time in times)
    assert most_within(times, 1.0) <= jobs / 20 + 2


def test_a_job_that_was_asked_often_does_not_wait_behind_those_that_were_not() -> None:
    back = RecoverySpread()
    for number in range(1_000):
        delay = 1.0 if number % 2 else 60.0
        assert back.due(entry(number, delay=delay), 50.0, 0) < 50.0 + delay


def test_what_fits_into_one_request_comes_back_together() -> None:
    back = RecoverySpread()
    times = [back.due(entry(number, cost=UUID), 100.0, 10 * UUID) for number in range(95)]
    requests = sorted(set(times))
    assert len(requests) == 10
    assert [times.count(time) for time in requests].count(10) == 9
    assert requests[0] == 100.0
    assert requests[-1] < 110.0


def test_who_shares_a_request_with_a_patient_job_still_keeps_to_its_own_delay() -> None:
    back = RecoverySpread()
    for number in range(2):
        back.due(entry(number, cost=UUID), 100.0, 2 * UUID)
    assert back.due(entry(2, cost=UUID, delay=60.0), 100.0, 2 * UUID) > 101.0
    assert back.due(entry(3, cost=UUID, delay=1.0), 100.0, 2 * UUID) < 101.0


def test_each_time_that_a_server_comes_back_the_first_job_leaves_at_once() -> None:
    back = RecoverySpread()
    for resumed in (100.0, 200.0):
        assert back.due(entry(1), resumed, 0) == resumed
        assert back.due(entry(2), resumed, 0) > resumed


def test_half_of_the_time_that_a_deadline_leaves_is_for_the_answer() -> None:
    back = RecoverySpread()
    times = [back.due(entry(number, deadline=104.0), 100.0, 0) for number in range(1_000)]
    assert all(100.0 <= time <= 102.0 for time in times)
    assert most_within(times, 0.1) <= 1_000 / 20 + 2


@pytest.mark.parametrize("room", [0, 10 * UUID])
def test_a_single_read_is_not_kept_waiting(room: int) -> None:
    back = RecoverySpread()
    while back.due(entry(0, cost=UUID), 100.0, room) == 100.0:
        pass
    assert back.due(entry(1, cost=UUID, single_read=True), 100.0, room) == 100.0


def test_a_job_that_was_never_asked_about_goes_by_its_policy() -> None:
    back = RecoverySpread()
    back.due(entry(0), 100.0, 0)
    assert 100.0 < back.due(entry(1, delay=0.0), 100.0, 0) < 102.0


def test_the_queue_spreads_what_fell_due_before_and_nothing_else() -> None:
    queue = PollQueue()
    for number in range(50):
        queue.put(entry(number), 40.0)
    late = entry(50)
    queue.put(late, 100.0)
    left = [each for _ in range(60) for each in queue.next_batch(0, 100.0, recovered_at=100.0)]
    assert [each.ref.id for each in left] == ["0", "50"]
    assert queue.next_batch(0, 100.0, recovered_at=100.0) == []
    rest = [each for _ in range(60) for each in queue.next_batch(0, 110.0, recovered_at=100.0)]
    assert len(rest) == 49


def test_who_was_put_off_before_comes_first_whatever_falls_due_meanwhile() -> None:
    queue, patient = PollQueue(), entry(0, delay=60.0)
    queue.put(entry(1), 9.0)
    queue.put(patient, 10.0)
    assert patient not in queue.next_batch(0, 100.0, recovered_at=100.0)
    for number in range(2, 9):
        queue.put(entry(number), 20.0 + number)
    assert queue.next_batch(0, 200.0, recovered_at=200.0) == [patient]


def test_those_that_go_alone_for_a_while_do_not_come_back_together() -> None:
    queue = PollQueue()
    for number in range(100):
        alone = entry(number, cost=UUID)
        alone.single_until = math.inf
        queue.put(alone, 40.0)
    left = [queue.next_batch(100 * UUID, 101.0, recovered_at=100.0) for _ in range(100)]
    assert 5 <= sum(map(len, left)) <= 15


def test_as_many_failures_as_may_be_under_way_are_an_outage_and_its_end_is_known() -> None:
    throttle = Throttle(3)
    for _ in range(2):
        throttle.on_failure(TransportError("down"), 0.0)
    throttle.on_success(lambda: 10.0)
    assert throttle.recovered_at == -math.inf
    for _ in range(3):
        throttle.on_failure(TransportError("down"), 0.0)
    assert throttle.recovered_at == -math.inf
    throttle.on_success(lambda: 20.0)
    throttle.on_success(lambda: 30.0)
    assert throttle.recovered_at == 20.0
    throttle.on_failure(RateLimited("busy", status=429, retry_after=20.0), 30.0)
    assert throttle.recovered_at == 50.0


def test_the_first_request_leaves_at_once_after_each_outage_however_small_the_ids_are() -> None:
    back = RecoverySpread()
    for recovered in (100.0, 200.0):
        assert back.due(entry(1, cost=1), recovered, 2) == recovered
        assert back.due(entry(2, cost=2), recovered, 2) > recovered


def test_those_without_a_place_in_a_request_for_many_come_back_one_by_one() -> None:
    back = RecoverySpread()
    assert len({back.due(entry(number), 100.0, 10 * UUID) for number in range(20)}) == 20


def test_one_that_goes_alone_does_not_part_those_that_go_together() -> None:
    queue, alone = PollQueue(), entry(1, cost=UUID)
    alone.single_until = 150.0
    together = [entry(0, cost=UUID), entry(2, cost=UUID)]
    for at, job in enumerate([together[0], alone, together[1]]):
        queue.put(job, 40.0 + at)
    queue.next_batch(10 * UUID, 50.0, recovered_at=100.0)
    assert together[0].due == together[1].due == 100.0
    assert alone.due > 100.0


def test_one_that_went_alone_until_now_goes_with_the_others() -> None:
    queue, before = PollQueue(), entry(1, cost=UUID)
    before.single_until = 50.0
    other = entry(0, cost=UUID)
    queue.put(other, 40.0)
    queue.put(before, 41.0)
    queue.next_batch(10 * UUID, 50.0, recovered_at=100.0)
    assert before.due == other.due


def test_a_job_that_is_asked_often_comes_back_as_soon() -> None:
    back = RecoverySpread()
    assert all(back.due(entry(number, delay=0.5), 100.0, 0) < 100.5 for number in range(100))


def test_a_job_whose_deadline_has_passed_is_asked_about_at_once() -> None:
    back = RecoverySpread()
    assert {back.due(entry(number, deadline=90.0), 100.0, 0) for number in range(20)} == {100.0}
