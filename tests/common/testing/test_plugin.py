"""The fixtures in a user's own project: pytest-asyncio in both of its modes, and anyio's plugin."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]

STRICT = "asyncio_mode = strict"
AUTO = "asyncio_mode = auto"

WAIT = """
    id = ontap_simulator.add_job([("running", 24 * 3600), ("success", None)])
    async with OntapJobs("cluster1", auth=("a", "b"), transport=ontap_simulator.transport()) as jobs:
        assert (await jobs.wait(id)).succeeded
    assert 24 * 3600 <= virtual_time() < 25 * 3600
"""
HEAD = """
import anyio, asyncio, pytest
from ontapjobs import OntapJobs
from common.testing import VirtualTimeLoop
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project that has jobsource installed, and loads the plugin."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][
        "jobsource.providers"
    ]
    lines = "\n".join(f"{name} = {value}" for name, value in points.items())
    installed = pytester.mkdir("jobsource-0.dist-info")
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: jobsource\nVersion: 0\n")
    (installed / "entry_points.txt").write_text(f"[jobsource.providers]\n{lines}\n")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{pytester.path}")
    pytester.syspathinsert()
    # Another test may have loaded it, and pytest warns of a plugin that it was not the first to load.
    monkeypatch.delitem(sys.modules, "common.testing.plugin", raising=False)
    pytester.makeconftest('pytest_plugins = ["common.testing.plugin"]')
    return pytester


def outcome(
    project: pytest.Pytester, tests: str, mode: str = STRICT, *, new_process: bool = False
) -> pytest.RunResult:
    """What comes of a module of tests; every warning is an error there, too."""
    project.makeini(
        f"[pytest]\nfilterwarnings = error\n{mode}\nasyncio_default_fixture_loop_scope = function"
    )
    project.makepyfile(HEAD + tests)
    args = ("-p", "no:cacheprovider", "-rA")
    if new_process:
        return project.runpytest_subprocess(*args, timeout=60)
    return project.runpytest_inprocess(*args)


@pytest.mark.parametrize(("mode", "mark"), [(STRICT, "@pytest.mark.asyncio"), (AUTO, "")])
def test_under_pytest_asyncio_a_day_passes(project: pytest.Pytester, mode: str, mark: str) -> None:
    test = f"{mark}\nasync def test_day(ontap_simulator, virtual_time):{WAIT}"
    outcome(project, test, mode).assert_outcomes(passed=1)


def test_under_anyios_plugin_a_day_passes_on_both_backends(project: pytest.Pytester) -> None:
    test = f"@pytest.mark.anyio\nasync def test_day(ontap_simulator, virtual_time):{WAIT}"
    result = outcome(project, test)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines_random(["PASSED *test_day?asyncio?", "PASSED *test_day?trio?"])


@pytest.mark.parametrize("value", ["'trio'", "('asyncio', {'debug': True})"])
def test_a_project_with_its_own_anyio_backend_keeps_it(project: pytest.Pytester, value: str) -> None:
    fixture = f"@pytest.fixture(scope='session')\ndef anyio_backend(): return {value}\n"
    test = f"@pytest.mark.anyio\nasync def test_day(ontap_simulator, virtual_time):{WAIT}"
    outcome(project, fixture + test).assert_outcomes(passed=1)


def test_each_test_has_a_simulator_of_its_own(project: pytest.Pytester) -> None:
    test = """
@pytest.mark.parametrize("turn", [1, 2])
def test_new(turn, ontap_simulator, bluexp_simulator, cf_simulator):
    assert [type(each).__name__ for each in (ontap_simulator, bluexp_simulator, cf_simulator)] == [
        "OntapSimulator", "BlueXPSimulator", "CFSimulator"]
    assert not ontap_simulator.jobs
    ontap_simulator.add_job([("running", None)])
"""
    outcome(project, test).assert_outcomes(passed=2)


NEIGHBOURS = """
class {name}:
    async def test_real(self):
        assert type(asyncio.get_running_loop()) is not VirtualTimeLoop
    async def test_virtual(self, virtual_time):
        assert isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
        await asyncio.sleep(3600)
        assert virtual_time() == 3600
    async def test_real_again(self):
        assert type(asyncio.get_running_loop()) is not VirtualTimeLoop
    @pytest.mark.usefixtures("virtual_time")
    async def test_virtual_again(self):
        await asyncio.sleep(3600)
"""


@pytest.mark.parametrize(
    ("mode", "mark"),
    [
        (STRICT, "pytestmark = pytest.mark.asyncio"),
        (STRICT, "pytestmark = pytest.mark.asyncio(loop_scope='module')"),
        (AUTO, ""),
        (STRICT, "@pytest.fixture\ndef anyio_backend(): return 'asyncio'\npytestmark = pytest.mark.anyio"),
    ],
    ids=["asyncio", "one loop a module", "auto", "anyio"],
)
def test_only_tests_that_ask_for_it_are_virtual(project: pytest.Pytester, mode: str, mark: str) -> None:
    result = outcome(project, mark + NEIGHBOURS.format(name="TestAll"), mode)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines_random(["PASSED *::test_real", "PASSED *::test_virtual"])


def test_async_fixtures_of_the_test_are_in_virtual_time_too(project: pytest.Pytester) -> None:
    tests = """
import pytest_asyncio
@pytest_asyncio.fixture
async def slow():
    await asyncio.sleep(3600)
    yield 1
    await asyncio.sleep(3600)
@pytest.mark.asyncio
async def test_asyncio(slow, virtual_time):
    assert virtual_time() == 3600
@pytest.fixture
async def slow_too():
    await anyio.sleep(3600)
    yield 1
    await anyio.sleep(3600)
@pytest.mark.anyio
async def test_anyio(slow_too, virtual_time):
    assert virtual_time() == 3600
"""
    outcome(project, tests).assert_outcomes(passed=3)


def test_loop_factories_of_the_project_keep_their_names(project: pytest.Pytester) -> None:
    project.makeconftest("""
import asyncio
pytest_plugins = ["common.testing.plugin"]
def pytest_asyncio_loop_factories(config, item):
    return {"one": asyncio.SelectorEventLoop, "other": asyncio.new_event_loop}
""")
    tests = """
@pytest.mark.asyncio
async def test_virtual(virtual_time):
    await asyncio.sleep(3600)
@pytest.mark.asyncio(loop_factories=["one"])
async def test_real():
    assert type(asyncio.get_running_loop()) is asyncio.SelectorEventLoop
"""
    result = outcome(project, tests)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines_random(["PASSED *::test_virtual?one?", "PASSED *::test_virtual?other?"])


def test_a_deadlock_fails_the_test_and_no_other(project: pytest.Pytester) -> None:
    tests = """
@pytest.mark.asyncio
async def test_lost(virtual_time): await asyncio.Event().wait()
@pytest.mark.anyio
async def test_lost_too(virtual_time): await anyio.Event().wait()
@pytest.mark.anyio
async def test_found(virtual_time): await anyio.sleep(3600)
"""
    result = outcome(project, tests)
    result.assert_outcomes(passed=2, failed=3)
    result.stdout.fnmatch_lines(["*VirtualTimeError: deadlock: every task waits, and no timer is set*"])


REFUSED = {
    "a synchronous test": (
        "def test_it(virtual_time): pass",
        "virtual_time is for async tests, and test_it is not async",
    ),
    "an async test that nobody runs": (
        "async def test_it(virtual_time): pass",
        "virtual_time found no plugin that runs test_it",
    ),
    "asked for too late": (
        (
            "@pytest.mark.asyncio\nasync def test_it(late): pass\n"
            "@pytest.fixture\ndef late(request): request.getfixturevalue('virtual_time')"
        ),
        "virtual_time cannot control the event loop of test_it: it needs pytest-asyncio 1.4",
    ),
    "asked for too late, by anyio": (
        (
            "@pytest.mark.anyio\nasync def test_it(late): pass\n"
            "@pytest.fixture\ndef late(request): request.getfixturevalue('virtual_time')"
        ),
        "virtual_time found no plugin that runs test_it",
    ),
    "beside a fixture that others share": (
        (
            "@pytest.fixture(scope='module')\nasync def shared(anyio_backend): return 1\n"
            "@pytest.mark.anyio\nasync def test_it(shared, virtual_time): pass"
        ),
        "virtual_time cannot be used with the module-scoped async fixture 'shared'",
    ),
    "on a loop that others have begun": (
        (
            "@pytest.fixture(scope='module')\nasync def shared(anyio_backend): yield 1\n"
            "@pytest.mark.anyio\nasync def test_first(shared): pass\n"
            "@pytest.mark.anyio\nasync def test_it(virtual_time): pass"
        ),
        "virtual_time cannot control the event loop of test_it*: an async fixture of a scope wider",
    ),
}


@pytest.mark.parametrize(("tests", "sentence"), REFUSED.values(), ids=REFUSED)
def test_where_it_cannot_work_it_says_so_in_a_sentence(
    project: pytest.Pytester, tests: str, sentence: str
) -> None:
    result = outcome(project, tests)
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"*{sentence}*"])


def test_without_pytest_asyncio_anyio_is_enough(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\nfilterwarnings = error")
    project.makepyfile(HEAD + f"@pytest.mark.anyio\nasync def test_day(ontap_simulator, virtual_time):{WAIT}")
    result = project.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio")
    result.assert_outcomes(passed=2)


def test_nothing_loads_the_plugin_by_itself(project: pytest.Pytester) -> None:
    project.makeconftest("")
    result = outcome(project, "def test_it(virtual_time): pass", new_process=True)
    result.stdout.fnmatch_lines(["*fixture 'virtual_time' not found*"])
