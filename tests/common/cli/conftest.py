"""A cluster, an account and a foundation on real sockets, and a shell to type commands in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs.simulator import CFSimulator
from ontapjobs.simulator import OntapSimulator
from tests.common.cli.shell import Served, Shell, served
from tests.profiles import UserEnv


@pytest.fixture(scope="module")
def ontap() -> Iterator[Served[OntapSimulator]]:
    """A simulated cluster, which signs in anybody."""
    with served("ontap", OntapSimulator()) as system:
        yield system


@pytest.fixture(scope="module")
def cf() -> Iterator[Served[CFSimulator]]:
    """A simulated foundation."""
    with served("cf", CFSimulator()) as system:
        yield system


@pytest.fixture(scope="module")
def bluexp() -> Iterator[Served[BlueXPSimulator]]:
    """A simulated account."""
    with served("bluexp", BlueXPSimulator()) as system:
        yield system


@pytest.fixture
def shell(
    user_env: UserEnv,
    ontap: Served[OntapSimulator],
    capfd: pytest.CaptureFixture[str],
) -> Shell:
    """A shell of a user whose environment names the cluster and a token."""
    user_env.set(JOBSOURCE_ENDPOINT=ontap.target, JOBSOURCE_TOKEN="t0ken-of-mine")
    return Shell(user_env, capfd)
