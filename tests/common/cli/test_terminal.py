"""The live view, at pseudo-terminals of several widths."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from bluexp_jobs.simulator import BlueXPSimulator
from ontapjobs.simulator import OntapSimulator, faults
from tests.common.cli.shell import Served, Shell, at_terminal, served

pytestmark = pytest.mark.slow

LONG = "cutover is complete, and the old volume is taken offline " * 5
NO_SPACE = {"message": "no space", "error": {"message": "no space", "code": "4"}}
LAST = "ffffffff-ffff-4fff-8fff-ffffffffffff"
"""The id of the last job of a list, which is sorted by ids."""
VOLUMES: list[dict[str, Any]] = [
    {"id": "volume-1", "status": "SUCCESS", "error": ""},
    {"id": "volume-2", "status": "FAILED", "error": "snapshot is busy"},
]


@pytest.mark.parametrize("columns", [120, 80, 60])
def test_a_live_table(
    shell: Shell, ontap: Served[OntapSimulator], bluexp: Served[BlueXPSimulator], columns: int
) -> None:
    shell.user.profiles(
        f'[profiles.backup]\nendpoint = "{bluexp.target}"\naccount = "a"\nagent = "g"\n'
        'token = { env = "SECRET" }\n'
    )
    shell.user.set(SECRET="x")
    moving = ontap.ref(("running", None, {"message": LONG}))
    backup = f"{bluexp.target}/a/{bluexp.add(('IN_PROGRESS', None, {'volumes': VOLUMES}))}?agent=g"
    failed = ontap.ref(("failure", None, NO_SPACE))
    done = at_terminal(columns, ["wait", moving, backup, failed, "--timeout", "3s"])
    assert done.status == 1
    drawn = done.out.splitlines()
    table = [line for line in drawn if "RUNNING" in line and line.rstrip().endswith("…")]
    assert table
    assert max(len(line.rstrip()) for line in table) <= columns
    assert any("volume-2" in line and "FAILED" in line for line in drawn)
    assert any(line.startswith("system") for line in drawn) is (columns >= 80)
    # It makes room for the output: one line a job, and every error.
    assert f"{failed} FAILED: no space" in drawn
    assert "  error: no space [code 4]" in drawn
    assert done.err.rindex("\x1b[?25h") > done.err.rindex("\x1b[?25l")  # the cursor is shown again


def test_without_colour(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    words = ["wait", ontap.ref(("running", None)), "--timeout", "4s"]
    assert "\x1b[36m" in at_terminal(80, words).err
    assert "\x1b[36m" not in at_terminal(80, words, environment={"NO_COLOR": "1"}).err
    assert "\x1b" not in at_terminal(80, words, environment={"TERM": "dumb"}).err


def test_a_narrow_terminal_shows_what_a_poll_met(shell: Shell) -> None:
    with served("ontap", OntapSimulator()) as system:
        system.call(partial(system.simulator.inject, "GET", faults.Status(503), times=None))
        shell.user.set(JOBSOURCE_ENDPOINT=system.target)
        done = at_terminal(60, ["wait", system.ref(("running", None)), "--timeout", "2s"])
    assert "answered 503" in done.out.split("TIMEOUT")[0]


def test_a_list_that_is_watched(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    job = ontap.ref(("running", None))
    with shell.started("list", "--watch", "--interval", "200ms") as process:
        assert process.stdout is not None
        seen = process.stdout.readline()
        while not seen.startswith(job):
            seen = process.stdout.readline()
        assert shell.run("cancel", job).status == 0
        while not seen.startswith(f"{job} FAILED"):
            seen = process.stdout.readline()
        new = ontap.ref(("running", None))
        assert process.stdout.readline().startswith(new)  # a job has one line, as without --watch


def test_a_list_that_is_watched_has_jobs_that_go_on_first(shell: Shell) -> None:
    with served("ontap", OntapSimulator()) as system:
        shell.user.set(JOBSOURCE_ENDPOINT=system.target)
        for _ in range(30):
            system.add(("failure", None, NO_SPACE))
        system.call(partial(system.simulator.add_job, [("running", None)], id=LAST))
        done = at_terminal(120, ["list", "--watch"], until="and 12 more")
    assert done.status == 130
    assert any(line.startswith(LAST) and "RUNNING" in line for line in done.out.splitlines())


def test_the_demo_goes_wrong_and_ends_well(shell: Shell) -> None:
    done = shell.process("demo")
    assert done.status == 0
    said = [line for line in done.err.splitlines() if ">>" in line]
    for word in ("503, Retry-After", "resets", "forgets", "restarted", "goes on with"):
        assert any(word in line for line in said), word
    assert "Simulated systems" in done.err.splitlines()[0]
    assert "1 GONE" in done.out
    assert done.out.splitlines()[-1].startswith("next: ")


def test_the_calm_demo_at_a_terminal() -> None:
    done = at_terminal(80, ["demo", "--calm"])
    assert done.status == 0
    assert "GONE" not in done.out
    assert "12 jobs on 3 systems" in done.out
