"""The command as a process: signals, pipes that close, standard input that goes on, and the launcher."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from common.cli.table import COMMANDS, Command
from common.simulator.script import NewJob
from ontapjobs.simulator import OntapSimulator
from tests.common.cli.shell import ROOT, Served, Shell, ended, served
from tests.profiles import PASSWORD

pytestmark = pytest.mark.slow

ID = "b5145e1d-b53b-11e8-8252-005056bbd8f5"


def of_job(process: subprocess.Popen[str]) -> str:
    """Wait until a command has seen its first job, and return the line that says so."""
    assert process.stderr is not None
    return process.stderr.readline()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_waiting_and_says_how_to_go_on(
    shell: Shell, ontap: Served[OntapSimulator], number: signal.Signals, status: int
) -> None:
    running, good = ontap.ref(("running", None)), ontap.ref(("success", None))
    with shell.started("wait", running, good, "--timeout", "1h", "--first-failure") as process:
        assert "RUNNING" in of_job(process) + of_job(process)
        done = ended(process, number)
    assert done.status == status
    assert done.out == f"{good} SUCCEEDED: success\n"
    words = shlex.split(done.err.splitlines()[-1])
    assert words[:4] == ["jobsource", "wait", "--first-failure", running]
    assert words[4] == "--deadline"
    assert shell.run(*words[1:4], "--timeout", "0").status == 124  # and the job goes on
    assert not [request for request in ontap.simulator.journal if request.method == "PATCH"]


def test_the_line_that_goes_on_names_the_profile_too(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    """Without it, two profiles of one system would leave open which of them is to sign in."""
    profile = f'endpoint = "{ontap.target}"\nuser = "u"\npassword = {{ env = "SECRET" }}\n'
    shell.user.profiles(f"[profiles.reader]\n{profile}[profiles.writer]\n{profile}")
    shell.user.set(SECRET=PASSWORD, JOBSOURCE_ENDPOINT="", JOBSOURCE_TOKEN="")
    for verb in ("wait", "watch"):
        id = ontap.add(("running", None))
        with shell.started(verb, id, "--profile", "reader") as process:
            stream = process.stderr if verb == "wait" else process.stdout
            assert stream is not None
            assert "RUNNING" in stream.readline()
            done = ended(process, signal.SIGINT)
        words = shlex.split(done.err.splitlines()[-1])
        assert words == ["jobsource", verb, "--profile", "reader", f"{ontap.target}/{id}"]


def test_a_signal_cancels_the_jobs_where_that_is_asked_for(
    shell: Shell, ontap: Served[OntapSimulator]
) -> None:
    running = ontap.ref(("running", None))
    with shell.started("wait", running, "--cancel-on-interrupt") as process:
        of_job(process)
        done = ended(process, signal.SIGINT)
    assert done.status == 130
    assert f"cancelled: {running}" in done.err
    assert shell.run("wait", running).status == 1


@pytest.mark.parametrize("options", [(), ("--cancel-on-interrupt",)])
def test_a_quiet_wait_is_quiet_when_it_is_interrupted(
    shell: Shell, ontap: Served[OntapSimulator], options: tuple[str, ...]
) -> None:
    ref, good = ontap.ref(("running", None)), ontap.ref(("success", None))
    with shell.started("wait", "-q", ref, good, *options) as process:
        assert process.stdout is not None
        process.stdout.readline()  # both were seen
        done = ended(process, signal.SIGINT)
    assert (done.status, done.err) == (130, "")


def test_a_signal_while_an_action_is_followed(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    shell.user.profile(f'endpoint = "{ontap.target}"\ntoken = {{ env = "SECRET" }}')
    ontap.simulator.settle = 3600.0  # a pause does not show yet
    try:
        id = ontap.add(("running", None))
        with shell.started("pause", id, "--profile", "prod", "--wait") as process:
            of_job(process)
            done = ended(process, signal.SIGINT)
    finally:
        ontap.simulator.settle = 0.2
    assert shlex.split(done.err.splitlines()[-1]) == [
        *("jobsource", "wait", "--until", "paused", "--profile", "prod", f"{ontap.target}/{id}")
    ]
    id = ontap.add(("running", None))
    assert shell.run("pause", id, "--wait").status == 0
    with shell.started("resume", id, "--wait", "--cancel-on-interrupt") as process:
        of_job(process)
        done = ended(process, signal.SIGINT)
    assert done.status == 130
    assert f"cancelled: {ontap.target}/{id}" in done.err
    ontap.simulator.on_write = NewJob([("running", None)])
    with shell.started("start", "prod", "DELETE", "/api/storage/volumes/v", "--wait") as process:
        of_job(process)
        done = ended(process, signal.SIGINT)
    assert shlex.split(done.err.splitlines()[-1])[:4] == ["jobsource", "wait", "--profile", "prod"]


def test_standard_input_is_read_as_it_comes(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    first, second = ontap.ref(("success", None)), ontap.ref(("success", None))
    with shell.started("wait", "-", "--timeout", "30s") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for ref in (first, second):
            process.stdin.write(f"{ref} RUNNING: as list writes it\n  error: of that job\nno-such://ref\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"{ref} SUCCEEDED: success\n"
        done = ended(process)
    assert done.status == 2  # what is no ref is said, and does not stop the others
    assert "standard input, line 3: not a job reference" in done.err


def test_the_deadline_counts_while_standard_input_is_open(
    shell: Shell, ontap: Served[OntapSimulator]
) -> None:
    with shell.started("wait", "-", ontap.ref(("success", None)), "--timeout", "1s") as process:
        assert process.wait(30) == 124
    with shell.started("wait", "-") as process:
        assert process.stdin is not None
        process.stdin.write("no-such://ref\n")
        process.stdin.flush()
        of_job(process)  # that this is no ref
        assert ended(process, signal.SIGTERM).status == 143


def test_nothing_on_standard_input_is_nothing_to_wait_for(shell: Shell) -> None:
    assert shell.process("wait", "-") == shell.process("get", "-") == shell.run("wait", "-")


def test_pipes(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    ontap.simulator.on_write = NewJob([("running", 0.2), ("success", None)])
    target = ontap.target
    assert shell.script(f"jobsource start {target} POST /api/storage/volumes | jobsource wait -").status == 0
    assert shell.script("jobsource list -o jsonl --state succeeded | jobsource get - -q").status == 2
    assert shell.script("jobsource list -o jsonl --state succeeded | jobsource get -").status == 0


def test_a_reader_that_goes_away(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    for _ in range(30):
        ontap.add(("running", None))
    for line in (
        "jobsource list | head -1",
        "jobsource list -o json | head -c 10 > /dev/null; true",
        f"jobsource watch {ontap.ref(('running', None))} | head -1",
        "jobsource --help | head -1",
        "jobsource get --help | head -1",
        "jobsource list -o table | head -1",
    ):
        done = shell.script(line)
        assert done.status in (0, 141)  # what is read to its end succeeds
        assert done.err == ""
    closed = shell.script(f"jobsource wait {ontap.ref(('success', None))} 2>&-; jobsource list >&-")
    assert closed.status in (0, 1, 141)
    for words in ("--help", "get --help", "list", "list -o table"):
        full = shell.script(f"jobsource {words} > /dev/full")
        assert (full.status, full.err) == (1, "jobsource: No space left on device\n")


def test_help_for_a_reader_that_goes_away_ends_as_by_a_signal(shell: Shell) -> None:
    done = shell.script("(sleep 0.2; jobsource get --help) | true")
    assert done.status == 141
    assert done.err == ""


def test_what_is_wrong_with_many_lines_is_said_once(shell: Shell) -> None:
    refs = "".join(f"ontap://nobody.example.com/{number}\n" for number in range(50))
    done = shell.process("wait", "-", stdin=refs)
    assert done.status == 2
    first, last = done.err.splitlines()
    assert first.startswith("jobsource: standard input, line 1: no credentials for")
    assert last == "jobsource: standard input: 49 more lines have the same error"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_examples_work_as_pasted(shell: Shell, command: Command) -> None:
    if command.name in ("simulate", "demo"):
        return  # these serve for a while: their own tests run them
    with served("ontap", OntapSimulator(on_write=NewJob([("success", None)]))) as cluster:
        shell.user.profile(f'endpoint = "{cluster.target}"\nuser = "u"\npassword = {{ env = "SECRET" }}')
        for example in command.examples:
            state = "running" if command.name in ("cancel", "pause") else "success"
            state = "paused" if command.name == "resume" or "--until paused" in example else state
            cluster.call(cluster.simulator.reset)
            cluster.call(partial(cluster.simulator.add_job, [(state, None)], id=ID))
            line = example.replace("ontap://cluster1.example.com", cluster.target)
            line = line.replace("resume " + ID + " --profile prod --wait", "resume " + ID + " --profile prod")
            done = shell.script(f"cd {shell.user.folder}; {line}")
            assert done.status == 0, (line, done)


def test_the_launcher_prints_the_help_without_an_import(shell: Shell) -> None:
    code = 'import sys, jobsource.command as j; sys.argv[1:] = ["--help"]; j.main(); print(*sys.modules)'
    done = shell.script(f"cd {ROOT} && {shlex.join([sys.executable, '-c', code])}")
    assert done.out.startswith(shell.run("--help").out)
    assert not {"common", "rich", "cyclopts", "anyio", "attr", "pathlib"} & set(done.out.split())


def test_one_look_imports_nothing_that_only_others_need(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    words = ["get", ontap.add(("success", None))]
    code = f"import sys, jobsource.command as j; sys.argv[1:] = {words}; print(j.main(), *sys.modules)"
    status, *modules = shell.script(shlex.join([sys.executable, "-c", code])).out.splitlines()[-1].split()
    assert status == "0"
    others = {"common.polling.poller", "cyclopts", "html", "http", "httpx", "importlib.metadata", "rich"}
    assert not others & set(modules)


def test_an_interrupt_while_it_is_imported_ends_it_without_a_word(shell: Shell) -> None:
    code = """
import sys, jobsource.command
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "common":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
sys.argv[1:] = ["list"]
sys.exit(jobsource.command.main())
"""
    done = shell.script(f"cd {ROOT} && {shlex.join([sys.executable, '-c', code])}")
    assert (done.status, done.out, done.err) == (130, "", "")


def test_another_package_in_the_place_of_common(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "__init__.py").write_text("")
    path = shlex.quote(f"{tmp_path}:{ROOT}")
    done = shell.script(f"cd / && PYTHONPATH={path} {sys.executable} -P -m jobsource.command list")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert "was imported instead" in done.err


def test_the_debug_option_shows_requests_and_no_secret(shell: Shell, ontap: Served[OntapSimulator]) -> None:
    done = shell.process("get", ontap.add(("success", None)), "--debug")
    assert "/api/cluster/jobs" in done.err
    assert "t0ken-of-mine" not in done.err
