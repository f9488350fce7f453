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


def _source() -> type[BaseSource]:
    from cfjobs.source import CFJobs  # only once a source is asked for

    return CFJobs


def _demo() -> Callable[[], Stage]:
    from cfjobs.demo import stage  # needs the extra packages of the demo

    return stage


def _connect(settings: Settings) -> BaseSource:
    from cfjobs.connecting import connect  # only once somebody connects

    return connect(settings)


def _simulator() -> type[Simulator]:
    from cfjobs.simulator import CFSimulator  # only once a simulator is asked for

    return CFSimulator


PROVIDER = Provider(
    name="cf",
    title="Cloud Foundry v3",
    source=_source,
    demo=_demo,
    simulator=_simulator,
    connect=_connect,
)
