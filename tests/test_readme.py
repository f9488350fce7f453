"""The README's examples, run as they are printed against the simulators, in virtual time."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Callable
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

README = Path(__file__).parent.parent / "README.md"
UUID = "b5145e1d-b53b-11e8-8252-005056bbd8f5"
BACKUP = "1b34b6f6-8f43-40fb-9a52-485b0dfe893a"
LEAST = 12
"""So many Python blocks there are, at least: a pattern that finds none would prove nothing."""


def blocks(language: str) -> list[Any]:
    """The README's blocks in one language, each named after the heading above it."""
    found: list[Any] = []
    heading = ""
    for match in re.finditer(
        r"^#+ ([^\n]+)$|^```(\w*)\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL
    ):
        heading = match[1] or heading
        if match[3] and match[2] == language:
            found.append(pytest.param(match[3], id=heading.lower().replace(" ", "-")))
    return found


class Reader:
    """Someone who types an example, and has what it takes for granted: systems, credentials, a job."""

    def __init__(self, user_env: UserEnv, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ontap = OntapSimulator(seed=1)
        self.ontap.add_job([("queued", 30), ("running", 600), ("success", None)], id=UUID)
        self.backup = BlueXPSimulator(account="account-x1", agent="agent-id")
        self.backup.add_job([("PENDING", 30), ("RUNNING", 600), ("COMPLETED", None)], id=BACKUP)
        self.foundation = CFSimulator()
        self.guid = self.foundation.add_job([("PROCESSING", 60), ("FAILED", None)])
        for source, simulator in self._ways():
            _reach(source, simulator, monkeypatch)
        self.profile = next(each.values[0] for each in blocks("toml"))
        (user_env.folder / "secret").write_text("x")
        user_env.profiles(self.profile.replace("/run/secrets/prod", str(user_env.folder / "secret")))
        user_env.set(BLUEXP_REFRESH_TOKEN="t", JOBSOURCE_PROFILE="prod")

    def _ways(self) -> list[tuple[type[HttpSource], Simulator]]:
        return [(OntapJobs, self.ontap), (BlueXPJobs, self.backup), (CFJobs, self.foundation)]

    def names(self, code: str) -> dict[str, Any]:
        """What an example uses and does not make."""
        foundation = CFJobs("https://api.example.org", auth=Bearer("t"))
        started = httpx.Response(202, headers={"Location": f"https://api.example.org/v3/jobs/{self.guid}"})
        given: dict[str, Any] = dict.fromkeys(["password", "token", "client_id", "secret", "user"], "x")
        given |= {"store": print, "guid": "g", "response": started, "jobs": foundation, "refs": [UUID]}
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

    def init(self: HttpSource, *args: Any, verify: Any = None, cert: Any = None, **options: Any) -> None:
        del verify  # there is no TLS on that way
        if cert is not None:
            options["auth"] = ("in place of", "a certificate")
        begin(self, *args, **{"transport": simulator.transport(), **options})

    monkeypatch.setattr(source, "__init__", init)


async def _settled(jobs: OntapJobs, id: str) -> Job | JobsError:
    try:
        return await jobs.get(id)
    except JobsError as error:
        return error


def test_there_are_examples() -> None:
    assert len(blocks("python")) >= LEAST
    assert len(blocks("toml")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("code", blocks("python"))
def test_an_example_runs_as_it_is_printed(
    code: str, user_env: UserEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(user_env, monkeypatch)

    async def type_it() -> None:
        names = {**reader.names(code), "_work": reader.work}
        printed = re.sub(r"^\.\.\.$", "await _work()", code, flags=re.MULTILINE)
        compiled = compile(printed, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        ended = eval(compiled, names)  # noqa: S307
        if inspect.iscoroutine(ended):
            await ended
        for name, value in list(names.items()):
            if name.startswith("test_"):
                fixtures = {"ontap_simulator": reader.ontap, "virtual_time": anyio.current_time}
                await value(*map(fixtures.__getitem__, inspect.signature(value).parameters))

    run(type_it)


def test_the_profiles_are_toml_with_a_name_each() -> None:
    (text,) = (each.values[0] for each in blocks("toml"))
    assert set(tomllib.loads(text)["profiles"]) == {"prod", "backup"}
