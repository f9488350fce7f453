"""One run: calls that need a token are cancelled, time out and are closed under, by a random schedule."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import sniffio

from cfjobs.auth.cf_config import read_config
from common import AuthenticationError, JobsError, PollPolicy, UsageError, WaitTimeout
from tests.faults.token_history.issuer import Issuer
from tests.faults.token_history.sign_ins import AuthCase, Place, cli_file
from tests.faults.token_history.worlds import World

LENGTH = 90.0
"""Seconds of a schedule."""
OPERATIONS = 14
"""How many operations there are in each."""
MOMENTS = (0.0, 0.05, 0.25, 0.5, 0.75, 1.0, 2.5, 6.0, 14.0)
"""Seconds after which a call is cancelled; some of them are moments of the issuer's latencies."""
STEPS = 6
"""Up to so many steps of the event loop after that."""
REJECTION = 11.0
"""Seconds after which a refused sign-in is tried again, whatever came before."""

Work = Callable[[], Coroutine[Any, Any, Any]]


class Run:
    """Performs a schedule, and compares the issuer's books with ours after each of its events."""

    def __init__(self, seed: int, way: AuthCase, issuer: Issuer, world: World, folder: Path) -> None:
        self.random = Random(seed)
        self.way = way
        self.issuer = issuer
        self.world = world
        self.told: list[str] = []
        self.events: Counter[str] = Counter()
        self.place = Place(world.api, world.login, folder, self._on_rotate())
        self.auth = way.make(self.place)
        self.source = self._connect()
        self._jobs = 0

    async def perform(self) -> Counter[str]:
        """Perform the schedule and return its events, by kind. Raise `AssertionError`."""
        operations = [self._operation() for _ in range(OPERATIONS)]
        async with anyio.create_task_group() as group:
            for operation in operations:
                group.start_soon(operation)
        await self._close()
        if self.auth._sign_in is not None:
            assert self._hangs, "closed under a sign-in"
            await anyio.sleep(self.world.request_timeout)
        self._check("the end", settled=True)
        self.issuer.faults, self.issuer.accepts, self.issuer.latency = False, True, 0.0
        await anyio.sleep(REJECTION * (self.world.scale == 1.0))
        self.auth._rejection = None  # these two are kept for as long in real time, too long for a test
        if self.auth._cached is not None:
            self.auth._cached.settled_at = 0.0
        self.source = self._connect()
        await self._call("get", lambda: self.source.get(self._job()))  # in vain where ``on_rotate`` hangs
        assert await self.source.get(self._job())
        await self._close()
        await anyio.sleep(self.world.request_timeout * self._hangs)
        self._check("a healthy issuer", settled=True)
        self.events.update({f"reply {kind}": n for kind, n in self.issuer.replies.items()})
        return self.events

    # Operations

    def _operation(self) -> Callable[[], Coroutine[Any, Any, None]]:
        choices: list[tuple[str, int, Callable[[float, int], Awaitable[None]]]] = [
            ("get", 3, lambda _, __: self._call("get", lambda: self.source.get(self._job()))),
            ("deadline", 3, lambda after, _: self._deadline(after)),
            ("scope", 3, lambda after, steps: self._cancelled("scope", by_scope, after, steps)),
            ("task", 3, lambda after, steps: self._cancelled("task", by_task, after, steps)),
            ("timeout", 2, lambda after, steps: self._cancelled("timeout", by_timeout, after, steps)),
            ("wait_for", 2, lambda after, steps: self._cancelled("wait_for", by_wait_for, after, steps)),
            ("close", 2, lambda _, __: self._reopen()),
            ("close, cancelled", 2, lambda after, _: self._reopen(after)),
            ("close, natively cancelled", 1, lambda after, _: self._reopen(after, by_task)),
            ("revoke", 4, lambda _, __: self._revoke()),
            ("refuse", 1, lambda after, _: self._refuse(after)),
        ]
        name, _, work = self.random.choices(choices, [weight for _, weight, _ in choices])[0]
        at, after = self.random.uniform(0, LENGTH), self.random.choice(MOMENTS)
        steps = self.random.randrange(STEPS)

        async def operation() -> None:
            await self._sleep(at)
            await work(after, steps)
            self.events[name] += 1
            self._check(name)
            await self._sleep(0.5)
            self._check(f"half a second after {name}")

        return operation

    async def _call(self, name: str, work: Work) -> None:
        try:
            await work()
        except AuthenticationError:
            issuer = self.issuer
            assert issuer.replies["refused"] or issuer.revocations or self.events["refuse"], name
        except UsageError as error:
            if "closed" not in str(error):
                raise
        except WaitTimeout:
            raise
        except JobsError:
            pass

    async def _deadline(self, after: float) -> None:
        start, timeout = anyio.current_time(), max(after, 0.05) * self.world.scale
        with suppress(WaitTimeout):
            await self._call("deadline", lambda: self.source.wait(self._job(), timeout=timeout))
        self._prompt(start, timeout)

    async def _cancelled(
        self, name: str, cancel: Callable[[Work, float, int], Awaitable[None]], after: float, steps: int
    ) -> None:
        if sniffio.current_async_library() == "trio":
            cancel = by_scope
        start, after = anyio.current_time(), after * self.world.scale
        call = self.source.wait if self.random.random() < 0.7 else self.source.get
        await cancel(lambda: self._call(name, lambda: call(self._job())), after, steps)
        self._prompt(start, after)

    async def _reopen(
        self, after: float | None = None, cancel: Callable[[Work, float, int], Awaitable[None]] | None = None
    ) -> None:
        old, self.source = self.source, self._connect()
        start = anyio.current_time()
        if after is None:
            await old.aclose()
        elif cancel is None or sniffio.current_async_library() == "trio":
            await by_scope(old.aclose, after * self.world.scale, 0)
        else:
            await cancel(old.aclose, after * self.world.scale, 0)
        self._prompt(start, self.world.request_timeout)
        assert old._client._state is None
        if anyio.current_time() - start < self.world.request_timeout - self.world.tolerance:
            await self._sleep(0.1)  # for calls that find out that it is closed
            sign_in = self.auth._sign_in
            assert sign_in is None or sign_in.http is not old._client, "closed under a sign-in"

    async def _revoke(self) -> None:
        self.issuer.revoke()
        await self._call("revoke", lambda: self.source.get(self._job()))

    async def _refuse(self, after: float) -> None:
        self.events["refuse"] += 1
        self.issuer.accepts = False
        await self._sleep(after)
        self.issuer.accepts = True

    async def _close(self) -> None:
        start = anyio.current_time()
        await self.source.aclose()
        self._prompt(start, self.world.request_timeout)

    # Books

    def _check(self, event: str, *, settled: bool = False) -> None:
        issuer, auth = self.issuer, self.auth
        assert issuer.respent == [], f"after {event}: a refresh token was sent again that had been spent"
        assert issuer.most_in_flight <= 1, f"after {event}: {issuer.most_in_flight} sign-ins in flight"
        assert len(self.told) == len(set(self.told))
        self.events["checks"] += 1
        if auth._sign_in is not None:
            assert not settled
            assert self.told == issuer.handed[: len(self.told)] or not self.way.tells
            return
        if self.way.rotates:
            assert auth._refresh_token == issuer.current, f"after {event}: ours is not the issuer's"
        if self.way.tells:
            assert self.told == issuer.handed, f"after {event}"
        if self.way.name == "CfCliLogin" and issuer.replies["unusable"] == 0:
            assert read_config(cli_file(self.place)).refresh == issuer.current

    def _prompt(self, start: float, seconds: float) -> None:
        late = anyio.current_time() - start - seconds
        assert late <= self.world.tolerance, f"{late:g} s late"

    def _on_rotate(self) -> Callable[[str], object]:
        behaviour = self.random.choice(["plain", "async", "slow", "raises", "cancels", "hangs"])
        self._hangs = behaviour in ("slow", "hangs")
        pause = {"slow": 2.0, "hangs": 1e6}.get(behaviour, 0.0)

        async def on_rotate(refresh_token: str) -> None:
            self.told.append(refresh_token)
            await self._sleep(pause)
            if behaviour == "raises":
                raise OSError("disk full")
            if behaviour == "cancels" and sniffio.current_async_library() == "asyncio":
                task = asyncio.ensure_future(asyncio.sleep(1e6))
                asyncio.get_running_loop().call_soon(task.cancel)
                await task

        return self.told.append if behaviour == "plain" else on_rotate

    def _connect(self) -> Any:
        policy = PollPolicy(initial=2.0 * self.world.scale, maximum=5.0 * self.world.scale)
        options = {"request_timeout": self.world.request_timeout, **self.world.options()}
        return self.way.connect(self.place, self.auth, policy, **options)

    def _job(self) -> str:
        self._jobs += 1
        return f"{self._jobs:08x}-0000-4000-8000-000000000000"

    async def _sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds * self.world.scale)


# Ways to cancel, each of which leaves when the work does


async def by_scope(work: Work, after: float, steps: int) -> None:
    """Cancel as anyio does."""

    async def run() -> None:
        await work()
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await _moment(after, steps)
        group.cancel_scope.cancel()


async def by_task(work: Work, after: float, steps: int) -> None:
    """Cancel as asyncio does."""
    task = asyncio.ensure_future(work())
    await asyncio.wait([task], timeout=after)
    for _ in range(steps):
        await anyio.lowlevel.checkpoint()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def by_timeout(work: Work, after: float, steps: int) -> None:
    """Cancel by the timeout of asyncio's own."""
    del steps
    with suppress(TimeoutError):
        async with asyncio.timeout(after):
            await work()


async def by_wait_for(work: Work, after: float, steps: int) -> None:
    """Cancel by ``wait_for``."""
    del steps
    with suppress(TimeoutError):
        await asyncio.wait_for(work(), after)


async def _moment(after: float, steps: int) -> None:
    await anyio.sleep(after)
    for _ in range(steps):
        await anyio.lowlevel.checkpoint()
