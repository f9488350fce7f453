"""How each wait may end: on the server's word alone, in time, once, and told to the observer once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from common import (
    AuthenticationError,
    DecodeError,
    Job,
    JobFailed,
    JobGone,
    JobNotFound,
    JobState,
    PermissionDenied,
    SourceError,
    UnexpectedState,
    WaitTimeout,
)
from common.polling.wait_progress import BAD_RECORDS
from common.telemetry.events import EventKind
from tests.faults.chaos.history import GRACE, Evidence
from tests.faults.chaos.system_under_test import Place, Told
from tests.faults.chaos.workload import Course


def check_courses(place: Place, courses: Sequence[Course], evidence: Evidence) -> None:
    """Check every wait of these courses. Raises `AssertionError`, with the plan that it belonged to."""
    told: defaultdict[object, list[Told]] = defaultdict(list)
    for each in place.told:
        told[each.who].append(each)
    for course in courses:
        try:
            _check_course(place, course, told.pop(course, []), evidence)
        except AssertionError as error:
            error.add_note(str(course))
            raise
    assert not told, "somebody waited of whom nothing is known"
    raised = [end for course in courses for _, _, end in course.outcomes if isinstance(end, Exception)]
    assert len(raised) == len({id(end) for end in raised}), "two waits were given one exception"


def _check_course(place: Place, course: Course, told: Sequence[Told], evidence: Evidence) -> None:
    plan = course.plan
    assert course.ended >= 0, "it never ended"
    if course.began < 0:
        assert not told
        return
    took, late = course.ended - course.began, GRACE + place.delay
    assert plan.patience is None or took <= plan.patience + late, "it was cancelled, and went on"
    assert not plan.timeout or took <= plan.timeout + late + plan.pause, "it went on beyond its deadline"
    # Every wait that was entered tells exactly one end, or that it was abandoned. Between two steps of a
    # watch nobody waits, and nobody tells that there will be no third.
    entered = [] if course.pausing else list(plan.jobs)
    assert Counter(each.id for each in told) == Counter(entered), [
        (each.id, each.kind, each.at) for each in told
    ]
    ends = {each.id: each for each in told if each.kind is EventKind.ENDED}
    assert course.stopped or ends.keys() == plan.jobs.keys(), "a wait was abandoned that nobody cancelled"
    for end in ends.values():
        check_end(place, course, end, evidence)
    # Every outcome that was handed out is the end of its own wait, once.
    handed_out = Counter(id for id, _, _ in course.outcomes)
    assert set(handed_out.values()) <= {1}, "an outcome was handed out twice"
    assert course.stopped or handed_out == Counter(list(plan.jobs)), "an outcome was not handed out"
    for id, at, outcome in course.outcomes:
        end = ends[id]
        assert _is_of(outcome, end), (outcome, end)
        assert at - end.at <= GRACE or plan.how in {"all", "first", "first_failure"}, "it came late"
    if not course.cancelled and not course.killed:
        _check_moment(course, [end.at for end in ends.values()], late)


def _is_of(outcome: object, end: Told) -> bool:
    if isinstance(outcome, JobFailed):
        return end.error is None and outcome.job is end.job
    return outcome is (end.job if end.error is None else end.error)


def _check_moment(course: Course, ends: Sequence[float], late: float) -> None:
    """Whether a call that waits for several returned when it had to."""
    failures = [at for _, at, end in course.outcomes if not (isinstance(end, Job) and end.succeeded)]
    match course.plan.how:
        case "all":
            assert course.ended - max(ends) <= GRACE
            assert len(ends) == len(course.plan.jobs)
        case "first":
            assert course.outcomes
            assert course.ended - min(ends) <= late
        case "first_failure":
            assert failures or not course.left()
        case "some":
            assert len(course.outcomes) * 2 >= len(course.plan.jobs)
        case _:
            pass


def check_end(place: Place, course: Course, end: Told, evidence: Evidence) -> None:
    """Whether a wait could end as it did, at that moment, by what the server had said."""
    began, policy, timeout, id, at = course.began, course.plan.policy, course.plan.timeout, end.id, end.at
    given = course.plan.jobs[id]
    known = given if isinstance(given, Job) else None
    said = "\n  ".join(map(str, (end, *evidence.told(id, at)[-6:])))
    match end.error:
        case None:
            assert end.job is not None
            assert end.job.done, said
            assert end.job.ref.id == id
            if known is not None and known.done:
                assert end.job is known
            else:
                assert evidence.shows(id, end.job.state, at), said
        case JobGone() as error:
            assert evidence.lacks(id, at), said
            assert error.job is not None
            assert evidence.ever(id, error.job.state, at), said
        case JobNotFound() as error:
            assert evidence.lacks(id, at), said
            assert error.job is None
            assert known is None
            assert not evidence.seen(id, began, at), said
            assert at - began >= policy.start_grace - GRACE, said
        case WaitTimeout():
            assert timeout is not None
            assert abs(at - began - timeout) <= GRACE + place.delay + course.plan.pause or timeout == 0, said
        case AuthenticationError():
            if place.renews:
                assert evidence.refuses_twice(id, began, at) or evidence.turns_away(at), said
            else:
                assert evidence.refuses(id, at), said
        case PermissionDenied():
            assert evidence.forbids(id, at), said
        case UnexpectedState() as error:
            assert error.job is not None
            if course.plan.how == "browse":  # what was said while nobody waited is not known here
                assert evidence.shows(id, JobState.UNKNOWN, at), said
            else:
                assert evidence.unknown(id, at, policy.unknown_limit), said
            assert at - began >= policy.unknown_limit - GRACE, said
        case DecodeError() as error if not error.transient and evidence.garbled(id, began, at, BAD_RECORDS):
            pass
        case SourceError() as error:
            # Of a record that cannot be read one is enough, where it ends an outage.
            assert error.transient or isinstance(error, DecodeError), said
            assert timeout is None, said
            assert at - began >= policy.outage_limit - GRACE, said
            assert evidence.silent(id, at - policy.outage_limit, at), said
        case other:
            raise AssertionError(f"no wait may end so: {other!r}") from other
