"""Every outcome is justified by the bytes that answered its own request, and by no others.

A scripted server, and a relay before it that reads HTTP by itself, say which those are.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import ssl
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractAsyncContextManager

import anyio
import anyio.to_thread
import attrs
import pytest

from common.sources.http import HttpSource
from tests.loopback import server_tls
from tests.sockets.calls import ASKED, CALLS, QUICK, WARM, System, start_much
from tests.sockets.conftest import Share
from tests.sockets.judging import objections
from tests.sockets.servers.peer import Peer, Piece, Request, whole
from tests.sockets.servers.proxy import Proxy
from tests.sockets.servers.relay import Relay
from tests.sockets.shapes import EARLY, LEFTOVERS, SHAPES, TIMINGS, Shape
from tests.sockets.stacks import QUICK_STACKS, STACKS, Stack, name_of

pytestmark = pytest.mark.anyio


@attrs.define
class Stage:
    """A stack between a source and a scripted server, and what the server says next."""

    stack: Stack
    ca: str
    relay: Relay
    proxy: Proxy
    system: System = attrs.Factory(System)
    behind: Callable[[System], Iterable[Piece]] | None = None
    """The whole answer to the first request, which asks for another job."""
    shape: Shape | None = None
    """What is made of the next answer."""
    early: Shape | None = None
    """What answers the head of a POST."""
    answered: set[int] = attrs.Factory(set[int])
    """The connections on which it has been answered, while the body is still to come."""

    def script(self, request: Request) -> Iterable[Piece]:
        if WARM in request.target and self.behind is not None:
            return self.behind(self.system)
        if request.connection in self.answered:
            self.answered.discard(request.connection)
            return []
        status, data = self.system.answer(request)
        shape, self.shape = self.shape, None
        return [whole(data, status)] if shape is None else shape(status, json.dumps(data).encode())

    def early_script(self, request: Request) -> Iterable[Piece]:
        if self.early is None or request.method != "POST":
            return []
        self.answered.add(request.connection)
        status, data = self.system.answer(request)
        return self.early(status, json.dumps(data).encode())

    def source(self) -> AbstractAsyncContextManager[HttpSource]:
        return self.stack.source(
            self.relay.url, ca=self.ca, proxy=self.proxy.url, policy=QUICK, request_timeout=5.0
        )

    async def tried(self, source: HttpSource, call: str, about: str, uuid: str = ASKED) -> list[str]:
        """What speaks against the outcome of one call."""
        mark = self.relay.mark()
        outcome: object = "nothing within 10 s"
        try:
            with anyio.move_on_after(10):
                outcome = await (CALLS | {"start much": start_much})[call](source, uuid)
        except Exception as error:
            outcome = error
        return [f"{about}: {text}" for text in objections(outcome, self.relay.exchanges(mark))]


@contextlib.contextmanager
def staged(stack: Stack, ca: str, key: str, *, apart: bool = False) -> Generator[Stage, None, None]:
    tls: ssl.SSLContext | None = server_tls(ca, key) if stack.tls else None
    stages: list[Stage] = []

    def script(request: Request) -> Iterable[Piece]:
        return stages[0].script(request)

    def early(head: Request) -> Iterable[Piece]:
        return stages[0].early_script(head)

    with (
        Peer(script, early=early) as peer,
        Relay(peer.port, tls=tls, apart=apart) as relay,
        Proxy() as proxy,
    ):
        stages.append(Stage(stack, ca, relay, proxy))
        yield stages[0]
    assert not peer.errors + relay.errors + proxy.errors


async def after_leftover(stage: Stage, timing: str, leftover: str, call: str) -> list[str]:
    """Try a call on a connection on which something was left behind a reply."""
    about = f"{call}, {leftover} {timing}"
    stage.system = System()
    data = LEFTOVERS[leftover](stage.system)
    stage.behind = lambda system: TIMINGS[timing](system, data)
    async with stage.source() as source:
        known = stage.relay.unasked
        first = await stage.tried(source, "get", f"the reply with {leftover} {timing}", WARM)
        came = await anyio.to_thread.run_sync(stage.relay.wait_for_unasked, known + len(data))
        await anyio.sleep(0.002)
        missing = [] if came else [f"{about}: the leftover did not come"]
        return first + missing + await stage.tried(source, call, about)


async def with_shape(stage: Stage, shape: str, call: str, *, warm: bool) -> list[str]:
    """Try a call that gets an answer of a certain shape, and one more behind it."""
    stage.system, stage.behind = System(), None
    async with stage.source() as source:
        if warm:
            await source.get(WARM)
        stage.shape = SHAPES[shape]
        found = await stage.tried(source, call, f"{call}, {shape}")
        await anyio.sleep(0.015)  # what comes late has come
        return found + await stage.tried(source, "count", f"count, after {call}, {shape}")


on_each_stack = pytest.mark.parametrize("stack", STACKS, ids=name_of)
on_quick_stacks = pytest.mark.parametrize("stack", QUICK_STACKS, ids=name_of)


@on_each_stack
@pytest.mark.slow
async def test_nothing_that_came_behind_a_reply_answers_a_request(
    stack: Stack, share: Share, ca: str, key: str
) -> None:
    found: list[str] = []
    for apart in (False, True)[: 1 + stack.tls]:
        with staged(stack, ca, key, apart=apart) as stage:
            for timing, leftover, call in share(itertools.product(TIMINGS, LEFTOVERS, CALLS), "leftovers"):
                found += await after_leftover(stage, timing, leftover, call)
    assert not found, f"{len(found)} objections:\n" + "\n".join(found)


@on_each_stack
@pytest.mark.slow
async def test_a_reply_of_any_shape_answers_its_own_request_or_none(
    stack: Stack, share: Share, ca: str, key: str
) -> None:
    found: list[str] = []
    with staged(stack, ca, key) as stage:
        for warm, shape, call in share(itertools.product((False, True), SHAPES, CALLS), "shapes"):
            found += await with_shape(stage, shape, call, warm=warm)
    assert not found, f"{len(found)} objections:\n" + "\n".join(found)


@on_each_stack
@pytest.mark.slow
async def test_a_reply_may_come_before_all_of_the_request_was_sent(
    stack: Stack, share: Share, ca: str, key: str
) -> None:
    found: list[str] = []
    with staged(stack, ca, key) as stage:
        for early in share(EARLY, "early replies", all_of=True):
            stage.early = EARLY[early]
            async with stage.source() as source:
                found += await stage.tried(source, "start much", f"start, {early}")
                stage.early = None
                await anyio.sleep(0.02)
                found += await stage.tried(source, "count", f"count, after {early}")
    assert not found, f"{len(found)} objections:\n" + "\n".join(found)


@on_quick_stacks
async def test_a_second_reply_in_the_same_segment_answers_nothing(stack: Stack, ca: str, key: str) -> None:
    with staged(stack, ca, key) as stage:
        found = await after_leftover(stage, "in the same segment", "the job, ended", "get")
        found += await with_shape(stage, "204 with a body", "start", warm=True)
    assert not found
