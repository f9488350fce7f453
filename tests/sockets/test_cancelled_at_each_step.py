"""Whatever is cancelled, at any step and in any way, the source goes on as before and nothing is left."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.sockets.cancelling import KINDS
from tests.sockets.conftest import Share
from tests.sockets.matrix import Case, cases, run_case
from tests.sockets.stacks import QUICK_STACKS, STACKS, Stack, name_of
from tests.sockets.storm import run_storm

on_each_stack = pytest.mark.parametrize("stack", STACKS, ids=name_of)
on_each_loop = pytest.mark.parametrize("loop", ["asyncio", "trio"])


@on_each_stack
@on_each_loop
@pytest.mark.slow
def test_a_call_that_is_cancelled_at_any_step_leaves_nothing(
    stack: Stack, loop: str, share: Share, ca: str, key: str, record_property: Callable[[str, object], None]
) -> None:
    chosen = share(cases([stack], loop=[loop]), "cells of cancellation", every=53)
    done: list[Case] = [run_case(case, ca, key) for case in chosen]
    record_property("sockets", ("steps cancelled", sum(case.steps for case in done)))
    record_property("sockets", ("of them ended in the cancellation", sum(case.hits for case in done)))
    found = list(itertools.chain.from_iterable(case.found for case in done))
    assert not found, f"{len(found)} objections:\n" + "\n".join(found)


@on_each_stack
@on_each_loop
@pytest.mark.slow
def test_a_storm_of_cancellations_leaves_nothing(
    stack: Stack, loop: str, share: Share, ca: str, key: str
) -> None:
    found = run_storm(stack, loop, share(range(2000), "cancellations in storms", every=40), ca, key)
    assert not found, f"{len(found)} objections:\n" + "\n".join(found)


@pytest.mark.parametrize("stack", QUICK_STACKS, ids=name_of)
@pytest.mark.slow
def test_a_get_that_is_cancelled_natively_leaves_nothing(stack: Stack, ca: str, key: str) -> None:
    case = run_case(Case(stack, "asyncio", "get", KINDS["cancel"], "before"), ca, key)
    assert case.hits
    assert not case.found
