"""Every async test runs on asyncio and on trio; hypothesis never fails for being slow."""

from __future__ import annotations

import gc
import os
import signal
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from common.http.selection import BACKEND_VARIABLE
from tests.common.virtual import VIRTUAL, Backend
from tests.loopback import CERTIFICATE, KEY, write_pem
from tests.profiles import UserEnv

pytest_plugins = ["pytester", "tests.leaks.plugin"]

# The same examples each time: who changes something else must not be stopped by a new one.
settings.register_profile("default", deadline=None, derandomize=True)
# New examples each time, for `nox -s fuzz`: some 20 minutes rather than seconds. The variable asks for more
# or fewer examples.
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=int(os.environ.get("JOBSOURCE_FUZZ", "10000")),
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("default")

# What a user gets, though respx is loaded here, which tests of requests in memory use. JOBSOURCE_HTTP=httpx
# runs the whole suite over httpx.
os.environ.setdefault(BACKEND_VARIABLE, "direct")

# A job that a shell runs in the background ignores SIGINT, and so would the programs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection() -> None:
    """Collect tests and no garbage: there is next to none, and looking for it takes a quarter of the time."""
    gc.disable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the tests marked slow, run a share: ``JOBSOURCE_SLOW_TESTS=0/3`` is the first third, by their names.

    `nox -s tests` gives each Python another one, so that every test runs, and a whole run ends in minutes.
    """
    number, _, count = os.environ.get("JOBSOURCE_SLOW_TESTS", "0/1").partition("/")

    def chosen(item: pytest.Item) -> bool:
        slow = item.get_closest_marker("slow") is not None
        return not slow or zlib.crc32(item.nodeid.encode()) % int(count) == int(number)

    left_out = [item for item in items if not chosen(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = filter(chosen, items)


def pytest_collection_finish() -> None:
    """Take the thousands of collected tests out of every later garbage collection: many tests ask for one."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str | Backend:
    """The event loop that an async test runs on: in virtual time where it is marked ``virtual``."""
    loop = str(request.param)
    virtual = request.node.get_closest_marker("virtual")
    return VIRTUAL[loop](*virtual.args) if virtual else loop


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that names no proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(params=["direct", "httpx"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, no_proxies: None) -> str:
    """The HTTP library that sends; trio has httpx alone."""
    monkeypatch.setenv(BACKEND_VARIABLE, request.param)
    return str(request.param)


@pytest.fixture
def ca(tmp_path: Path) -> str:
    """A file with the certificate of `Loopback`, which is its own authority."""
    return write_pem(tmp_path, "CERTIFICATE", CERTIFICATE)


@pytest.fixture
def key(tmp_path: Path) -> str:
    """A file with the key to that certificate."""
    return write_pem(tmp_path, "PRIVATE KEY", KEY)


@pytest.fixture
def user_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UserEnv:
    """A user whose home is empty and who has set no variable."""
    return UserEnv(tmp_path, monkeypatch)
