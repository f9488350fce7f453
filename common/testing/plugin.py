"""Opt-in pytest fixtures: a simulator of each system, and virtual time.

To load it, write ``pytest_plugins = ["common.testing.plugin"]`` in the ``conftest.py`` at the root of the
tests; it is not loaded by itself. The fixtures are ``ontap_simulator``, ``bluexp_simulator`` and
``cf_simulator``, one for each installed provider and new for each test, and ``virtual_time``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from inspect import isasyncgenfunction, iscoroutinefunction
from types import TracebackType
from typing import Any, ClassVar, Self

import anyio
import anyio.pytest_plugin
import pytest

from common.model.errors import UsageError
from common.providers import get_provider, provider_names
from common.simulator.simulator import Simulator
from common.testing.asyncio_loop import virtual_time_loop
from common.testing.runner import virtual_options

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
VirtualTime = Callable[[], float]
"""The value of the fixture ``virtual_time``: returns the time on the test's event loop, in seconds."""

FIXTURE = "virtual_time"
_HOOK = "extract_backend_and_options"
"""The function of anyio's plugin that reads the fixture ``anyio_backend``, whoever has overridden it."""


class VirtualAnyio:
    """A context in which every event loop that anyio's plugin starts is virtual."""

    running: ClassVar[bool] = False

    def __init__(self) -> None:
        self._plugin: Any = anyio.pytest_plugin
        self._patch = pytest.MonkeyPatch()
        self._occupied = False

    def __enter__(self) -> Self:
        self._occupied = getattr(self._plugin, "_current_runner", None) is not None
        read = getattr(self._plugin, _HOOK, None)
        if read is not None:

            def virtual(backend: object) -> tuple[str, dict[str, Any]]:
                name, options = read(backend)
                return name, {**options, **virtual_options(name)}

            self._patch.setattr(self._plugin, _HOOK, virtual)
        type(self).running = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        type(self).running = False
        self._patch.undo()

    def check(self, test: str) -> None:
        """Fail the test where its event loop is not virtual."""
        if not hasattr(self._plugin, _HOOK):
            pytest.fail(f"virtual_time does not support this version of anyio ({test})", pytrace=False)
        if self._occupied:
            pytest.fail(
                f"virtual_time cannot control the event loop of {test}: an async fixture of a scope wider "
                "than 'function' keeps a loop running that other tests use too",
                pytrace=False,
            )


_by_pytest_asyncio = pytest.StashKey[set[str]]()
_by_anyio = pytest.StashKey[VirtualAnyio]()


@pytest.fixture
def virtual_time(request: pytest.FixtureRequest) -> VirtualTime:
    """Run this async test in virtual time: a wait of hours takes milliseconds, and no code changes.

    For tests run by pytest-asyncio (1.4 or later) or anyio's plugin. The value is a function that returns the
    time on the test's event loop in seconds, from 0.0 where the loop is the test's own.
    """
    item = request.node
    if not _is_async(item):
        pytest.fail(
            f"{FIXTURE} is for async tests, and {item.name} is not async: use common.testing.run(main) "
            "to run an async function in virtual time",
            pytrace=False,
        )
    if item.get_closest_marker("asyncio") is not None and item.config.pluginmanager.has_plugin("asyncio"):
        if item.nodeid.partition("[")[0] not in item.config.stash.get(_by_pytest_asyncio, set()):
            pytest.fail(
                f"{FIXTURE} cannot control the event loop of {item.name}: it needs pytest-asyncio 1.4 or "
                "later, and must be named by the test, by a fixture that the test names, or by usefixtures",
                pytrace=False,
            )
    elif "anyio_backend" in item.fixturenames and (switched := item.stash.get(_by_anyio, None)):
        switched.check(item.name)
    else:
        pytest.fail(
            f"{FIXTURE} found no plugin that runs {item.name}: mark it with pytest.mark.asyncio "
            "(pytest-asyncio 1.4 or later) or pytest.mark.anyio",
            pytrace=False,
        )
    return anyio.current_time


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Generator[None, Mapping[str, LoopFactory] | None, Mapping[str, LoopFactory]]:
    """Called by pytest-asyncio: return the loops that a test runs on. Other tests keep theirs."""
    factories = yield
    if not _wants(item):
        return {"asyncio": asyncio.new_event_loop} if factories is None else factories
    config.stash.setdefault(_by_pytest_asyncio, set()).add(item.nodeid)
    return dict.fromkeys(factories or ["virtual"], virtual_time_loop)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Called by pytest for each test: make anyio's backends virtual for a test with ``virtual_time``."""
    if not _wants(item) or not item.config.pluginmanager.has_plugin("anyio"):
        return (yield)
    with VirtualAnyio() as switched:
        item.stash[_by_anyio] = switched
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # anyio's own wrapper hides that the fixture is async
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Called by pytest: refuse an async fixture that would take its virtual loop to other tests."""
    func = fixturedef.func
    shared = fixturedef.scope != "function" and (iscoroutinefunction(func) or isasyncgenfunction(func))
    if VirtualAnyio.running and shared and "anyio_backend" in request.fixturenames:
        pytest.fail(
            f"{FIXTURE} cannot be used with the {fixturedef.scope}-scoped async fixture "
            f"{fixturedef.argname!r}, whose event loop other tests use too: give it the scope 'function'",
            pytrace=False,
        )
    return (yield)


def _wants(item: pytest.Item) -> bool:
    return FIXTURE in getattr(item, "fixturenames", ())


def _is_async(item: Any) -> bool:
    function = getattr(item, "function", None)
    hypothesis = getattr(function, "hypothesis", None)
    return iscoroutinefunction(getattr(hypothesis, "inner_test", function))


def _simulator_fixture(name: str) -> Any:
    def simulator() -> Simulator:
        load = get_provider(name).simulator
        if load is None:
            raise UsageError(f"the provider {name!r} has no simulator")
        result: Simulator = load()()
        return result

    simulator.__doc__ = f"Return a new simulator of the provider {name!r} for each test, without any job."
    return pytest.fixture(name=f"{name}_simulator")(simulator)


globals().update({f"{name}_simulator": _simulator_fixture(name) for name in sorted(provider_names())})
