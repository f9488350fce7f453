"""Cancel a call at each of its steps, and see each time that nothing is left of it and all goes on."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import time
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import attrs
import trio

from common import Job, JobsError
from common.auth.client_credentials import ClientCredentials
from common.sources.http import HttpSource
from tests.loopback import server_tls
from tests.sockets.calls import CALLS, QUICK, System
from tests.sockets.cancelling import CANCELLED, KINDS, Kind
from tests.sockets.servers.peer import Peer, Piece, Request, whole
from tests.sockets.servers.proxy import Proxy
from tests.sockets.stacks import CONCURRENCY, Stack, occupied
from tests.sockets.stepping import Stepper, When, run

PROMPT = 3.0
"""Seconds within which good requests are answered: far more than they take."""
ENDLESS = 400
"""No call takes as many steps."""


async def _watch(source: HttpSource, uuid: str) -> object:
    """Two steps of a watch, which goes on behind a cancellation as if there had been none."""
    watch = source.watch(uuid)
    try:
        return [await anext(watch), await anext(watch)]
    except BaseException:
        _interrupted.append(watch)
        raise


_interrupted: list[Any] = []
"""Watches whose step was cancelled, which are asked to go on."""

STEPPED: dict[str, Callable[[HttpSource, str], Awaitable[object]]] = {
    **{name: CALLS[name] for name in ("get", "wait", "list", "start", "act")},
    "watch": _watch,
    "sign in": CALLS["get"],
}


@attrs.define
class Case:
    """One cell of the matrix.

    ``slow``: replies come in two parts, after a moment. ``new``: for each step there is a source of its own,
    which has no connection yet.
    """

    stack: Stack
    loop: str
    call: str
    kind: Kind
    when: When
    slow: bool = False
    new: bool = False
    steps: int = 0
    hits: int = 0
    """At how many steps the call ended in a cancellation."""
    found: list[str] = attrs.Factory(list)

    def __str__(self) -> str:
        also = ", ".join(["slow"] * self.slow + ["new"] * self.new)
        return f"{self.stack.name} {self.loop} {self.call}: {self.kind.name} {self.when} {also}"


@attrs.frozen
class Bench:
    """The servers under a source."""

    ca: str
    key: str
    api: Peer
    tokens: Peer
    proxy: Proxy
    system: System

    def deserted(self) -> bool:
        """Whether all clients have gone, after time to go."""
        end = time.monotonic() + PROMPT
        while (self.api.open or self.tokens.open) and time.monotonic() < end:
            time.sleep(0.0005)
        return not self.api.open and not self.tokens.open

    async def busy(self, source: HttpSource, tasks: int) -> list[str]:
        """What is still occupied, after time to settle."""
        found: list[str] = []
        for attempt in range(200):
            found = occupied(source)
            if living_tasks() > tasks:
                found.append(f"{living_tasks()} tasks instead of {tasks}")
            for name, peer in (("api", self.api), ("tokens", self.tokens), ("proxy", self.proxy)):
                if peer.open > CONCURRENCY * (2 if name == "proxy" else 1):
                    found.append(f"{peer.open} connections to the {name} are open")
            if not found:
                break
            await anyio.sleep(0 if attempt < 20 else 0.01)
        return found


@contextlib.contextmanager
def bench(stack: Stack, ca: str, key: str, *, slow: bool) -> Generator[Bench, None, None]:
    system = System()

    def pieces(status: str, data: Any) -> Iterable[Piece]:
        reply = whole(data, status)
        if not slow:
            return [reply]
        head, end, body = reply.partition(b"\r\n\r\n")
        return [0.001, head + end, 0.001, body]

    def token(_: Request) -> Iterable[Piece]:
        # It has expired when it arrives: each request signs in.
        return pieces(
            "200 OK", {"access_token": f"t{system.number()}", "token_type": "bearer", "expires_in": 1e-6}
        )

    tls = server_tls(ca, key) if stack.tls else None
    with (
        Peer(lambda request: pieces(*system.answer(request)), tls=tls) as api,
        Peer(token, tls=tls) as tokens,
        Proxy() as proxy,
    ):
        yield Bench(ca, key, api, tokens, proxy, system)
    assert not api.errors + tokens.errors + proxy.errors


def living_tasks() -> int:
    """How many tasks there are, those of the loop itself included."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return trio.lowlevel.current_statistics().tasks_living


def open_sockets() -> int:
    """How many sockets this process has open."""
    count = 0
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            count += str(file.readlink()).startswith("socket:")
    return count


def run_case(case: Case, ca: str, key: str, *, first: int = 0, every: int = 1) -> Case:
    """Cancel at the steps from ``first`` on; ``every`` passes over some."""
    sockets = open_sockets()
    with complaints(case.found), bench(case.stack, ca, key, slow=case.slow) as servers:
        run(case.loop, lambda stepper: _run(case, servers, stepper, first, every))
    if open_sockets() > sockets:
        case.found.append(f"{open_sockets() - sockets} sockets are open in the end")
    return case


async def _run(case: Case, servers: Bench, stepper: Stepper, first: int, every: int) -> None:
    if case.loop == "asyncio":
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: case.found.append(
                f"loop: {context.get('message')} {context.get('exception')!r}"
            )
        )
    step: int | None = first
    while step is not None and step < ENDLESS and len(case.found) < 5:
        async with _source(case, servers) as source:
            tasks = living_tasks()
            if not case.new:
                await source.get(servers.system.uuid())
            while step is not None and step < ENDLESS and len(case.found) < 5:
                done = await _one(case, servers, source, stepper, step, tasks)
                step = None if done else step + every
                if case.new:
                    break
        if not await anyio.to_thread.run_sync(servers.deserted):
            case.found.append(f"{servers.api.open + servers.tokens.open} connections outlive their source")
    if step is not None and step >= ENDLESS:
        case.found.append("it has no last step")


@contextlib.asynccontextmanager
async def _source(case: Case, servers: Bench) -> AsyncGenerator[HttpSource, None]:
    keywords: dict[str, Any] = {"policy": QUICK}
    if case.call == "sign in":
        keywords["auth"] = ClientCredentials(f"{servers.tokens.url}/token", "id", "secret")
    async with case.stack.source(
        servers.api.url, ca=servers.ca, proxy=servers.proxy.url, **keywords
    ) as source:
        yield source


async def _one(
    case: Case, servers: Bench, source: HttpSource, stepper: Stepper, step: int, tasks: int
) -> bool:
    """Whether the call was over before this step of it."""
    uuid = servers.system.uuid()
    _interrupted.clear()
    outcome = await case.kind.run(stepper, lambda: STEPPED[case.call](source, uuid), step, case.when)
    over = stepper.disarm()
    case.steps += not over
    case.hits += outcome == CANCELLED
    about = f"{case}, step {step}"
    if isinstance(outcome, (BaseException, str)) and (over or outcome != CANCELLED):
        case.found.append(f"{about}: it ended in {outcome!r}")
    case.found += [f"{about}: {text}" for text in await servers.busy(source, tasks)]
    try:
        for watch in _interrupted:
            with anyio.fail_after(PROMPT):
                if not isinstance(await anext(watch, None), Job):
                    case.found.append(f"{about}: the watch ended")
                await watch.aclose()
        with anyio.fail_after(PROMPT):
            async with anyio.create_task_group() as group:
                for _ in range(CONCURRENCY + 1):
                    group.start_soon(source.get, servers.system.uuid())
    except* (TimeoutError, JobsError) as errors:
        case.found.append(f"{about}: afterwards {errors.exceptions[0]!r}")
    return over


@contextlib.contextmanager
def complaints(found: list[str]) -> Generator[None, None, None]:
    """Collect ResourceWarnings and what Python could not raise, garbage included."""
    hook = sys.unraisablehook
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sys.unraisablehook = lambda bad: found.append(f"unraisable: {bad.exc_value!r} in {bad.object!r}")
        try:
            yield
            gc.collect()
        finally:
            sys.unraisablehook = hook
    found += [
        str(each.message) for each in caught if issubclass(each.category, (ResourceWarning, RuntimeWarning))
    ]


def cases(stacks: Iterable[Stack], **chosen: Iterable[Any]) -> Iterator[Case]:
    """All cells of the matrix, or those with one of the chosen values."""
    for stack in stacks:
        for kind in KINDS.values():
            for loop in kind.loops:
                for when in kind.whens:
                    for call in STEPPED:
                        for slow in (False, True):
                            for new in (False, True):
                                case = Case(stack, loop, call, kind, when, slow=slow, new=new)
                                if all(getattr(case, name) in values for name, values in chosen.items()):
                                    yield case
