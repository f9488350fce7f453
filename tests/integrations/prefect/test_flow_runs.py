"""Who cancelled a flow run, asked of an API that these tests stand in for."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from attrs import define, field
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.states import Cancelled, Cancelling, Running

from common.integrations.prefect import flow_runs
from common.integrations.prefect.flow_runs import cancelled_by_person, until_cancelled

OUTER, INNER, CALL = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
pytestmark = pytest.mark.anyio


@define
class Api:
    """A flow run with a subflow, how often each was read, and the state from the third time on."""

    state: State[Any] = field(factory=Running)
    third: State[Any] | None = None
    failures: int = 0
    reads: Counter[uuid.UUID] = field(factory=Counter)

    async def read_flow_run(self, run: uuid.UUID) -> FlowRun:
        self.reads[run] += 1
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the API does not answer")
        if self.third is not None and self.reads[run] == 3:
            self.state = self.third
        inner = run == INNER
        state: State[Any] = Running() if inner else self.state
        return FlowRun(id=run, flow_id=uuid.uuid4(), state=state, parent_task_run_id=CALL if inner else None)

    async def read_task_run(self, run: uuid.UUID) -> TaskRun:
        assert run == CALL
        return TaskRun(id=run, task_key="call", dynamic_key="0", flow_run_id=OUTER)

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Api]:
        yield self


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Api:
    found = Api()
    monkeypatch.setattr(flow_runs, "get_client", found.client)
    monkeypatch.setattr(flow_runs, "INTERVAL", 0.01)
    return found


@pytest.mark.parametrize("run", [OUTER, INNER], ids=["flow", "subflow"])
@pytest.mark.parametrize(
    ("state", "by_person"), [(Running(), False), (Cancelling(), True), (Cancelled(), False)], ids=str
)
async def test_a_person_cancels_a_flow_run_that_is_cancelling(
    asked: Api, run: uuid.UUID, state: State[Any], by_person: bool
) -> None:
    asked.state = state
    assert await cancelled_by_person(run) is by_person


async def test_where_nobody_tells_nobody_cancelled(asked: Api) -> None:
    asked.state, asked.failures = Cancelling(), 1
    assert not await cancelled_by_person(OUTER)
    assert not await cancelled_by_person(None)


async def test_an_api_that_does_not_answer_is_waited_for_no_longer_than_that(
    asked: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: uuid.UUID) -> FlowRun:
        await anyio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(Api, "read_flow_run", lambda _, run: never(run))
    monkeypatch.setattr(flow_runs, "ANSWER_TIMEOUT", 0.01)
    assert not await cancelled_by_person(OUTER)


async def test_all_who_wait_for_a_flow_run_share_what_is_asked_about_it(asked: Api) -> None:
    told: list[bool] = []
    asked.third = Cancelling()

    async def wait() -> None:
        told.append(await until_cancelled(OUTER))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(wait)
    assert told == [True] * 50
    assert asked.reads[OUTER] == 3


async def test_a_watch_outlives_an_api_that_fails_and_whoever_leaves(asked: Api) -> None:
    asked.failures = 2
    for _ in range(2):
        with anyio.move_on_after(0.02):
            await until_cancelled(OUTER)
    asked.state = Cancelled()
    assert await until_cancelled(OUTER) is False


async def test_a_process_that_serves_flow_runs_for_months_keeps_none_that_it_asked_about(asked: Api) -> None:
    asked.state = Cancelled()
    for _ in range(20):
        assert not await cancelled_by_person(uuid.uuid4())
        assert not await until_cancelled(uuid.uuid4())
    assert len(flow_runs._asked) <= 2
