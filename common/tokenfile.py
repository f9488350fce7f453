"""A token in a file that somebody else keeps fresh, as Kubernetes and agents of secret stores do."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from common.auth import bare_token
from common.errors import UsageError
from common.redaction import Unpicklable
from common.secretrefs import read_secret


class TokenFile(Unpicklable):
    """For `Bearer`: gives the token in the file, read again whenever another one has taken its place.

    The first one is read at once. Raises `UsageError` where that is missing, empty, or lies open to others.
    A later one that cannot be read leaves the token before in use: it may be on its way.
    """

    __slots__ = ("_label", "_path", "_stamp", "_token")

    def __init__(self, label: str, path: Path) -> None:
        self._label = label
        self._path = path
        self._stamp: object = None
        self._token = ""
        self._read()

    async def __call__(self) -> str:
        """The token of now."""
        with suppress(OSError, UsageError):
            self._read()
        return self._token

    def _read(self) -> None:
        stamp = self._now()
        if stamp is None or stamp != self._stamp:
            self._token = bare_token(read_secret(self._label, self._path))
            self._stamp = stamp

    def _now(self) -> object:
        # A link to a folder that is replaced as a whole leads to another file, of another number.
        try:
            status = self._path.stat()
        except OSError:
            return None  # `read_secret` says why
        return status.st_ino, status.st_mtime_ns, status.st_size

    def __repr__(self) -> str:
        return f"<TokenFile {str(self._path)!r}>"
