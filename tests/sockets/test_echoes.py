"""What a server repeats of the credentials that it was sent is in no message, log, repr or frame of ours."""

from __future__ import annotations

import itertools
import logging
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from common import Action, wait_all
from tests.leaks.recorder import recording
from tests.sockets.calls import ASKED
from tests.sockets.conftest import Share
from tests.sockets.echoes import PLACES, SIGN_INS, Echo, EchoServer, SignIn, echoes

pytestmark = pytest.mark.anyio

WINDOW = 8
"""Characters of a secret that are shown at a stretch, and are too many."""
LEVELS = (logging.DEBUG, logging.INFO)
EVERY = 401
"""One in so many echoes is in the share; no number of calls and levels divides it: all are combined."""


async def _list(source: Any) -> object:
    return [job async for job in source.list()]


async def _watch(source: Any) -> object:
    return [job async for job in source.watch(ASKED, timeout=0.02)]


CALLS: dict[str, Callable[[Any], Awaitable[object]]] = {
    "get": lambda source: source.get(ASKED),
    "wait": lambda source: source.wait(ASKED, timeout=0.02),
    "watch": _watch,
    "list": _list,
    "start": lambda source: source.start("POST", "/v3/x", json={}),
    "act": lambda source: source.act(ASKED, Action.CANCEL),
    "wait_all": lambda source: wait_all(source, [ASKED, ASKED[:-1] + "c"], timeout=0.02, check=False),
}


async def shown(server: EchoServer, sign_in: SignIn, echo: Echo, call: str) -> list[str]:
    """What is shown of a secret that a server repeats, if it is too much."""
    server.text = echo.text
    outcome: object = None
    with recording() as recorder:
        try:
            async with sign_in.connect(server.url) as source:
                outcome = await CALLS[call](source)
                recorder.show("the outcome", outcome, str(outcome), pickle.dumps(outcome))
                recorder.show("the source", source)
        except Exception as error:
            recorder.show_error(error)
        found = [
            f"{leak.encoding} of {leak.secret}, {where}: {leak.text}" for where, leak in recorder.leaks()
        ]
        begin = 8 if echo.encoding == "Basic" else 0  # before, it is the user's name
        parts = {echo.form[at : at + WINDOW] for at in range(begin, len(echo.form) - WINDOW + 1)}
        for text, where in recorder.texts.items():
            part = next((part for part in parts if part in text), None)
            if part is not None:
                at = text.find(part)
                found.append(f"a part, {where}: …{text[max(at - 60, 0) : at + 40]}…")
    return [f"{call}, {echo.encoding} at {echo.limit - echo.shown}, {text}" for text in found]


@pytest.mark.parametrize("sign_in", SIGN_INS, ids=lambda each: each.name)
@pytest.mark.slow
async def test_credentials_that_come_back_are_shown_nowhere(
    sign_in: SignIn, share: Share, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.auth.token_auth.RETRY_DELAY", 0.001)
    found: list[str] = []
    places = ((place, echo) for place in PLACES for echo in echoes(sign_in, PLACES[place]))
    cases = zip(places, itertools.cycle(itertools.product(CALLS, LEVELS)), strict=False)
    with EchoServer() as server:
        for (place, echo), (call, level) in share(cases, "echoes of credentials", every=EVERY):
            caplog.set_level(level)
            server.place = PLACES[place]
            found += [f"{place}, {text}" for text in await shown(server, sign_in, echo, call)]
            caplog.clear()
    assert not found, f"{len(found)} are shown:\n" + "\n".join(found[:200])
