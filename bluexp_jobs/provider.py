"""What this package says of itself to `common.registry`, found there by entry point."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from common.registry import Provider

if TYPE_CHECKING:
    from common.base import BaseSource
    from common.stage import Stage


def _source() -> type[BaseSource]:
    from bluexp_jobs.source import BlueXPJobs  # only once a source is asked for

    return BlueXPJobs


def _demo() -> Callable[[], Stage]:
    from bluexp_jobs.demo import stage  # needs the extra packages of the demo

    return stage


PROVIDER = Provider(name="bluexp", title="NetApp BlueXP backup and recovery", source=_source, demo=_demo)
