"""Runs the nearest tests against each mutant, in a process that is forked where they have been collected.

A mutant is put into the modules that are there, so that it costs a fork and the tests that reach its lines.
One that cannot be put in, that no test reaches, or that is of what runs at import and survives, is tried in a
process that has not imported the project yet, with all of the nearest tests: whoever holds something that was
made of a module's values before the fork is not found.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import attrs
import pytest
from hypothesis import settings

from tests.mutations.forks import Task, answers
from tests.mutations.operators import Mutant
from tests.mutations.patch import caches, compiled, put_in

ROOT = Path(__file__).parents[2]
ARGUMENTS = (
    *("-q", "-x", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # its plugins are imported before it begins
)
KILLED, SURVIVED, TIMED_OUT = "killed", "SURVIVED", "timed out"
LATER = "to be tried in a process of its own"


@attrs.frozen
class Reached:
    """What a test run reached: the seconds that each test took, and the lines that it ran of each file."""

    seconds: dict[str, float]
    lines: dict[str, dict[str, set[int]]]
    failed: list[str]

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests that reach a mutant, quickest first; all of them, for what runs at import."""
        path = str(ROOT / mutant.path)
        its = set(range(mutant.first, mutant.last + 1))
        found = [test for test in self.lines if test not in self.failed]
        if mutant.function is not None:
            found = [test for test in found if not its.isdisjoint(self.lines[test].get(path, ()))]
        return sorted(found, key=lambda test: (path not in self.lines[test], self.seconds[test]))


@attrs.define(eq=False)
class Plugin:
    """Takes over the loop of a pytest session: the collected tests run in forks of it."""

    loop: Callable[[list[pytest.Item]], None] | None = None
    failed: bool = False

    def pytest_configure(self) -> None:
        """Let hypothesis draw the same examples each time, and remember none of those that fail."""
        settings.register_profile("mutations", deadline=None, derandomize=True, database=None)
        settings.load_profile("mutations")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run what is to be run instead of all tests one after another."""
        if self.loop is None or session.testsfailed:
            return None
        gc.unfreeze()
        self.loop(session.items)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notice the first failure."""
        self.failed = self.failed or report.failed

    def run(self, items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
        """Run tests, and yield each that has run."""
        todo = list(items)
        for item, after in zip(todo, [*todo[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            yield item


def collected(tests: Iterable[str], loop: Callable[[Plugin, list[pytest.Item]], None]) -> None:
    """Collect tests, and hand them over to ``loop``."""
    plugin = Plugin()
    plugin.loop = lambda items: loop(plugin, items)
    pytest.main([*ARGUMENTS, *tests], plugins=[plugin])


def reach(plugin: Plugin, items: list[pytest.Item], files: Iterable[str]) -> Reached:
    """Run all tests once in a fork, and return what each reaches."""
    work = Task(None, lambda: _trace(plugin, items, {str(ROOT / file) for file in files}), timeout=1800)
    [(_, reached)] = answers([work])
    if not isinstance(reached, Reached):
        raise TypeError("the tests do not run without a mutant")
    return reached


def _trace(plugin: Plugin, items: list[pytest.Item], files: set[str]) -> Reached:
    now: dict[str, set[int]] = {}

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        file = frame.f_code.co_filename
        if file not in files:
            return None
        lines = now.setdefault(file, set())
        lines.add(frame.f_lineno)

        def each(frame: FrameType, event: str, argument: object) -> Any:
            lines.add(frame.f_lineno)
            return each

        return each

    reached = Reached({}, {}, [])
    threading.settrace(trace)
    sys.settrace(trace)
    began = time.perf_counter()
    cached = caches(files)
    for item in plugin.run(items):
        reached.seconds[item.nodeid] = time.perf_counter() - began
        reached.lines[item.nodeid] = dict(now)
        if plugin.failed:
            reached.failed.append(item.nodeid)
            plugin.failed = False
        now.clear()
        for cache in cached:
            cache.cache_clear()  # so that the next test reaches what is behind it, too
        began = time.perf_counter()
        sys.settrace(trace)  # a test may have taken it away
    sys.settrace(None)
    return reached


def live(
    plugin: Plugin, items: Iterable[pytest.Item], reached: Reached, todo: Iterable[Mutant]
) -> Iterator[Task[Mutant]]:
    """Yield the task for each mutant that is put into the modules that are there: the tests that reach it."""
    by_id = {item.nodeid: item for item in items}
    for mutant in todo:
        tests = reached.tests(mutant)

        def work(mutant: Mutant = mutant, tests: list[str] = tests) -> str:
            try:
                if not tests or not put_in(mutant, ROOT):
                    return LATER
            except Exception:
                return KILLED  # its module cannot be imported
            for _ in plugin.run(by_id[test] for test in tests):
                if plugin.failed:
                    return KILLED
            return SURVIVED

        yield Task(mutant, work, timeout=20 + 3 * sum(reached.seconds[test] for test in tests))


def at_import(tests: Iterable[str], todo: Iterable[Mutant], *, timeout: float) -> Iterator[Task[Mutant]]:
    """Yield the task for each mutant of what runs at import, for a process that has not imported it."""
    for mutant in todo:

        def work(mutant: Mutant = mutant) -> str:
            _import_as(mutant)
            status = pytest.main([*ARGUMENTS, *tests], plugins=[Plugin()])
            return SURVIVED if status == pytest.ExitCode.OK else KILLED

        yield Task(mutant, work, timeout)


def _import_as(mutant: Mutant) -> None:
    code = compiled(mutant, ROOT)
    path = str(ROOT / mutant.path)
    get_code = SourceFileLoader.get_code

    def mutated(self: SourceFileLoader, fullname: str) -> CodeType | None:
        return code if self.path == path else get_code(self, fullname)

    setattr(SourceFileLoader, "get_code", mutated)  # noqa: B010 - its type is that of a base class
