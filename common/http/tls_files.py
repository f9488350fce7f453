"""A TLS context whose files are read again once they have changed on disk.

Short-lived certificates are replaced while a process runs: those of Korifi's users, of a Cloud Foundry app's
instances, of a service mesh. An OpenSSL context can load further authorities, but cannot remove any. So
`RenewedContext` wraps another context, which is made anew once the files have changed, and with which each
new connection is made. Open connections are not affected.

Files that cannot be loaded are ignored, and the last good context is used: a file may be half written, a
certificate replaced before its key, or either missing for a moment.
"""

from __future__ import annotations

import os
import ssl
import stat
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from common.model.errors import UsageError
from common.telemetry.events import logger

LOOK_INTERVAL = 1.0
"""Seconds between two checks of the files, at least."""


class RenewedContext(ssl.SSLContext):
    """A client's context, made by ``load`` from the files or folders of ``paths``. Safe to use in threads.

    ``load`` raises `UsageError` for what cannot be loaded; so does this, the first time.
    """

    def __new__(cls, load: Callable[[], ssl.SSLContext], paths: Sequence[Path]) -> RenewedContext:
        """Make a context that trusts nobody: connections are made with the wrapped one only."""
        del load, paths
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, load: Callable[[], ssl.SSLContext], paths: Sequence[Path]) -> None:
        self._load = load
        self._paths = tuple(paths)
        self._lock = threading.RLock()  # anyio's TLS streams call `wrap_bio` in a thread
        self._alpn: list[str] | None = None
        self._failed: list[object] | None = None
        self._failures = 0
        self._stamps = self._look()  # before loading, so that a change in between is seen
        self._context = load()

    def current(self) -> ssl.SSLContext:
        """Return the context for a new connection."""
        with self._lock:
            if monotonic() - self._looked_at >= LOOK_INTERVAL:
                self.renew()
            return self._context

    def renew(self) -> None:
        """Read the files again if they have changed."""
        with self._lock:
            stamps = self._look()
            if stamps == self._stamps:
                return
            try:
                context = self._load()
            except UsageError as error:
                self._failures = self._failures + 1 if stamps == self._failed else 1
                self._failed = stamps
                if self._failures == 2:  # it is not just being written
                    logger.warning(
                        "%s; the file changed on disk, and its previous content stays in use", error
                    )
                return
            if self._alpn is not None:
                context.set_alpn_protocols(self._alpn)
            self._context, self._stamps, self._failed = context, stamps, None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a session with the current context."""
        return self.current().wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def get_ca_certs(self, binary_form: bool = False) -> Any:
        """Return the authorities that are trusted now."""
        return self.current().get_ca_certs(binary_form)

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Set the protocols, as httpcore does before each connection."""
        with self._lock:
            self._alpn = list(alpn_protocols)
            self._context.set_alpn_protocols(self._alpn)

    def _look(self) -> list[object]:
        # Not by the clock of an event loop: a context belongs to the process.
        self._looked_at = monotonic()
        return [_stamp(path) for path in self._paths]


def _stamp(path: Path) -> object:
    """Return what changes with the content of a file, or of a folder's files; None where there is none."""
    try:
        status = path.stat()
        if not stat.S_ISDIR(status.st_mode):
            return _file_stamp(status)
        # A `Path` for each of hundreds of files would take most of the time.
        with os.scandir(path) as entries:
            return _file_stamp(status), {entry.name: _entry_stamp(entry) for entry in entries}
    except (OSError, ValueError):  # the latter for what can be no path
        return None


def _entry_stamp(entry: os.DirEntry[str]) -> object:
    try:
        return _file_stamp(entry.stat())
    except OSError:
        return None  # a link to nowhere


def _file_stamp(status: os.stat_result) -> object:
    return status.st_mtime_ns, status.st_size, status.st_ino
