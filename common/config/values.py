"""One value that somebody set, in a profile, a variable or a keyword, and the kinds that it may be of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import attrs

from common.config.secrets import HOW, TokenFile, check_reference, find_secret, named_file
from common.model.errors import UsageError

_FLAGS = {"true": True, "false": False, "1": True, "0": False}


@attrs.frozen(repr=False)
class Entry:
    """A value as it was set. ``label`` is how errors name it; its value is in none, nor in its repr."""

    label: str
    value: Any
    folder: Path | None = None
    """Of the profiles' file, where it is from one: what its relative paths are relative to."""
    variable: bool = False
    """Whether it is of the environment, where all is text."""

    def text(self) -> str:
        """Text that is no secret; a profile may also say where it is to be found."""
        if self.folder is not None and isinstance(self.value, dict):
            return find_secret(self.label, self.value, self.folder)
        if not isinstance(self.value, str) or not self.value:
            raise UsageError(f"{self.label} must be text that is not empty")
        return self.value

    def secret(self) -> str:
        """A secret, looked up now. Raises `UsageError` for one that stands in a profile itself."""
        if self.folder is None:
            return self.text()
        if isinstance(self.value, str):
            raise UsageError(f"{self.label} stands in the file as plain text: write {HOW}")
        if not isinstance(self.value, dict):
            raise UsageError(f"{self.label} must be one of {HOW}")
        return find_secret(self.label, self.value, self.folder)

    def token(self) -> str | TokenFile:
        """A secret that somebody may keep fresh: of a file, what reads it again."""
        if self.folder is None or not isinstance(self.value, dict) or "file" not in self.value:
            return self.secret()
        check_reference(self.label, self.value)
        return TokenFile(self.label, self.folder / named_file(self.value["file"]))

    def path(self) -> str:
        """A file's path; in a profile, a relative one begins at the profile's folder."""
        if isinstance(self.value, os.PathLike) and self.folder is None:
            path: str = os.fspath(self.value)
            return path
        if not isinstance(self.value, str) or not self.value or "\0" in self.value:
            raise UsageError(f"{self.label} must be the path of a file")
        if self.folder is None and not self.variable:
            return self.value
        named = named_file(self.value)
        return str(self.folder / named if self.folder else named)

    def flag(self) -> bool:
        """True or false."""
        value = _FLAGS.get(self.value.lower()) if self.variable else self.value
        if not isinstance(value, bool):
            raise UsageError(f"{self.label} must be true or false")
        return value

    def verify(self) -> bool | str:
        """True, false, or the path of a CA file."""
        if isinstance(self.value, bool):
            return self.value
        if self.variable and self.value.lower() in ("true", "false"):
            return self.flag()
        if not isinstance(self.value, str | os.PathLike) or not self.value:
            raise UsageError(f"{self.label} must be true, false, or the path of a CA file")
        return self.path()

    def number(self) -> float:
        """A number, whole or not; what it may be is for the source to say."""
        value = self.value
        if self.variable:
            try:
                value = float(value)
            except ValueError:
                value = None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"{self.label} must be a number")
        return value

    def whole(self) -> int:
        """A whole number."""
        value = self.value
        if self.variable and value.isdecimal() and len(value) < 10:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise UsageError(f"{self.label} must be a whole number")
        return value

    def proxy(self) -> str:
        """A proxy's URL, which is a secret where it holds a password."""
        if self.folder is not None and isinstance(self.value, str) and "@" in self.value:
            raise UsageError(f"{self.label} holds a user name or password as plain text: write {HOW}")
        return self.text()

    def texts(self) -> list[str]:
        """A list of texts; in a variable, with commas between."""
        value = [part.strip() for part in self.value.split(",")] if self.variable else self.value
        if not isinstance(value, list) or not all(isinstance(part, str) and part for part in value):
            raise UsageError(f"{self.label} must be a list of texts")
        return value

    def table(self) -> dict[str, Any]:
        """A table of a profile."""
        if not isinstance(self.value, dict):
            raise UsageError(f"{self.label} must be a table")
        return self.value

    def check(self, kind: str) -> None:
        """Raise `UsageError` where the value is not of its kind. Secrets are not looked up."""
        if kind in ("text", "secret", "token", "proxy") and isinstance(self.value, dict):
            check_reference(self.label, self.value)
        else:
            getattr(self, kind)()

    def __repr__(self) -> str:
        return f"<Entry {self.label}>"
