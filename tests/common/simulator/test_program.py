"""``python -m common.simulator``: by the names of the providers, and driven over HTTP alone."""

from __future__ import annotations

import errno
import http.client
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import attrs
import pytest

from common.providers import GROUP, get_provider
from common.simulator.__main__ import main
from common.simulator.faults import KINDS
from tests.common.simulator.asking import ask, fetch
from tests.common.simulator.echoing import Echo

ROOT = Path(__file__).parents[3]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
POINTS: dict[str, str] = PROJECT["entry-points"][GROUP]
ECHO = ["--provider", "tests.common.simulator.echoing:Echo"]
ID = "6a3f7e0c-5d0f-4f0e-9c31-005056a1b2c3"


@attrs.frozen
class System:
    """How a client that has never heard of Python asks a system for a job."""

    path: str
    """Of the list of jobs; what follows is the id."""
    running: str
    success: str
    lists: bool = True
    filter: str | None = None
    """A filter by which the list would not have the job."""
    options: tuple[str, ...] = ()


SYSTEMS = {
    "ontap": System(
        "/api/cluster/jobs", "running", "success", filter="state=queued", options=("--set", 'tokens=["t"]')
    ),
    "bluexp": System(
        "/account/account-sim/providers/cloudmanager_cbs/api/v1/job",
        "IN_PROGRESS",
        "COMPLETED",
        filter="status=PENDING",
    ),
    "cf": System("/v3/jobs", "PROCESSING", "COMPLETE", lists=False),
}


@attrs.frozen
class Program:
    """A simulator in a process of its own."""

    url: str
    system: System

    def order(self, order: str, data: Any = None) -> Any:
        method, path = order.split(" ")
        status, said = ask(f"{self.url}/_sim/{path}", method, data)
        assert status in (200, 201), said
        return said

    def get(self, path: str, *, timeout: float = 10.0) -> tuple[int, Any, bytes]:
        headers = {"Authorization": "Bearer t", "X-Agent-Id": "agent-simclients"}
        return fetch(f"{self.url}{self.system.path}{path}", headers=headers, timeout=timeout)

    def job(self, *, timeout: float = 10.0) -> tuple[int, Any, bytes]:
        return self.get(f"/{ID}", timeout=timeout)

    def has_arrived(self) -> bool:
        journal = self.order("GET journal")["journal"]
        return bool(journal) and journal[-1]["status"] is None


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process in which the project is installed, as far as Python can tell."""
    if {point.name for point in metadata.entry_points(group=GROUP)} >= set(POINTS):
        return dict(os.environ)
    site = tmp_path_factory.mktemp("site")
    told = site / f"jobsource-{PROJECT['version']}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: jobsource\nVersion: {PROJECT['version']}\n")
    lines = [f"{name} = {value}" for name, value in POINTS.items()]
    (told / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}


@pytest.fixture(scope="module", params=sorted(POINTS))
def program(request: pytest.FixtureRequest, installed: dict[str, str]) -> Iterator[Program]:
    system = SYSTEMS[request.param]
    command = ["-m", "common.simulator", "--provider", request.param, "--clock", "stepped", "--seed", "1"]
    with subprocess.Popen(  # noqa: S603
        [sys.executable, *command, *system.options], stdout=subprocess.PIPE, text=True, env=installed
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            yield Program(url, system)
        finally:
            process.kill()


@pytest.fixture
def asked(program: Program) -> Program:
    """The program, reset, with one job that runs for 60 s and then is done."""
    program.order("POST reset")
    script = [[program.system.running, 60], [program.system.success, None]]
    assert program.order("POST jobs", {"script": script, "id": ID})["state"] == program.system.running
    return program


@pytest.mark.slow
def test_a_whole_test_over_http(asked: Program) -> None:
    running, success = asked.system.running.encode(), asked.system.success.encode()
    match = {"job": ID, "nth": 2}
    asked.order("POST faults", {"match": match, "faults": {"kind": "RetryAfter", "seconds": 9}})
    assert running in asked.job()[2]
    before = asked.order("GET clock")["now"]
    assert ask(f"{asked.url}/_sim/verify")[0] == 409
    status, headers, _ = asked.job()
    assert (status, headers["Retry-After"]) == (503, "9")
    assert asked.order("PUT clock", {"step": 60})["now"] == before + 60
    assert success in asked.job()[2]
    assert [(entry["status"], entry["fault"]) for entry in asked.order("GET journal")["journal"]] == [
        (200, None),
        (503, 1),
        (200, None),
    ]
    assert asked.order("GET verify") == {"unmet": []}
    asked.order("POST reset")
    assert (asked.order("GET journal"), asked.order("GET jobs")) == ({"journal": []}, {"jobs": []})


@pytest.mark.slow
def test_a_reset_takes_back_what_faults_did(asked: Program) -> None:
    asked.order("POST faults", {"faults": {"kind": "ExpireTokens"}})
    assert [asked.job()[0] for _ in range(2)] == [401, 401]
    asked.order("POST reset")
    asked.order("POST jobs", {"script": [[asked.system.running, None]], "id": ID})
    assert asked.job()[0] == 200


# --- each kind of fault, and what a client meets


def _stepped(asked: Program, seconds: float) -> tuple[int, Any, bytes]:
    """Ask for the job, and step the clock once the request is there."""
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(asked.job)
        while not asked.has_arrived():
            assert not reply.done()
        asked.order("PUT clock", {"step": seconds})
        return reply.result()


def delayed(asked: Program) -> None:
    assert _stepped(asked, 5)[0] == 200


def hanging(asked: Program) -> None:
    with pytest.raises(TimeoutError):
        asked.job(timeout=0.2)


def cut(asked: Program) -> None:
    with pytest.raises(http.client.IncompleteRead) as caught:
        asked.job()
    assert len(caught.value.partial) == 7


def reset(asked: Program) -> None:
    with pytest.raises(ConnectionResetError):
        asked.job()


def refused(asked: Program) -> None:
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            asked.job()
    asked.order("PUT clock", {"step": 7})
    assert asked.job()[0] == 200


def with_status(*statuses: int, body: bytes = b"", **headers: str) -> Callable[[Program], None]:
    def check(asked: Program) -> None:
        status, found, text = asked.job()
        assert status in statuses
        assert body in text
        for name, value in headers.items():
            assert found[name.replace("_", "-")].startswith(value)

    return check


def without_the_job(asked: Program) -> None:
    status, _, body = asked.job()
    assert status == 404 or json.loads(body).get("job") in ([], None)


def with_an_empty_list(asked: Program) -> None:
    listed = json.loads(asked.get("")[2])
    assert listed["records"] == []
    assert listed["_links"]["next"]


def with_all_jobs(asked: Program) -> None:
    path = f"?{asked.system.filter}"
    assert ID.encode() in asked.get(path)[2]
    assert ID.encode() not in asked.get(path)[2]


FORMS: dict[str, tuple[dict[str, Any], Callable[[Program], None]]] = {
    "Status": (
        {"status": 418, "headers": {"X-Tea": "pot"}, "body": {"a": [1]}, "acts": True},
        with_status(418, body=b'{"a": [1]}', X_Tea="pot", Content_Type="application/json"),
    ),
    "RetryAfter": ({"seconds": 30, "date": True, "status": 429}, with_status(429, Retry_After="")),
    "Html": ({"status": 504}, with_status(504, body=b"<h1>504", Content_Type="text/html")),
    "ContentType": ({"type": "text/plain"}, with_status(200, Content_Type="text/plain")),
    "Latin1": ({"raw_lines": True}, with_status(200)),
    "Delay": ({"seconds": 5}, delayed),
    "Hang": ({"acts": True}, hanging),
    "CutBody": ({"after_bytes": 7}, cut),
    "Reset": ({}, reset),
    "Refuse": ({"seconds": 7}, refused),
    "Stale": ({"seconds": 1}, without_the_job),
    "ShortPage": ({"records": 0}, with_an_empty_list),
    "IgnoreFilter": ({}, with_all_jobs),
    "ExpireTokens": ({}, with_status(401)),
    "Forget": ({"job": ID}, without_the_job),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_of_fault_is_injected_and_met(asked: Program, kind: str) -> None:
    form, check = FORMS[kind]
    if kind == "IgnoreFilter" and asked.system.filter:
        form = {"name": asked.system.filter.partition("=")[0]}
    told = {"faults": {"kind": kind, **form}}
    if (kind == "ShortPage" and asked.system.path != SYSTEMS["ontap"].path) or (
        kind == "IgnoreFilter" and not asked.system.lists
    ):
        status, said = ask(f"{asked.url}/_sim/faults", "POST", told)
        assert (status, "has no" in said["error"]) == (400, True)
        return
    number = asked.order("POST faults", told)["id"]
    assert ask(f"{asked.url}/_sim/verify")[0] == 409
    check(asked)
    assert asked.order("GET verify") == {"unmet": []}
    assert asked.order(f"GET faults/{number}")["met"] == 1
    assert [entry["fault"] for entry in asked.order("GET journal")["journal"]].count(number) == 1


# --- calls that are wrong


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "--provider"),
        (["--provider", "nas"], "no provider 'nas' is installed; there are: "),
        ([*ECHO, "--clock", "fast"], "a clock is loop, stepped or scaled"),
        ([*ECHO, "--clock", "scaled:-1"], "a clock's scale is 0 or more"),
        ([*ECHO, "--set", "x"], "--set takes NAME=VALUE"),
        ([*ECHO, "--set", "florb=1"], "florb"),
        (["--provider", "json:JSONDecoder"], "json:JSONDecoder is not a subclass"),
        (["--provider", "florb:Florb"], "No module named 'florb'"),
    ],
)
def test_a_wrong_call_is_explained(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_port_in_use_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    async with Echo().serve() as url:
        port = url.rpartition(":")[2]
        sentence = f"port {port} of the address 127.0.0.1 is in use: choose another, or 0 for any free one"
        assert await anyio.to_thread.run_sync(main, [*ECHO, "--port", port]) == 1
        with pytest.raises(OSError, match=re.escape(sentence)) as caught:
            async with Echo().serve(port=int(port)):
                pytest.fail("not reached")
    assert caught.value.errno == errno.EADDRINUSE
    assert capsys.readouterr().err == f"python -m common.simulator: {sentence}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "70000"], "there is no port 70000: ports are 0 (any free one) to 65535"),
        (["--host", "192.0.2.1"], "there is no IPv4 address '192.0.2.1' here to listen on"),
    ],
)
def test_an_address_that_cannot_be_had_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ECHO, *arguments]) == 1
    assert capsys.readouterr().err == f"python -m common.simulator: {sentence}\n"


def test_help_lists_the_options_of_each_system(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for name in POINTS:
        simulator = get_provider(name).simulator
        assert simulator is not None
        *_, section = text.partition(f"options of {name} for --set, with their defaults:\n")
        told = re.findall(r"^  (\w+)=\S+ +\S", section.partition("\n\n")[0], re.MULTILINE)
        own = inspect.signature(simulator()).parameters.values()
        names = [each.name for each in own if each.kind is each.KEYWORD_ONLY]
        assert told == [*names, "journal_limit", "states", "prefix"]
    assert "seconds for which a job that ended is kept" in text


@pytest.mark.slow
def test_verbose_writes_a_line_for_each_request(installed: dict[str, str]) -> None:
    command = [sys.executable, "-m", "common.simulator", *ECHO, "--verbose"]
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=installed, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            ask(f"{process.stdout.readline().strip()}/x?token=s3cret")
            line = process.stderr.readline()
        finally:
            process.kill()
    assert line.endswith(" s GET /x?token=**** 200\n")
