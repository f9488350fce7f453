"""Run the code blocks of a page as they are printed, against the simulators and in virtual time."""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from bluexp_jobs import BlueXPJobs
from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs import CFJobs
from cfjobs.simulator import CFSimulator
from common import Action, Bearer, Job, JobsError
from common.simulator import Simulator
from common.sources.http import HttpSource
from common.testing import run
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.profiles import UserEnv

ROOT = Path(__file__).parent.parent.parent
UUID = "b5145e1d-b53b-11e8-8252-005056bbd8f5"
ENDED = "5c1b0ff3-b53b-11e8-8252-005056bbd8f5"
BACKUP = "1b34b6f6-8f43-40fb-9a52-485b0dfe893a"
ELLIPSIS = re.compile(r"^\.\.\.$", re.MULTILINE)
BLOCK = re.compile(r"^#+ ([^\n]+)$|^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[Any]:
    """Return the blocks of a page in one language, each named after the heading above it."""
    found: list[Any] = []
    heading = ""
    for match in BLOCK.finditer(page.read_text("utf-8")):
        heading = match[1] or heading
        if match[3] and match[2] == language:
            found.append(pytest.param(match[3], id=f"{page.stem}-{heading.lower().replace(' ', '-')}"))
    return found


PROFILES: str = blocks(ROOT / "docs/how-to/profiles.md", "toml")[0].values[0]


class Reader:
    """Someone who types an example, and has what it takes for granted: systems, credentials, a job."""

    def __init__(self, user_env: UserEnv, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ontap = OntapSimulator(seed=1)
        self.ontap.add_job([("queued", 30), ("running", 600), ("success", None)], id=UUID)
        self.ontap.add_job([("success", None)], id=ENDED)
        self.backup = BlueXPSimulator(account="account-x1", agent="agent-id")
        self.backup.add_job([("PENDING", 30), ("RUNNING", 600), ("COMPLETED", None)], id=BACKUP)
        self.foundation = CFSimulator()
        self.guid = self.foundation.add_job([("PROCESSING", 60), ("FAILED", None)])
        for source, simulator in self._ways():
            _reach(source, simulator, monkeypatch)
        (user_env.folder / "secret").write_text("x")
        user_env.profiles(PROFILES.replace("/run/secrets/prod", str(user_env.folder / "secret")))
        user_env.set(BLUEXP_REFRESH_TOKEN="t", JOBSOURCE_PROFILE="prod")

    def _ways(self) -> list[tuple[type[HttpSource], Simulator]]:
        return [(OntapJobs, self.ontap), (BlueXPJobs, self.backup), (CFJobs, self.foundation)]

    def names(self, code: str) -> dict[str, Any]:
        """What an example uses and does not make."""
        foundation = CFJobs("https://api.example.org", auth=Bearer("t"))
        started = httpx.Response(202, headers={"Location": f"https://api.example.org/v3/jobs/{self.guid}"})
        given: dict[str, Any] = dict.fromkeys(["password", "token", "client_id", "secret", "user"], "x")
        given |= {
            "store": print,
            "guid": "g",
            "response": started,
            "jobs": foundation,
            "ref": f"ontap://cluster1.example.com/{ENDED}",
            "refs": [f"ontap://cluster1/{UUID}"],
        }
        given |= {"source": OntapJobs("cluster1", auth=("admin", "x")), "simulator": self.ontap, "uuid": UUID}
        return {name: value for name, value in given.items() if re.search(rf"\b{name}\b", code)}

    async def work(self) -> None:
        """What stands for an ellipsis: a program that uses the system."""
        async with OntapJobs("cluster1", auth=("admin", "x")) as jobs:
            await jobs.wait(UUID)
            for _ in range(60):
                with anyio.move_on_after(10):
                    assert isinstance(await _settled(jobs, UUID), Job | JobsError)
            with pytest.raises(JobsError):
                await jobs.act(UUID, Action.CANCEL)


def _reach(source: type[HttpSource], simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a class's sources reach the simulator; nothing else about them is another."""
    begin: Callable[..., None] = source.__init__

    def init(self: HttpSource, *args: Any, cert: Any = None, **options: Any) -> None:
        for route in ("verify", "proxy", "http"):  # the way to the simulator is another
            options.pop(route, None)
        if cert is not None:
            options["auth"] = ("in place of", "a certificate")
        begin(self, *args, **{"transport": simulator.transport(), **options})

    monkeypatch.setattr(source, "__init__", init)


async def _settled(jobs: OntapJobs, id: str) -> Job | JobsError:
    try:
        return await jobs.get(id)
    except JobsError as error:
        return error


@contextmanager
def log_as_before() -> Generator[None]:
    """Undo what the block says of logging: it would count for all tests behind this one."""
    parts = ("http", "ontap", "bluexp", "cf")
    loggers = [
        logging.getLogger(),
        *map(logging.getLogger, ("jobsource", *(f"jobsource.{part}" for part in parts))),
    ]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    try:
        yield
    finally:
        for logger, (level, handlers) in zip(loggers, before, strict=True):
            logger.setLevel(level)
            logger.handlers[:] = handlers


@log_as_before()
def type_in(code: str, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run one block: as a program of its own, or where an event loop runs already if it awaits."""
    names = {**reader.names(code), "_work": reader.work}
    compiled = compile(
        ELLIPSIS.sub("await _work()", code), "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    if "asyncio.run(" in code or "portal(" in code:  # it runs a loop of its own
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "run", lambda main: run(lambda: main))
            eval(compiled, {**names, "__name__": "__main__"})  # noqa: S307
        return

    async def in_a_loop() -> None:
        ended = eval(compiled, names)  # noqa: S307
        if inspect.iscoroutine(ended):
            await ended
        for name, value in list(names.items()):
            if name.startswith("test_"):
                fixtures = {"ontap_simulator": reader.ontap, "virtual_time": anyio.current_time}
                await value(*map(fixtures.__getitem__, inspect.signature(value).parameters))

    run(in_a_loop)
