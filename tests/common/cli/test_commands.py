"""Each command on a simulated system, in this process."""

from __future__ import annotations

import csv
import io
import json
import logging
import sys
from typing import Any

import pytest

from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs.simulator import CFSimulator
from common.simulator import Match
from common.simulator.script import NewJob
from ontapjobs.simulator import OntapSimulator, faults
from tests.common.cli.shell import Served, Shell, served
from tests.profiles import PASSWORD

NO_SPACE: dict[str, Any] = {
    "message": "no space",
    "code": 4,
    "error": {"message": "no space", "code": "4", "target": "size"},
}
TRICKY = "\x1b[2Jerase\nall\u202e" + "x" * 300


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_get_shows_every_error_and_no_control_character(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    failed = ontap.ref(("failure", None, NO_SPACE))
    tricky = ontap.ref(("running", None, {"message": TRICKY}))
    done = shell.run("get", failed, tricky)
    assert done.out.splitlines()[:2] == [
        f"{failed} FAILED: no space",
        "  error: no space [code 4, target size]",
    ]
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert len(done.out.splitlines()) == 3
    assert done.err == ""


@pytest.mark.slow
def test_get_in_every_format(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    id = ontap.add(("failure", None, NO_SPACE))
    nobody = "11111111-1111-4111-8111-111111111111"
    jobs = json.loads(shell.run("get", id, nobody, "-o", "json").out)
    assert [jobs[0]["state"], jobs[1]["error"]] == ["failed", "JobNotFound"]
    events = lines(shell.run("get", id, nobody, "-o", "jsonl").out)
    assert [event["event"] for event in events] == ["end", "error"]
    table = shell.run("get", id, "-o", "table").out
    assert id in table
    assert "no space [code 4, target size]" in table


@pytest.mark.slow
def test_wait_over_several_systems(
    shell: Shell,
    ontap: Served[OntapSimulator],
    cf: Served[CFSimulator],
    bluexp: Served[BlueXPSimulator],
) -> None:
    shell.user.profiles(
        f'[profiles.foundation]\nendpoint = "{cf.target}"\ntoken = {{ env = "SECRET" }}\n'
        f'[profiles.backup]\nendpoint = "{bluexp.target}"\naccount = "a"\nagent = "g"\n'
        'token = { env = "SECRET" }\n'
    )
    shell.user.set(SECRET=PASSWORD)
    refs = [
        ontap.ref(("running", 0.1), ("success", None)),
        cf.ref(("PROCESSING", 0.1), ("COMPLETE", None)),
        f"{bluexp.target}/a/{bluexp.add(('COMPLETED', None))}?agent=g",
    ]
    done = shell.run("wait", *refs, "--timeout", "30s")
    assert done.status == 0
    assert sorted(line.split()[0] for line in done.out.splitlines()) == sorted(refs)
    assert PASSWORD not in done.out + done.err


@pytest.mark.slow
def test_wait_tells_progress_on_standard_error_alone(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    id = ontap.add(("running", 2, {"message": "moving"}), ("success", None, {"message": "moved"}))
    done = shell.run("wait", id)
    assert done.out == f"{ontap.target}/{id} SUCCEEDED: moved\n"
    assert [line.split(maxsplit=1)[1] for line in done.err.splitlines()] == [
        f"{id} RUNNING: moving",
        f"{id} SUCCEEDED: moved",
    ]
    quiet = shell.run("wait", id, "-q")
    assert (quiet.out, quiet.err) == (done.out, "")


def test_wait_ends_with_the_first_or_with_the_first_failure(
    shell: Shell, ontap: Served[OntapSimulator]
) -> None:
    running, good = ontap.add(("running", None)), ontap.add(("success", None))
    failed = ontap.add(("failure", None, NO_SPACE))
    assert shell.run("wait", running, good, "--any").status == 0
    assert shell.run("wait", running, good, failed, "--first-failure").status == 1


@pytest.mark.slow
def test_wait_until_a_state(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    paused, good = ontap.add(("paused", None)), ontap.add(("success", None))
    failed = ontap.add(("failure", None, NO_SPACE))
    assert shell.run("wait", paused, "--until", "paused").status == 0
    assert shell.run("wait", failed, "--until", "failed,succeeded").status == 0
    done = shell.run("wait", good, "--until", "paused")
    assert done.status == 1
    assert "ended as SUCCEEDED 'success', not PAUSED" in done.err


@pytest.mark.slow
def test_jsonl_is_an_event_a_change(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    id = ontap.add(("queued", 2), ("success", None))
    for verb in ("wait", "watch"):
        events = lines(shell.run(verb, id, "-o", "jsonl").out)
        assert events[-1]["event"] == "end"
        assert all(event["event"] == "change" for event in events[:-1])


@pytest.mark.slow
def test_watch_writes_each_change(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    id = ontap.add(("queued", 2), ("success", None))
    done = shell.run("watch", id)
    states = [line.split()[1] for line in done.out.splitlines()]
    assert states == ["QUEUED", "SUCCEEDED:"]
    assert done.err == ""


@pytest.mark.slow
def test_trouble_is_said_while_it_is_waited_out(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    id = ontap.add(("success", None))
    ontap.call(ontap.simulator.inject, Match(job=id), faults.Status(503))
    done = shell.run("wait", id)
    assert done.status == 0
    assert "503" in done.err
    assert "next attempt in" in done.err


def test_a_forgotten_job(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    done = shell.run("get", "11111111-1111-4111-8111-111111111111")
    assert (done.status, done.out) == (3, "")
    assert "the server has no such job" in done.err


@pytest.mark.slow
def test_list_and_count(shell: Shell) -> None:
    with served("ontap", OntapSimulator()) as own:
        shell.user.set(JOBSOURCE_ENDPOINT=own.target)
        going, ended = own.ref(("running", None)), own.ref(("success", None))
        queued = own.ref(("queued", None))
        assert sorted(shell.run("list").out.split("\n")) == sorted(
            ["", f"{going} RUNNING", f"{ended} SUCCEEDED: success", f"{queued} QUEUED"]
        )
        both = shell.run("list", "--state", "running,queued", "-o", "csv").out
        rows = list(csv.DictReader(io.StringIO(both)))
        assert sorted(row["ref"] for row in rows) == sorted([going, queued])
        assert shell.run("list", own.target, "--filter", "state=success").out.split()[0] == ended
        assert len(shell.run("list", "--limit", "1", "-o", "jsonl").out.splitlines()) == 1
        assert shell.run("list", "--state", "partial").out == ""
        assert shell.run("list", "--state", "cancelled", "-o", "json").out == "[]\n"
        assert shell.run("count").out == "3\n"
        assert shell.run("count", "--state", "running,queued").out == "2\n"
        assert shell.run("count", "--state", "cancelled").out == "0\n"


def test_what_a_system_cannot_do(shell: Shell, cf: Served[CFSimulator]) -> None:
    shell.user.set(JOBSOURCE_ENDPOINT=cf.target)
    job = cf.ref(("PROCESSING", None))
    for words, message in (
        (["list"], "cannot be listed"),
        (["count"], "cannot be listed"),
        (["cancel", job], "do not support cancel"),
        (["wait", job, "--cancel-on-interrupt"], "cannot be cancelled"),
    ):
        done = shell.run(*words)
        assert done.status == 2
        assert message in done.err
        assert "adopt()" not in done.err


@pytest.mark.slow
def test_actions(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    id = ontap.add(("running", None))
    assert shell.run("pause", id, "--wait", "--timeout", "30s").status == 0
    assert shell.run("resume", id).status == 0
    done = shell.run("cancel", id, "--wait")
    assert done.status == 0
    assert "cancelled by user" in done.out
    again = shell.run("cancel", id)
    assert again.status == 1
    assert again.err.startswith("jobsource: ")


@pytest.mark.slow
def test_start(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    ontap.simulator.on_write = NewJob([("running", 0.2), ("failure", None, NO_SPACE)])
    path = "/api/storage/volumes/vol1"
    done = shell.run("start", ontap.target, "PATCH", path, "-d", '{"size": 1}')
    assert (done.status, done.err) == (0, "")
    (ref,) = done.out.split()
    assert shell.run("wait", ref).status == 1
    body = shell.user.folder / "body.json"
    body.write_text('{"password": "s3cret-in-a-file"}')
    done = shell.run("start", ontap.target, "PATCH", path, "-d", f"@{body}", "--wait")
    assert done.status == 1
    assert "no space [code 4, target size]" in done.out
    assert "s3cret-in-a-file" not in done.out + done.err
    ontap.call(ontap.simulator.inject, "PATCH", faults.Status(400))
    assert shell.run("start", ontap.target, "PATCH", path).status == 1
    ontap.call(ontap.simulator.inject, "PATCH", faults.Reset(acts=True))
    lost = shell.run("start", ontap.target, "PATCH", path)
    assert (lost.status, lost.out) == (4, "")
    assert "nothing is sent again" in lost.err
    parts = json.loads(shell.run("start", ontap.target, "PATCH", path, "-o", "json").out)
    assert len(parts["refs"]) == 1


@pytest.mark.slow
def test_a_body_is_utf_8_whatever_the_locale_is(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    line = f"jobsource start {ontap.target} PATCH /api/storage/volumes/vol1 -d"
    for encoding in ("latin-1", "ascii:surrogateescape", "utf-8"):
        shell.user.set(PYTHONIOENCODING=encoding)
        done = shell.script(rf"printf '\xef\xbb\xbf{{\"comment\": \"\xc3\xbc\"}}' | {line} -")
        assert done.status == 0
        assert json.loads(ontap.simulator.journal[-1].body) == {"comment": "ü"}
        done = shell.script(rf"printf '\"\xff\"' | {line} -")
        assert (done.status, done.err) == (2, "jobsource: --data -: not valid UTF-8\n")


@pytest.mark.slow
def test_a_job_by_several_names_is_one(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    id = ontap.add(("running", None))
    names = (id, f"{ontap.target}/{id}")
    assert len(shell.run("get", *names).out.splitlines()) == 1
    sent = len(ontap.simulator.journal)
    assert shell.run("cancel", *names).status == 0
    assert [request.method for request in ontap.simulator.journal[sent:]].count("PATCH") == 1


def test_a_page_of_a_proxy_is_told_with_the_request(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    for words in (("list",), ("count",)):
        ontap.call(ontap.simulator.inject, "GET", faults.Html(200))
        done = shell.run(*words)
        assert (done.status, done.out) == (4, "")
        assert done.err.startswith("jobsource: GET /api/cluster/jobs: the response is not JSON (")


def test_profiles(shell: Shell, ontap: Served[OntapSimulator], cf: Served[CFSimulator]) -> None:
    shell.user.set(JOBSOURCE_ENDPOINT="", JOBSOURCE_TOKEN="", SECRET=PASSWORD)
    shell.user.profiles(
        f'[profiles.prod]\nendpoint = "{ontap.target}"\nuser = "u"\npassword = {{ env = "SECRET" }}\n'
        f'[profiles.foundation]\nendpoint = "{cf.target}"\ntoken = {{ env = "SECRET" }}\n'
        '[profiles.down]\nendpoint = "ontap+http://127.0.0.1:1"\nuser = "u"\npassword = { env = "NO_SUCH" }\n'
    )
    plain = shell.run("profiles")
    assert plain.status == 0
    assert plain.out.splitlines()[0] == f"prod  ontap  {ontap.target.removeprefix('ontap+')}"
    assert str(shell.user.file) in plain.err
    checked = shell.run("profiles", "--check")
    assert checked.status == 2
    verdicts = [line.split(maxsplit=3)[3] for line in checked.out.splitlines()]
    assert verdicts[:2] == ["works", "works"]
    assert "NO_SUCH" in verdicts[2]
    ontap.call(ontap.simulator.inject, None, faults.Status(401))
    assert shell.run("profiles", "prod", "--check").status == 4
    assert PASSWORD not in plain.out + plain.err + checked.out + checked.err
    shell.user.profile(f'endpoint = "{ontap.target}"\nusre = "u"\npassword = {{ env = "SECRET" }}')
    assert "; did you mean 'user'?" in shell.run("profiles", "--check").out


@pytest.mark.slow
def test_completion(shell: Shell) -> None:
    for name in ("bash", "zsh", "fish"):
        done = shell.run("completion", name)
        assert done.status == 0
        assert "first-failure" in done.out


@pytest.mark.slow
def test_without_the_extra_it_says_what_to_install(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "common.cli.parsing.app", raising=False)
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    done = shell.run("list", "--help")
    assert done.status == 2
    assert 'the command needs cyclopts: pip install "jobsource[cli]"' in done.err


@pytest.mark.slow
def test_the_debug_option_leaves_the_log_as_it_was(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    logger = logging.getLogger("jobsource")
    before = logger.level, list(logger.handlers)
    assert "/api/cluster/jobs" in shell.run("get", ontap.add(("success", None)), "--debug").err
    assert (logger.level, list(logger.handlers)) == before
