"""`Fleet`: several sources behind one, which can be built from what names their systems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from common.config.connect import connect
from common.config.targets import SystemAddress, read_address
from common.model.errors import UsageError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.tracebacks import without_frames
from common.options import SourceOptions, shows_keywords
from common.set_module import set_module
from common.sources.base import BaseSource
from common.sources.fleet import BaseFleet, each_of
from common.sources.routing import Router
from common.telemetry.events import Observer

if TYPE_CHECKING:
    from common.auth.argument import AuthLike
else:
    AuthLike = Any  # names httpx, which must not be imported for hosts that read type hints


class Fleet(BaseFleet):
    """Several sources as one `JobSource`: ``Fleet([ontap, foundation, backup])``.

    Name jobs by a ref, its text or a `Job`; a bare id works only with a single source. Sources can be added
    and removed at any time. As a context manager, it closes its sources. ``observer`` is called with each
    event of each source, in addition to the source's own observer. Raise `UsageError` for an empty list, or
    two sources of the same system.
    """

    @classmethod
    @without_frames
    @shows_keywords(SourceOptions, and_others=True)
    def connect(
        cls,
        refs_or_targets: Iterable[str | JobRef | Job],
        *,
        observer: Observer | None = None,
        auth: AuthLike | None = None,
        settings: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """Return a fleet of the sources that these jobs and systems need, one for each system. No request.

        Each is named as in `common.connect`, by a source's URL or a job's reference, or by a `Job`; ``auth``,
        ``settings`` and ``options`` are passed on to each. Raise `UsageError` where there is none, and as
        `connect` does.
        """
        if isinstance(refs_or_targets, str) or not isinstance(refs_or_targets, Iterable):
            raise UsageError("Fleet.connect() takes a list of refs or targets: pass [target] for one")
        connected, seen = Router(), set[SystemAddress]()
        sources: list[BaseSource] = []

        def join(target: str | JobRef | Job) -> None:
            address = read_address(target.ref if isinstance(target, Job) else target)
            system = SystemAddress(address.provider, address.endpoint, address.scope)
            if system in seen:
                return
            seen.add(system)
            source = connect(str(system), auth=auth, settings=settings, **options)
            # Another name of the same system, such as an alias in its profile, needs no source of its own.
            if connected.clashing(source) is None:
                connected.add(source)
                sources.append(source)

        for _ in each_of(join, refs_or_targets, "refs_or_targets"):
            pass
        return cls(sources, observer=observer)


set_module(Fleet)
