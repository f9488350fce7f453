"""Look up a secret: in a variable of the environment, a file of its own, or the system's keyring."""

from __future__ import annotations

import importlib
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from common.auth.credentials import read_bearer_token
from common.model.distribution import install_hint
from common.model.errors import UsageError
from common.response.redaction import Unpicklable

HOW = '{ env = "NAME" }, { file = "/run/secrets/name" } or { keyring = "service", user = "name" }'
"""How a profile names a secret."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
LARGEST = 65_536
"""Bytes: more than any password, token or key has."""


def check_reference(label: str, reference: Mapping[str, Any]) -> None:
    """Raise `UsageError` where a table is not a reference to a secret. Errors name it by ``label``."""
    name = reference.get("env", "NAME")
    if not (isinstance(name, str) and _VARIABLE.fullmatch(name)):
        # Not quoted: the secret itself may have been written there.
        raise UsageError(f"{label}: env must be the name of a variable, letters, digits and underscores")
    shaped = set(reference) in ({"env"}, {"file"}, {"keyring", "user"})
    if not shaped or any(
        not isinstance(part, str) or not part or "\0" in part for part in reference.values()
    ):
        raise UsageError(f"{label} must be one of {HOW}, with text for each")


def find_secret(label: str, reference: Mapping[str, Any], folder: Path) -> str:
    """Return the secret that a reference names; a file's path begins at ``folder``.

    Raise `UsageError`, which never quotes it, where it is missing or empty, or its file is accessible to
    other users.
    """
    check_reference(label, reference)
    if "env" in reference:
        name = reference["env"]
        secret, place = os.environ.get(name, ""), f"the variable {name}"
    elif "file" in reference:
        return read_secret(label, folder / named_file(reference["file"]))
    else:
        service, user = reference["keyring"], reference["user"]
        secret, place = (
            _from_keyring(label, service, user),
            f"the keyring's password for {user!r} of {service!r}",
        )
    if not secret:
        raise UsageError(f"{label}: {place} is empty or not set")
    return secret


def read_secret(label: str, path: Path) -> str:
    """Return a file's text, without the newline that editors and ``echo`` put at its end.

    Raise `UsageError`, which never quotes it, where the file is missing, empty, or accessible to other users.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{label}: {path} is not a file")
        _refuse_accessible(label, path, status)
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{label}: {path} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise UsageError(f"{label}: {path} is larger than {LARGEST} bytes, too large for a secret")
    text: str | None = None
    with suppress(UnicodeDecodeError):  # raised below: that exception, as a context, would carry the content
        text = content.decode("utf-8-sig")  # Windows' editors and PowerShell write a byte order mark
    if text is None:
        raise UsageError(f"{label}: {path} is not text in UTF-8")
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise UsageError(f"{label}: {path} is empty")
    return secret


def _refuse_accessible(label: str, path: Path, status: os.stat_result) -> None:
    """Refuse a file of this user that is accessible to other users, as ssh refuses a private key.

    "If a key owned by the user is accessed, then we check the permissions of the file. If the key owned by a
    different user, then we don't care" (OpenSSH, authfile.c). Nor are files of root refused: what is mounted
    into a container belongs to root and is readable by all, and most often root runs its process.
    """
    if os.name != "posix" or os.getuid() in (0, -1) or status.st_uid != os.getuid():
        return
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"{label}: {path} is accessible to other users: run chmod 600 {path}")


def _from_keyring(label: str, service: str, user: str) -> str:
    try:
        keyring: Any = importlib.import_module("keyring")
    except ImportError:
        raise UsageError(
            f"{label} is in the keyring, which needs another package: {install_hint('keyring')}"
        ) from None
    try:
        password = keyring.get_password(service, user)
    except Exception as error:  # backends raise any type, and may quote what they read
        problem = type(error).__name__
    else:
        if password is None:
            raise UsageError(
                f"{label}: the keyring has no password for {user!r} of {service!r}: run "
                f"keyring set {service} {user}"
            )
        return str(password)
    raise UsageError(f"{label}: the keyring cannot be read: {problem}")


class TokenFile(Unpicklable):
    """For `Bearer`: returns the token in a file, which is read again whenever the file has been replaced.

    It is read once at the start. Raise `UsageError` where it is then missing, empty, or accessible to other
    users. A later file that cannot be read leaves the previous token in use: the new one may be on its way.
    """

    __slots__ = ("_label", "_path", "_stamp", "_token")

    def __init__(self, label: str, path: Path) -> None:
        self._label = label
        self._path = path
        self._stamp: object = None
        self._token = ""
        self._read()

    async def __call__(self) -> str:
        """Return the current token."""
        with suppress(OSError, UsageError):
            self._read()
        return self._token

    def _read(self) -> None:
        stamp = self._now()
        if stamp is None or stamp != self._stamp:
            self._token = read_bearer_token(read_secret(self._label, self._path))
            self._stamp = stamp

    def _now(self) -> object:
        # Inode and size too: a link to a folder that is replaced as a whole leads to another file.
        try:
            status = self._path.stat()
        except OSError:
            return None  # `read_secret` raises the error that says why
        return status.st_ino, status.st_mtime_ns, status.st_size

    def __repr__(self) -> str:
        return f"<TokenFile {str(self._path)!r}>"


def named_file(text: str) -> Path:
    """Return the path that a text names: ``~`` is the home folder, kept as it is where that is unknown."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path
