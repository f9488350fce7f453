"""One source per event loop and system for whoever asks, closed some seconds after its last user has left.

Nothing here keeps an event loop alive. A source that is in use is held by its users, and one that is idle by
the loop itself: by the timer that will close it on asyncio, by a variable of the run on trio. The table in
which it is found holds it weakly. So a loop that ends without `close_shared` takes its sources with it, and
these close their sockets, as any source does that is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from itertools import takewhile
from operator import attrgetter
from types import TracebackType
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import anyio
import sniffio
from anyio.lowlevel import RunVar

from common.concurrency import finish, run_together, start_task
from common.config.connect import resolve
from common.config.settings import Settings
from common.hosts.comparison import SettingsKey, settings_key
from common.model.async_only import AsyncContext
from common.model.errors import UsageError
from common.model.refs import JobRef
from common.model.tracebacks import without_frames
from common.options import SourceOptions, shows_keywords
from common.sources.base import BaseSource
from common.telemetry.events import logger

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle

    from common.auth.argument import AuthLike
else:
    AuthLike = Any  # names httpx, which must not be imported for hosts that read type hints

LINGER = 5.0
"""Seconds that a shared source without users stays open: tasks come one after another."""


@without_frames
@shows_keywords(SourceOptions, and_others=True)
def shared_source(
    target: str | JobRef | None = None,
    *,
    profile: str | None = None,
    auth: AuthLike | None = None,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> SharedSource:
    """Return a context manager for the one source of this system on the running event loop.

    The arguments are those of `common.connect`. ``async with shared_source(…) as source:`` gives the same
    source to all tasks of a loop that pass equal values, so their waits share requests, connections and one
    sign-in. The source is closed 5 seconds after its last user leaves (on trio, at the next use of any shared
    source), or by `close_shared`.

    Arguments, and the current profile and environment, are compared by value. Changed credentials make a new
    source; the old one stays open for its users. Raise `UsageError` as `connect` does, and for an argument
    that cannot be compared by value, such as an HTTP client or a function.
    """
    found = resolve(target, profile=profile, auth=auth, settings=settings, options=options)
    return SharedSource(found, settings_key(found))


async def close_shared() -> None:
    """Close the shared sources of the running event loop; their waits end with `SourceClosed`.

    If the caller is cancelled, the sources are closed first, which takes at most ``request_timeout`` seconds.
    """
    entries = list(_entries().values())
    for entry in entries:
        entry.retire()
    if entries:
        await finish(partial(run_together, [entry.close for entry in entries]))


class _Entry:
    """A source in the table of its event loop, and what keeps it while nobody uses it."""

    def __init__(self, key: SettingsKey, source: BaseSource) -> None:
        self.source = source
        self._key = key
        self._entries = _entries()
        self._entries[key] = self
        self._users = 0
        self._idle_since = math.inf
        self._timer: TimerHandle | None = None

    @property
    def expired(self) -> bool:
        """Whether nobody has used it for so long that it is to be closed."""
        return anyio.current_time() >= self._idle_since + LINGER

    def acquire(self) -> None:
        """Count one more user."""
        self._users += 1
        self._idle_since = math.inf
        self._forget_idle()

    def release(self) -> None:
        """Count one user less; without any, the event loop keeps it until it expires."""
        self._users -= 1
        if self._users or self._entries.get(self._key) is not self:
            return
        self._idle_since = anyio.current_time()
        if sniffio.current_async_library() == "trio":
            from common.hosts.trio_idle import idle_entries

            idle_entries()[self] = None
        else:
            import asyncio

            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(LINGER, self._expire, loop)

    def _forget_idle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elif sniffio.current_async_library() == "trio":
            from common.hosts.trio_idle import idle_entries

            idle_entries().pop(self, None)

    def retire(self) -> None:
        """Take it out of the table: who asks from now on gets another source."""
        if self._entries.get(self._key) is self:
            del self._entries[self._key]
        self._forget_idle()

    def _expire(self, loop: AbstractEventLoop) -> None:
        # Called by the loop outside of any task, where anyio does not know that there is a loop.
        self.retire()
        _ = start_task(loop, self.close)

    async def close(self) -> None:
        """Close the source. A failure is logged, for nobody waits for it."""
        try:
            await self.source.aclose()
        except Exception:
            logger.exception("closing the shared source %r failed", self.source)


_table: RunVar[WeakValueDictionary[SettingsKey, _Entry]] = RunVar("shared sources")
"""Of each event loop, by the loop itself, so that threads with loops of their own do not meet here."""


def _entries() -> WeakValueDictionary[SettingsKey, _Entry]:
    try:
        return _table.get()
    except LookupError:
        entries = WeakValueDictionary[SettingsKey, _Entry]()
        _table.set(entries)
        return entries


def _unusable(key: SettingsKey) -> list[_Entry]:
    """Return what is to be closed before a use: on trio, which has no timers, all that have expired.

    The other entries are not looked at: there may be thousands, and each use would look at all of them.
    """
    unusable: list[_Entry] = []
    if sniffio.current_async_library() == "trio":
        from common.hosts.trio_idle import idle_entries

        unusable += takewhile(attrgetter("expired"), idle_entries())
    own = _entries().get(key)
    if own is not None and own not in unusable and (own.source.is_closed or own.expired):
        unusable.append(own)
    return unusable


class SharedSource(AsyncContext):
    """One use of a shared source, made by `shared_source`; entered once, with ``async with``."""

    def __init__(self, settings: Settings, key: SettingsKey) -> None:
        self._settings: Settings | None = settings
        self._key = key
        self._entry: _Entry | None = None

    @without_frames
    async def __aenter__(self) -> BaseSource:
        settings, self._settings = self._settings, None
        if settings is None:
            raise UsageError("a shared source can be entered only once: call shared_source() for each use")
        if unusable := _unusable(self._key):
            for former in unusable:
                former.retire()
            await finish(partial(run_together, [former.close for former in unusable]))
        entry = _entries().get(self._key)
        if entry is None:
            entry = _Entry(self._key, settings.build())
        entry.acquire()
        self._entry = entry
        return entry.source

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        entry, self._entry = self._entry, None
        if entry is not None:
            entry.release()

    def __repr__(self) -> str:
        return "<shared_source(…)>"
