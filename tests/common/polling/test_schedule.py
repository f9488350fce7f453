"""What falls due when, and what goes out in one request: the queue of jobs, and that of deadlines."""

from __future__ import annotations

import gc
import math
import random
import weakref

import pytest

from common import JobRef, PollPolicy
from common.polling.deadlines import EXPIRED_AT_ONCE, Deadlines
from common.polling.policy import WaitRules
from common.polling.schedule import MAX_SKIPPED, MAX_STALE, PollQueue
from common.polling.waiters import PolledJob, PollRequest, Waiter

COST = 40
"""Bytes that one id takes of a request for many."""
ROOM = 1_000 * COST


def waiter(name: str = "w", deadline: float = math.inf) -> Waiter:
    ref = JobRef("ontap", "https://cluster1.example.com", name)
    made = Waiter(ref=ref, rules=WaitRules(policy=PollPolicy()), began=0.0, deadline=deadline)
    made.active = True
    return made


def polled(name: str, *, cost: int = COST, delay: float = 0.0, single_until: float = -math.inf) -> PolledJob:
    its = waiter(name)
    return PolledJob(its.ref, [its], cost, delay=delay, single_until=single_until)


def queue(**dues: float) -> tuple[PollQueue, dict[str, PolledJob]]:
    made, jobs = PollQueue(), {name: polled(name) for name in dues}
    for name, due in dues.items():
        made.put(jobs[name], due)
    return made, jobs


def send(job: PolledJob) -> None:
    job.in_flight = PollRequest(1, [job], job.waiters[0], ROOM, 1)


def names(batch: list[PolledJob]) -> list[str]:
    return [job.ref.id for job in batch]


def taken(made: PollQueue, now: float, *, limit: int = 0) -> list[list[str]]:
    """The requests that leave until nothing is due."""
    requests: list[list[str]] = []
    while batch := made.next_batch(limit, now):
        requests.append(names(batch))
    return requests


def test_jobs_leave_in_the_order_in_which_they_fall_due() -> None:
    made, _ = queue(c=3.0, a=1.0, d=9.0, b=2.0)
    assert made.first_due() == 1.0
    assert taken(made, 3.0) == [["a"], ["b"], ["c"]]
    assert made.first_due() == 9.0
    assert made.next_batch(0, 8.99) == []


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_of_jobs_that_fall_due_together_the_one_that_was_put_off_longest_leaves_first(order: str) -> None:
    made, jobs = queue(a=5.0, b=4.0)
    for name in order:
        made.put(jobs[name], 7.0)
    assert [jobs["a"].first_due, jobs["b"].first_due] == [5.0, 4.0]
    assert taken(made, 7.0) == [["b"], ["a"]]


def test_a_job_has_one_due_time_and_the_last_one_counts() -> None:
    made, jobs = queue(a=1.0)
    made.put(jobs["a"], 6.0)
    assert made.next_batch(0, 5.0) == []
    made.put(jobs["a"], 3.0)
    assert taken(made, 10.0) == [["a"]]
    assert made.first_due() == math.inf


def test_a_job_that_is_not_to_be_asked_about_takes_no_room() -> None:
    made, jobs = queue(a=1.0)
    made.put(jobs["a"], math.inf)
    made.put(polled("b"), math.inf)
    assert made.first_due() == math.inf
    assert len(made) == 0


def test_a_job_whose_request_is_under_way_is_not_asked_about() -> None:
    made, jobs = queue(a=1.0, b=2.0)
    send(jobs["a"])
    assert taken(made, 5.0) == [["b"]]


def test_jobs_that_left_are_in_the_queue_no_more() -> None:
    made, jobs = queue(a=1.0, b=1.0)
    made.next_batch(ROOM, 1.0)
    assert [jobs[name].due for name in "ab"] == [math.inf] * 2


def test_a_job_that_was_put_off_or_is_under_way_does_not_go_along_at_its_former_time() -> None:
    made, jobs = queue(a=1.0, b=1.0, c=1.0, d=1.0, e=1.0)
    made.put(jobs["c"], 9.0)
    send(jobs["d"])
    assert names(made.next_batch(ROOM, 1.0)) == ["a", "b", "e"]
    assert made.first_due() == 9.0


def test_a_request_is_full_at_the_first_job_that_is_not_due_yet_even_one_that_goes_alone() -> None:
    made, _ = queue(a=1.0)
    made.put(polled("b", cost=0, delay=1.0), 50.0)
    assert names(made.next_batch(ROOM, 1.0)) == ["a"]
    assert made.first_due() == 50.0


def test_without_requests_for_many_each_job_goes_alone() -> None:
    made, _ = queue(a=1.0, b=1.0)
    assert taken(made, 1.0) == [["a"], ["b"]]


def test_a_request_is_filled_to_the_last_byte_and_not_over_it() -> None:
    made, _ = queue(a=1.0, b=1.0, c=1.0, d=1.0)
    assert taken(made, 1.0, limit=3 * COST) == [["a", "b", "c"], ["d"]]
    made, _ = queue(a=1.0, b=1.0, c=1.0)
    assert taken(made, 1.0, limit=3 * COST - 1) == [["a", "b"], ["c"]]


@pytest.mark.parametrize(("due", "together"), [(1.05, True), (1.0501, False)])
def test_jobs_that_fall_due_within_the_window_go_together(due: float, together: bool) -> None:
    made, _ = queue(a=1.0)
    made.put(polled("b", delay=0.01), due)
    assert names(made.next_batch(ROOM, 1.0)) == (["a", "b"] if together else ["a"])


@pytest.mark.parametrize(("due", "together"), [(1.25, True), (1.2501, False)])
def test_a_job_that_was_never_seen_goes_along_within_the_window_of_newcomers(
    due: float, together: bool
) -> None:
    made, _ = queue(a=1.0, b=due)
    assert names(made.next_batch(ROOM, 1.0)) == (["a", "b"] if together else ["a"])


@pytest.mark.parametrize(("due", "together"), [(18.5, True), (18.51, False)])
def test_a_job_goes_along_once_a_quarter_of_its_own_delay_is_over(due: float, together: bool) -> None:
    made, _ = queue(a=11.0)
    made.put(polled("b", delay=10.0), due)
    assert names(made.next_batch(ROOM, 11.0)) == (["a", "b"] if together else ["a"])
    assert made.first_due() == (math.inf if together else due)


@pytest.mark.parametrize(
    ("initial", "deadline", "due"),
    [
        (1.0, math.inf, 5.25),
        (60.0, math.inf, 5.25),
        (0.4, math.inf, 5.1),
        (0.04, math.inf, 5.1),  # when it began, for that is later than 5.01
        (1.0, 5.2, 5.15),
        (1.0, 5.5, 5.25),
    ],
)
def test_a_newcomer_is_asked_for_a_quarter_of_a_second_after_the_last_batch(
    initial: float, deadline: float, due: float
) -> None:
    made, _ = queue(a=5.0)
    assert made.gathering_until == -math.inf
    made.next_batch(ROOM, 5.0)
    assert made.gathering_until == 5.25
    policy = PollPolicy(initial=initial, maximum=60.0)
    newcomer = Waiter(ref=waiter().ref, rules=WaitRules(policy=policy), began=5.1, deadline=deadline)
    assert made.newcomer_due(newcomer) == pytest.approx(due)


def test_a_request_for_one_job_gathers_no_newcomers() -> None:
    made, jobs = queue(a=1.0, b=1.0)
    made.next_batch(0, 1.0)
    jobs["b"].single_until = 5.0
    made.next_batch(ROOM, 1.0)
    assert made.gathering_until == -math.inf


def test_a_job_that_must_go_alone_does_until_its_time_is_over() -> None:
    made, jobs = queue(a=1.0, b=1.0)
    jobs["a"].single_until = 5.0
    assert taken(made, 4.99, limit=ROOM) == [["a"], ["b"]]
    made, jobs = queue(a=1.0, b=1.0)
    jobs["a"].single_until = 5.0
    assert taken(made, 5.0, limit=ROOM) == [["a", "b"]]


def test_a_job_without_a_place_in_a_request_goes_alone_and_keeps_its_turn() -> None:
    made, jobs = queue(a=1.0, b=1.5, c=1.5, d=2.0)
    jobs["b"].single_until = 10.0
    jobs["c"].batch_cost = 0
    assert names(made.next_batch(ROOM, 3.0)) == ["a", "d"]
    assert (jobs["b"].due, jobs["c"].due) == (1.5, 1.5)
    assert taken(made, 3.0, limit=ROOM) == [["b"], ["c"]]


def test_a_job_that_goes_alone_by_now_is_passed_over_only_until_then() -> None:
    made, jobs = queue(a=1.0, b=1.5, c=2.0)
    jobs["b"].single_until = 3.0
    assert names(made.next_batch(ROOM, 3.0)) == ["a", "b", "c"]


@pytest.mark.parametrize(("alone", "together"), [(MAX_SKIPPED - 1, True), (MAX_SKIPPED, False)])
def test_a_bounded_number_of_jobs_that_go_alone_is_passed_over(alone: int, together: bool) -> None:
    made, _ = queue(a=1.0)
    for number in range(alone):
        made.put(polled(str(number), cost=0), 2.0)
    made.put(polled("z"), 3.0)
    assert names(made.next_batch(ROOM, 4.0)) == (["a", "z"] if together else ["a"])
    assert len(taken(made, 4.0, limit=ROOM)) == alone + (not together)


@pytest.mark.parametrize("live", [1, 3])
def test_stale_items_are_dropped_once_they_outnumber_the_jobs(live: int) -> None:
    made = PollQueue()
    jobs = [polled(str(number)) for number in range(live)]
    order = random.Random(1)
    while len(made) < 2 * live + MAX_STALE:
        made.put(order.choice(jobs), order.random())
    for number, job in enumerate(jobs):
        made.put(job, 2.0 + number)
    before = len(made)
    made.prune(before)
    assert len(made) == before
    made.prune(live)
    assert len(made) == live
    assert taken(made, 10.0) == [[str(number)] for number in range(live)]


def test_as_many_stale_items_as_are_borne_with_stay() -> None:
    made, jobs = queue(a=0.0)
    for number in range(1, 2 + MAX_STALE):
        made.put(jobs["a"], float(number))
    assert len(made) == 2 + MAX_STALE
    made.prune(1)
    assert len(made) == 2 + MAX_STALE


def test_what_is_left_after_pruning_is_in_order_and_what_is_under_way_is_not_left() -> None:
    made = PollQueue()
    jobs = [polled(str(number)) for number in range(60)]
    order = random.Random(2)
    for _ in range(6):
        for job in jobs:
            made.put(job, order.random())
    send(jobs[7])
    made.prune(60)
    assert len(made) == 59
    expected = sorted((job for job in jobs if not job.in_flight), key=lambda job: job.due)
    assert taken(made, 1.0) == [names([job]) for job in expected]


def test_the_first_job_of_all_is_left_after_pruning_and_one_may_follow_what_was_dropped() -> None:
    made, jobs = queue(a=0.0, b=5.0)
    send(jobs["b"])
    for _ in range(2 * MAX_STALE):
        made.put(jobs["b"], 5.0)
    made.prune(2)
    assert len(made) == 1
    made.put(polled("c"), 5.0)
    assert taken(made, 5.0) == [["a"], ["c"]]


def test_without_jobs_the_queue_is_empty() -> None:
    made, _ = queue(a=1.0, b=2.0)
    made.prune(0)
    assert len(made) == 0


def passed(made: Deadlines, now: float) -> list[Waiter]:
    """The waiters that are ended, in this order."""
    ended: list[Waiter] = []
    assert made.expire(now, ended.append)
    return ended


def test_deadlines_pass_in_order_each_once() -> None:
    made = Deadlines()
    waiters = {name: waiter(name, at) for name, at in (("c", 3.0), ("a", 1.0), ("b", 2.0))}
    for each in waiters.values():
        made.put(each)
    assert made.first() == 1.0
    assert list(passed(made, 0.99)) == []
    assert [each.ref.id for each in passed(made, 2.0)] == ["a", "b"]
    assert list(passed(made, 2.0)) == []
    assert made.first() == 3.0
    assert all(each.deadline_key for each in waiters.values())


def test_waits_of_one_deadline_are_ended_some_at_a_time() -> None:
    made, ended = Deadlines(), list[Waiter]()
    waiters = [waiter(str(number), 1.0) for number in range(EXPIRED_AT_ONCE + 1)]
    for each in waiters:
        made.put(each)
    for _ in range(2):
        assert not made.expire(1.0, ended.append)
    assert ended == waiters[:-1]
    assert all(each.expired for each in ended)
    assert len(made) == len(waiters)  # until each of them has gone
    for each in ended:
        made.discard(each, 1)
    assert passed(made, 1.0) == waiters[-1:]


def test_waits_that_have_ended_or_ask_just_now_are_not_ended_by_their_deadline() -> None:
    made = Deadlines()
    left, told, asking, other = (waiter(name, 1.0) for name in ("left", "told", "asking", "other"))
    for each in (other, left, told, asking):
        made.put(each)
    left.active, told.notified = False, True
    asking.request = PollRequest(1, [], asking, ROOM, 1)
    assert passed(made, 1.0) == [other]


def test_waiters_of_one_deadline_are_told_apart() -> None:
    made = Deadlines()
    waiters = [waiter(str(number), 1.0) for number in range(3)]
    for each in waiters:
        made.put(each)
    made.discard(waiters[1], 2)
    assert [each.ref.id for each in passed(made, 1.0)] == ["0", "2"]


def test_without_waiters_there_is_no_deadline() -> None:
    made = Deadlines()
    assert made.first() == math.inf
    gone = waiter("a", 1.0)
    made.put(gone)
    made.discard(gone, 0)
    assert made.first() == math.inf
    assert len(made) == 0


def test_a_waiter_that_left_or_ended_has_no_deadline_any_more() -> None:
    made = Deadlines()
    left, ended, other = waiter("a", 1.0), waiter("b", 2.0), waiter("c", 3.0)
    for each in (left, ended, other):
        made.put(each)
    made.discard(left, 2)
    ended.active = False
    assert made.first() == 3.0
    assert [each.ref.id for each in passed(made, 5.0)] == ["c"]


@pytest.mark.slow
def test_a_waiter_that_left_is_let_go_of_at_once() -> None:
    made = Deadlines()
    others = [waiter(str(number), 1.0) for number in range(20)]
    for each in others:
        made.put(each)
    left = waiter("a", 2.0)
    made.put(left)
    seen = weakref.ref(left.ref)
    made.discard(left, 20)
    assert len(made) == 21
    del left
    gc.collect()
    assert seen() is None


def test_a_waiter_that_ended_by_itself_is_let_go_of_when_it_comes_to_the_top() -> None:
    made = Deadlines()
    ended = waiter("a", 7.5)
    made.put(ended)
    seen = weakref.ref(ended.ref)
    ended.active = False
    del ended
    assert made.first() == math.inf
    assert seen() is None


def test_stale_deadlines_are_dropped_once_they_outnumber_the_waiters() -> None:
    made = Deadlines()
    order = random.Random(3)
    live = [waiter(str(number), order.random()) for number in range(20)]
    stale = [waiter("s", order.random()) for _ in range(2 * 20 + MAX_STALE)]
    for pair in zip(stale, [*live, *[None] * len(stale)], strict=False):
        for each in pair:
            if each is not None:
                made.put(each)
    for number, each in enumerate(stale):
        made.discard(each, 20)
        most = 2 * 20 + MAX_STALE
        assert len(made) <= max(most, len(live) + len(stale) - number - 1)
    assert len(made) <= 2 * 20 + MAX_STALE
    assert [each.ref.id for each in passed(made, 1.0)] == [
        each.ref.id for each in sorted(live, key=lambda each: each.deadline)
    ]
