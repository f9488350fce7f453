"""Cancel many calls at once, at random moments and in real time, while connections break."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from random import Random

import anyio

from common import JobsError
from common.sources.http import HttpSource
from tests.loopback import server_tls
from tests.sockets.calls import QUICK, System
from tests.sockets.cancelling import is_asyncio
from tests.sockets.matrix import PROMPT, STEPPED, Bench, complaints, living_tasks, open_sockets
from tests.sockets.servers.peer import End, Peer, Piece, Request, whole
from tests.sockets.servers.proxy import Proxy
from tests.sockets.stacks import CONCURRENCY, Stack
from tests.sockets.stepping import Stepper, run


def run_storm(stack: Stack, loop: str, seeds: Iterable[int], ca: str, key: str) -> list[str]:
    """Cancel calls at random moments, a dozen at a time, on a server that breaks some connections."""
    found: list[str] = []
    sockets = open_sockets()
    chances = Random(stack.name)
    calm: list[bool] = []
    system = System()

    def script(request: Request) -> Iterable[Piece]:
        if not calm and chances.random() < 0.05:
            return [End.ABORT]
        pause = 0.0 if calm else chances.choice((0.0, 0.001, 0.02))
        return [pause, whole(system.answer(request)[1], system.answer(request)[0])]

    async def main(stepper: Stepper) -> None:
        del stepper
        async with stack.source(api.url, ca=ca, proxy=proxy.url, policy=QUICK, request_timeout=2.0) as source:
            tasks = living_tasks()
            limiter = anyio.Semaphore(12)

            async def one(seed: int) -> None:
                async with limiter:
                    await _at_random(source, Random(seed), system.uuid())

            async with anyio.create_task_group() as group:
                for seed in seeds:
                    group.start_soon(one, seed)
            calm.append(True)
            servers = Bench(ca, key, api, api, proxy, system)
            found.extend(await servers.busy(source, tasks))
            for _ in range(3 * CONCURRENCY):
                try:
                    with anyio.fail_after(PROMPT):
                        await source.get(system.uuid())
                except (TimeoutError, JobsError) as error:
                    found.append(f"afterwards {error!r}")

    tls = server_tls(ca, key) if stack.tls else None
    with complaints(found), Peer(script, tls=tls) as api, Proxy() as proxy:
        run(loop, main)
    if open_sockets() > sockets:
        found.append(f"{open_sockets() - sockets} sockets are open in the end")
    return [*found, *api.errors, *proxy.errors]


async def _at_random(source: HttpSource, random: Random, uuid: str) -> None:
    """Make a call and cancel it at a random moment, in a random way."""
    call, moment = STEPPED[random.choice(list(STEPPED))], random.random() * random.choice((0.003, 0.05))
    way = random.choice(("scope", "cancel", "twice", "timeout", "wait_for"))
    with contextlib.suppress(TimeoutError, JobsError, StopAsyncIteration):
        if way == "scope" or not is_asyncio():
            with anyio.move_on_after(moment):
                await call(source, uuid)
        elif way == "timeout":
            async with asyncio.timeout(moment):
                await call(source, uuid)
        elif way == "wait_for":
            await asyncio.wait_for(call(source, uuid), moment)
        else:
            task = asyncio.ensure_future(call(source, uuid))
            await asyncio.sleep(moment)
            task.cancel()
            if way == "twice":
                await asyncio.sleep(0)
                task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()
