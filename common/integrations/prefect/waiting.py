"""How a task waits: in the loop of the process, whatever loop or thread the task itself runs in.

Prefect gives each submitted task a thread and a loop of its own, and each flow another. In the portal they
all share one source a system, and with it one poller, one sign-in and one pool of connections.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar
from uuid import UUID

import anyio
from prefect.context import FlowRunContext, TaskRunContext

from common.hosts.portal import kept_portal
from common.integrations.prefect.flow_runs import cancelled_by_person, until_cancelled
from common.integrations.systems import System, start_together
from common.polling.policy import OnCancel
from common.sources.base import BaseSource

_T = TypeVar("_T")
Work = Callable[[BaseSource, OnCancel], Awaitable[_T]]
"""A wait on a source, with what is to be done about its jobs if it is cancelled."""


async def wait_in_portal(system: System, work: Work[_T], *, cancel_job: bool) -> _T:
    """Run a wait on the shared source of a system, from a task of any event loop.

    With ``cancel_job``, its jobs are cancelled if a person cancels the flow run.
    """
    waiting = _Waiting[_T](_flow_run_id(), cancel_job=cancel_job)
    result = await kept_portal().acall(waiting.run, system, work)
    if not result:
        raise asyncio.CancelledError("the flow run was cancelled")
    return result[0]


async def send_in_portal(system: System, send: Callable[[BaseSource], Awaitable[_T]]) -> _T:
    """Send a write by the shared source of a system, to its end: a cancellation is raised after that."""
    return await kept_portal().acall(_send, system, send)


async def _send(system: System, send: Callable[[BaseSource], Awaitable[_T]]) -> _T:
    sent: list[_T] = []
    with anyio.CancelScope(shield=True):  # bounded by the source's request_timeout
        async with system.source() as source:
            sent.append(await send(source))
    return sent[0]


class _Waiting(Generic[_T]):
    """A wait in the portal's loop, and whoever ends it: its own end, its caller, or a person.

    A task in a thread other than the main one is not told of any cancellation, so the flow run is watched.
    """

    def __init__(self, flow_run: UUID | None, *, cancel_job: bool) -> None:
        self._flow_run = flow_run
        self._on_cancel: OnCancel = (lambda: self._by_person) if cancel_job else "leave"
        self._ask = cancel_job
        self._watched = threading.current_thread() is not threading.main_thread()
        self._by_person = False
        self._over = False

    async def run(self, system: System, work: Work[_T]) -> list[_T]:
        """Return the result in a list, which is empty where the flow run was cancelled."""
        results: list[_T] = []
        errors: list[Exception] = []
        async with anyio.create_task_group() as group:
            # Cancelled by what is started here alone, once it is known who cancels.
            with anyio.CancelScope(shield=True) as scope:
                group.start_soon(self._cancel, scope)
                try:
                    async with system.source() as source:
                        await start_together()
                        results.append(await work(source, self._on_cancel))
                except Exception as error:  # raised below, so that it is not wrapped in a group
                    errors.append(error)
            self._over = True
            group.cancel_scope.cancel()
        if errors:
            raise errors[0]
        return results

    async def _cancel(self, scope: anyio.CancelScope) -> None:
        try:
            if self._watched and self._flow_run is not None:
                self._by_person = await until_cancelled(self._flow_run)
            else:
                await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            if self._ask and not self._over:
                with anyio.CancelScope(shield=True):
                    self._by_person = await cancelled_by_person(self._flow_run)
            raise
        finally:
            scope.cancel()


def _flow_run_id() -> UUID | None:
    task = TaskRunContext.get()
    if task is not None:
        return task.task_run.flow_run_id
    flow = FlowRunContext.get()
    return None if flow is None or flow.flow_run is None else flow.flow_run.id
