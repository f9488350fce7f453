"""Where a secret comes from: a variable of the environment, a file of its own, or the system's keyring."""

from __future__ import annotations

import importlib
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from common.auth.credentials import bare_token
from common.model.errors import UsageError
from common.response.redaction import Unpicklable

HOW = '{ env = "NAME" }, { file = "/run/secrets/name" } or { keyring = "service", user = "name" }'
"""How a profile names a secret."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
LARGEST = 65_536
"""Bytes: no password, token or key is as long."""


def check_reference(label: str, reference: Mapping[str, Any]) -> None:
    """Raise `UsageError` where a table is no reference to a secret. ``label`` is how errors name it."""
    name = reference.get("env", "NAME")
    if not (isinstance(name, str) and _VARIABLE.fullmatch(name)):
        # Not quoted: the secret itself may have been written there.
        raise UsageError(f"{label}: env must be the name of a variable, letters, digits and underscores")
    shaped = set(reference) in ({"env"}, {"file"}, {"keyring", "user"})
    if not shaped or any(
        not isinstance(part, str) or not part or "\0" in part for part in reference.values()
    ):
        raise UsageError(f"{label} must be one of {HOW}, with text behind each word")


def find_secret(label: str, reference: Mapping[str, Any], folder: Path) -> str:
    """The secret behind a reference, a file's path beginning at ``folder``. Errors quote nothing of it.

    Raises `UsageError` where it is missing, empty, or lies open to others.
    """
    check_reference(label, reference)
    if "env" in reference:
        name = reference["env"]
        found, where = os.environ.get(name, ""), f"the variable {name}"
    elif "file" in reference:
        return read_secret(label, folder / named_file(reference["file"]))
    else:
        service, user = reference["keyring"], reference["user"]
        found, where = _from_keyring(label, service, user), f"the keyring, for {user!r} of {service!r},"
    if not found:
        raise UsageError(f"{label} is empty: {where} holds nothing")
    return found


def read_secret(label: str, path: Path) -> str:
    """A file's text, without the newline that editors and ``echo`` put at its end.

    Raises `UsageError` where it is missing, empty, or lies open to others. That quotes nothing of it.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{label}: {path} is no file")
        _refuse_open(label, path, status)
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{label}: {path} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise UsageError(f"{label}: {path} is larger than {LARGEST} bytes, which no secret is")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = ""  # raised below: as a context, the codec's exception would carry the content along
    if content and not text:
        raise UsageError(f"{label}: {path} is not text in UTF-8")
    found = text.removesuffix("\n").removesuffix("\r")
    if not found:
        raise UsageError(f"{label} is empty: {path} holds nothing")
    return found


def _refuse_open(label: str, path: Path, status: os.stat_result) -> None:
    """Refuse a file of this user's own that others can get at, as ssh refuses a private key.

    "If a key owned by the user is accessed, then we check the permissions of the file. If the key owned by a
    different user, then we don't care" (OpenSSH, authfile.c). Nor is root's own looked at: what is mounted
    into a container is root's and readable by all, and so is most often its process.
    """
    if os.name != "posix" or os.getuid() in (0, -1) or status.st_uid != os.getuid():
        return
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"{label}: others than you can get at {path}: chmod 600 it")


def _from_keyring(label: str, service: str, user: str) -> str:
    try:
        keyring: Any = importlib.import_module("keyring")
    except ImportError:
        raise UsageError(
            f'{label} lies in the keyring, which needs another package: pip install "jobsource[keyring]"'
        ) from None
    try:
        found = keyring.get_password(service, user)
    except Exception as error:  # backends raise what they like, and may quote what they read
        said = type(error).__name__
    else:
        if found is None:
            raise UsageError(
                f"{label}: the keyring has nothing for {user!r} of {service!r}: keyring set {service} {user}"
            )
        return str(found)
    raise UsageError(f"{label}: the keyring cannot be asked: {said}")


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


def named_file(text: str) -> Path:
    """The path that a text names: ``~`` is the home folder. Of a user who is not there it stays."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path
