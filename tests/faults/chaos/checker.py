"""The checker of waits: each must end once, in time and as the server said, and be reported once."""

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
from tests.faults.chaos.history import TOLERANCE, History
from tests.faults.chaos.system_under_test import SystemUnderTest, WaitEnd
from tests.faults.chaos.workload import WaitRun


def check_waits(sut: SystemUnderTest, runs: Sequence[WaitRun], history: History) -> None:
    """Check all waits of a run. Raise `AssertionError` with a note that describes the first wrong one."""
    ends_by_caller: defaultdict[object, list[WaitEnd]] = defaultdict(list)
    for end in sut.wait_ends:
        ends_by_caller[end.caller].append(end)
    for run in runs:
        try:
            _check_run(sut, run, ends_by_caller.pop(run, []), history)
        except AssertionError as error:
            error.add_note(str(run))
            raise
    assert not ends_by_caller, "the observer was told of waits that are not part of the workload"
    raised = [outcome for run in runs for _, _, outcome in run.outcomes if isinstance(outcome, Exception)]
    assert len(raised) == len({id(error) for error in raised}), "two waits raised the same exception object"


def _check_run(sut: SystemUnderTest, run: WaitRun, reported: Sequence[WaitEnd], history: History) -> None:
    plan = run.plan
    assert run.ended_at >= 0, "the call never returned"
    if run.started_at < 0:
        assert not reported
        return
    duration = run.ended_at - run.started_at
    assert plan.cancel_after is None or duration <= plan.cancel_after + TOLERANCE, (
        "the call went on after it was cancelled"
    )
    assert not plan.timeout or duration <= plan.timeout + TOLERANCE + plan.pause, (
        "the call went on after its timeout"
    )
    # Each wait that was started reports exactly one end, or that it was abandoned. Between two steps of a
    # watch no wait is active, so that nothing is reported if the watch is left there.
    # A job that is discarded, or handed on to another set, has been waited for more than once.
    active = [] if run.pausing else list(plan.jobs)
    counts = Counter(end.job_id for end in reported)
    if plan.call == "job_set":
        counts = Counter(list(counts))
    assert counts == Counter(active), [(end.job_id, end.kind, end.at) for end in reported]
    ends = {end.job_id: end for end in reported if end.kind is EventKind.ENDED}
    assert run.may_abandon or ends.keys() == plan.jobs.keys(), "a wait was abandoned that nobody cancelled"
    for end in ends.values():
        check_wait_end(sut, run, end, history)
    # Each outcome that the call returned is the end of the wait for that job, and is returned once.
    returned = Counter(id for id, _, _ in run.outcomes)
    assert set(returned.values()) <= {1}, "an outcome was returned twice"
    assert run.may_abandon or returned == Counter(list(plan.jobs)), "an outcome was not returned"
    for id, at, outcome in run.outcomes:
        end = ends[id]
        assert _is_outcome_of(end, outcome), (outcome, end)
        assert at - end.at <= TOLERANCE or plan.call in {"wait_all", "first", "first_failure"}, (
            "an outcome was returned late"
        )
    if not run.cancelled and not run.killed:
        _check_return_time(run, [end.at for end in ends.values()])


def _is_outcome_of(end: WaitEnd, outcome: object) -> bool:
    if isinstance(outcome, JobFailed):
        return end.error is None and outcome.job is end.job
    return outcome is (end.job if end.error is None else end.error)


def _check_return_time(run: WaitRun, ends: Sequence[float]) -> None:
    """Check that a call that waits for several jobs returned as soon as it should, and not earlier."""
    failures = [at for _, at, result in run.outcomes if not (isinstance(result, Job) and result.succeeded)]
    match run.plan.call:
        case "wait_all":
            assert run.ended_at - max(ends) <= TOLERANCE
            assert len(ends) == len(run.plan.jobs)
        case "first":
            assert run.outcomes
            assert run.ended_at - min(ends) <= TOLERANCE
        case "first_failure":
            assert failures or not run.unfinished()
        case "as_completed_half":
            assert len(run.outcomes) * 2 >= len(run.plan.jobs)
        case _:
            pass


def check_wait_end(sut: SystemUnderTest, run: WaitRun, end: WaitEnd, history: History) -> None:
    """Check that a wait was right to end like this, at that moment, by what the server had said."""
    started_at, policy, timeout = run.started_at, run.plan.policy, run.plan.timeout
    id, at = end.job_id, end.at
    passed = run.plan.jobs[id]
    known = passed if isinstance(passed, Job) else None
    context = "\n  ".join(map(str, (end, *history.delivered(id, at)[-6:])))
    match end.error:
        case None:
            assert end.job is not None
            assert end.job.done, context
            assert end.job.ref.id == id
            if known is not None and known.done:
                assert end.job is known or (run.plan.call == "job_set" and end.job == known)
            else:
                assert history.state_delivered(id, end.job.state, at), context
        case JobGone() as error:
            assert history.not_found(id, at), context
            assert not history.seen_between(id, at - policy.gone_grace + TOLERANCE, at), context
            assert error.job is not None
            assert history.state_reported(id, error.job.state, at), context
        case JobNotFound() as error:
            assert history.not_found(id, at), context
            assert error.job is None
            assert known is None
            assert not history.seen_between(id, started_at, at), context
            assert at - started_at >= policy.start_grace - TOLERANCE, context
        case WaitTimeout():
            assert timeout is not None
            max_delay = TOLERANCE + run.plan.pause
            assert abs(at - started_at - timeout) <= max_delay or timeout == 0, context
        case AuthenticationError():
            if sut.can_reauthenticate:
                rejected = history.rejected_twice(id, started_at, at) or history.rejected_untried(id, at)
                assert rejected or history.sign_in_rejected(at), context
            else:
                assert history.rejected(id, at), context
        case PermissionDenied():
            assert history.permission_denied(id, at), context
        case UnexpectedState() as error:
            assert error.job is not None
            if run.plan.call == "slow_watch":  # what was reported during its pauses is not known here
                assert history.state_delivered(id, JobState.UNKNOWN, at), context
            else:
                assert history.state_unknown(id, at, policy.unknown_limit), context
            assert at - started_at >= policy.unknown_limit - TOLERANCE, context
        case DecodeError() as error if not error.transient and history.undecodable(
            id, started_at, at, BAD_RECORDS
        ):
            pass
        case SourceError() as error:
            # At the end of an outage a single undecodable record is enough.
            assert error.transient or isinstance(error, DecodeError), context
            assert timeout is None, context
            assert at - started_at >= policy.outage_limit - TOLERANCE, context
            assert history.outage(id, at - policy.outage_limit, at), context
        case other:
            raise AssertionError(f"a wait may not end with {other!r}") from other
