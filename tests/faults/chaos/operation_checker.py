"""The checker of operations: each result is what the server said, and no write is sent twice."""

from __future__ import annotations

from collections.abc import Sequence

from common import (
    ActionRefused,
    ActionUncertain,
    AuthenticationError,
    Job,
    JobNotFound,
    JobsError,
    JobState,
    SourceError,
)
from common.simulator import faults
from tests.faults.chaos.history import TOLERANCE, History
from tests.faults.chaos.operations import Operation, OperationGenerator
from tests.faults.chaos.recording_transport import REQUEST_NUMBER, Exchange


def check_operations(
    generator: OperationGenerator,
    operations: Sequence[Operation],
    exchanges: Sequence[Exchange],
    history: History,
) -> None:
    """Check all operations of a run. Raise `AssertionError`, with a note that describes the wrong one."""
    for operation in operations:
        if operation.completed_at < 0:
            continue  # its process was stopped first
        own = [each for each in exchanges if each.caller is operation and not _is_sign_in(each)]
        try:
            _check_operation(generator, operation, own, history)
        except AssertionError as error:
            error.add_note(f"{operation}\n" + "\n".join(map(str, own)))
            raise


def _is_sign_in(exchange: Exchange) -> bool:
    return exchange.target.partition("?")[0].endswith(("/token", "/")) or exchange.target == "/"


def _check_operation(
    generator: OperationGenerator, operation: Operation, own: Sequence[Exchange], history: History
) -> None:
    writes = [exchange for exchange in own if exchange.method != "GET" and exchange.result != "401"]
    assert len(writes) <= 1, "a write was sent twice"
    started = generator.started.get(operation.target, [])
    assert len(started) <= 1
    if operation.adopted is not None and not operation.adopted.refs:
        last = history.responses[own[-1]]
        assert last.status < 300, "the write was refused"
        assert not last.sent, "the response named a job"
    elif operation.adopted is not None:
        assert [ref.id for ref in operation.adopted.refs] == started
    if operation.error is not None:
        _check_error(generator, operation, operation.error, own, history)
    for job in operation.jobs:
        not_reread = operation.kind in {"pause", "resume"} and job.state is JobState.UNKNOWN and job.warnings
        assert not_reread or _was_reported(operation, job, own, history), "the server never said so"
    if operation.kind == "list" and operation.error is None and not _met_stale(generator, own):
        existing = {id for id in generator.endless if id in generator.sut.simulator.jobs}
        assert {job.ref.id for job in operation.jobs} >= existing, "the list is incomplete"


def _met_stale(generator: OperationGenerator, own: Sequence[Exchange]) -> bool:
    """Whether one of these was answered from the past, and so perhaps from before the jobs were started."""
    stale = [
        request.headers.get(REQUEST_NUMBER)
        for injection in generator.sut.simulator.faults
        if any(isinstance(fault, faults.Stale) for fault in injection.faults)
        for request in injection.met
    ]
    return any(str(exchange.number) in stale for exchange in own)


def _was_reported(operation: Operation, job: Job, own: Sequence[Exchange], history: History) -> bool:
    if operation.kind == "list":
        return any(history.listed_states.get(each, {}).get(job.ref.id) is job.state for each in own)
    return any(
        reply.state is job.state and abs(reply.delivered_at - operation.completed_at) <= TOLERANCE
        for reply in history.delivered(job.ref.id, operation.completed_at)
        if reply.exchange.caller is operation
    )


def _check_error(
    generator: OperationGenerator,
    operation: Operation,
    error: JobsError,
    own: Sequence[Exchange],
    history: History,
) -> None:
    responses = [history.responses.get(exchange) for exchange in own]
    last = responses[-1] if responses else None
    writes = [exchange for exchange in own if exchange.method != "GET"]
    accepted = [
        each for each in writes if (response := history.responses.get(each)) and response.status < 300
    ]
    assert not accepted or operation.kind == "start", "the server accepted the action that failed"
    match error:
        case JobNotFound():
            assert own[-1] in history.actions_not_found or history.not_found(
                operation.target, operation.completed_at
            )
        case ActionUncertain():
            assert writes, "the error says that the write's outcome is uncertain, but no write was sent"
        case ActionRefused():
            assert last is not None
            assert 400 <= last.status < 500
            assert operation.kind in {"pause", "resume"}
        case AuthenticationError():
            rejections = sum(response is not None and response.status == 401 for response in responses)
            assert (
                rejections >= 2
                or (rejections and history.token_replaced(operation.completed_at))
                or history.sign_in_rejected(operation.completed_at)
                or not generator.sut.can_reauthenticate
            )
            assert operation.target not in generator.started
        case SourceError():
            # Unless the error says that the outcome is uncertain, the write must not have had an effect.
            assert operation.target not in generator.started, "the server started a job for it"
        case other:
            raise AssertionError(f"an operation may not end with {other!r}") from other
