"""The ways in which a host cancels: each runs a call, and cancels it at one step of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import attrs
import trio

from tests.sockets.stepping import Stepper, When

Call = Callable[[], Awaitable[object]]
DEADLINE = 5.0
"""Seconds that a call is given, and fewer than the stepper's jump."""
PATIENCE = 20.0
"""Seconds after which a call that was cancelled has not ended."""


@attrs.frozen
class Kind:
    """One way to cancel. ``deadline`` counts what can be hit by time alone."""

    name: str
    run: Callable[[Stepper, Call, int, When], Awaitable[object]]
    loops: tuple[str, ...] = ("asyncio",)
    whens: tuple[When, ...] = ("before", "behind")


CANCELLED = "cancelled"
"""What a call ends in that was cancelled; else it is what it returned or raised."""


async def _native(
    stepper: Stepper, call: Call, step: int, when: When, *, times: int = 1, again: bool = False
) -> object:
    task = asyncio.ensure_future(call())

    def cancel() -> None:
        for _ in range(times):
            task.cancel()
        if again:
            stepper.arm(0, when, task.cancel)

    stepper.arm(step, when, cancel)
    await asyncio.wait([task], timeout=PATIENCE)
    if not task.done():
        return "it did not end"
    if task.cancelled():
        return CANCELLED
    return task.exception() or task.result()


async def _in_task(
    stepper: Stepper, step: int, when: When, action: Callable[[], object], work: Call
) -> object:
    """Run ``work`` in a task, call ``action`` at a step, and see that the task can go on afterwards."""

    async def whole() -> object:
        outcome = await work()
        task = asyncio.current_task()
        assert task is not None
        await asyncio.sleep(0)
        return f"{task.cancelling()} cancellations are left" if task.cancelling() else outcome

    task = asyncio.ensure_future(whole())
    stepper.arm(step, when, action)
    await asyncio.wait([task], timeout=PATIENCE)
    if not task.done():
        return "it did not end"
    return "a cancellation came out" if task.cancelled() else task.exception() or task.result()


async def _timeout(stepper: Stepper, call: Call, step: int, when: When) -> object:
    async def work() -> object:
        try:
            async with asyncio.timeout(DEADLINE):
                return await call()
        except TimeoutError as error:
            return CANCELLED if error.__class__ is TimeoutError else error
        except Exception as error:
            return error

    return await _in_task(stepper, step, when, stepper.jump, work)


async def _wait_for(stepper: Stepper, call: Call, step: int, when: When) -> object:
    async def work() -> object:
        try:
            return await asyncio.wait_for(call(), DEADLINE)
        except TimeoutError as error:
            return CANCELLED if error.__class__ is TimeoutError else error
        except Exception as error:
            return error

    return await _in_task(stepper, step, when, stepper.jump, work)


async def _scope(stepper: Stepper, call: Call, step: int, when: When, *, deadline: bool = False) -> object:
    scopes: list[anyio.CancelScope] = []
    outcome: list[object] = []

    async def work() -> object:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            if deadline:
                scope.deadline = anyio.current_time() + DEADLINE
            try:
                outcome.append(await call())
            except Exception as error:
                outcome.append(error)
        return outcome[0] if outcome else CANCELLED

    def cancel() -> None:
        # Before the task has begun there is no scope.
        if deadline:
            stepper.jump()
        elif scopes:
            scopes[0].cancel()
        else:
            stepper.arm(0, when, cancel)

    if is_asyncio():
        return await _in_task(stepper, step, when, cancel, work)
    results: list[object] = []

    async def keep() -> None:
        results.append(await work())

    with anyio.move_on_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            stepper.arm(step, when, cancel)
            nursery.start_soon(keep)
    return results[0] if results else "it did not end"


def is_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


BOTH = ("asyncio", "trio")
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("cancel", _native),
        Kind("cancel twice", partial(_native, times=2)),
        Kind("cancel, and again a step later", partial(_native, again=True)),
        Kind("timeout", _timeout, whens=("before",)),
        Kind("wait_for", _wait_for, whens=("before",)),
        Kind("scope", _scope, BOTH),
        Kind("deadline of a scope", partial(_scope, deadline=True), BOTH, ("before",)),
    )
}
