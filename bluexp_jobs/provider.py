"""What this package says of itself to `common.registry`, found there by entry point."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from common.registry import Provider

if TYPE_CHECKING:
    from common.base import BaseSource
    from common.settings import Settings
    from common.simulator.base import Simulator
    from common.stage import Stage

ENDPOINT = "https://api.bluexp.netapp.com"
"""Today's host; ``https://cloudmanager.cloud.netapp.com`` is the older one."""


def _source() -> type[BaseSource]:
    from bluexp_jobs.source import BlueXPJobs  # only once a source is asked for

    return BlueXPJobs


def _demo() -> Callable[[], Stage]:
    from bluexp_jobs.demo import stage  # needs the extra packages of the demo

    return stage


def _connect(settings: Settings) -> BaseSource:
    from bluexp_jobs.connecting import connect  # only once somebody connects

    return connect(settings)


def _simulator() -> type[Simulator]:
    from bluexp_jobs.simulator import BlueXPSimulator  # only once a simulator is asked for

    return BlueXPSimulator


PROVIDER = Provider(
    name="bluexp",
    title="NetApp BlueXP backup and recovery",
    source=_source,
    demo=_demo,
    simulator=_simulator,
    connect=_connect,
    endpoint=ENDPOINT,
)
