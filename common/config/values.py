"""One value of one setting: the layer that it was set in, and the kinds that it may be of."""

from __future__ import annotations

import json
import os
from collections import ChainMap
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from common.config.secrets import HOW, TokenFile, check_reference, find_secret, named_file
from common.model.errors import UsageError

_FLAGS = {"true": True, "false": False, "1": True, "0": False}


class Layer(IntEnum):
    """Where a value was set. The lowest layer that has a key wins."""

    KEYWORD = 0
    TARGET = 1
    """The scope of the target, such as BlueXP's account."""
    JOBSOURCE = 2
    """The variables ``JOBSOURCE_…``."""
    PROVIDER = 3
    """The variables that the system's users already have, such as ``ONTAP_USER``."""
    PROFILE = 4
    SETTINGS = 5
    """The mapping ``settings=``, beside which no variable and no profile is read."""


@attrs.frozen(eq=False, repr=False)
class SettingValue:
    """A value as it was set. Errors name it by ``label``; the value is in no error and in no repr.

    Each method returns the value as one kind, and raises `UsageError` where it is of another.
    """

    label: str
    value: Any
    layer: Layer = Layer.KEYWORD
    folder: Path | None = None
    """Only in a profile: the folder of the profiles' file, where relative paths begin."""

    @property
    def is_variable(self) -> bool:
        """Whether it is from the environment, where every value is text."""
        return self.layer in (Layer.JOBSOURCE, Layer.PROVIDER)

    @property
    def is_text(self) -> bool:
        """Whether it is text that is read by the kind of its key: a variable, or a text in ``settings=``."""
        return self.is_variable or (self.layer is Layer.SETTINGS and isinstance(self.value, str))

    def read(self, kind: str) -> Any:
        """Return the value as the kind that is named: ``read("flag")`` is `flag`."""
        return getattr(self, kind)()

    def text(self) -> str:
        """Return text that is no secret; a profile may also say where to find it."""
        if self.folder is not None and isinstance(self.value, dict):
            return find_secret(self.label, self.value, self.folder)
        if not isinstance(self.value, str) or not self.value:
            raise UsageError(f"{self.label} must be text that is not empty")
        return self.value

    def secret(self) -> str:
        """Return a secret, looked up now. Raise `UsageError` for one in plain text in a profile."""
        if self.folder is None:
            return self.text()
        if isinstance(self.value, str):
            raise UsageError(f"{self.label} is in the file as plain text: write {HOW}")
        if not isinstance(self.value, dict):
            raise UsageError(f"{self.label} must be one of {HOW}")
        return find_secret(self.label, self.value, self.folder)

    def token(self) -> str | TokenFile:
        """Return a secret; for one in a file, a `TokenFile`, which reads it again when it is replaced."""
        if self.folder is None or not isinstance(self.value, dict) or "file" not in self.value:
            return self.secret()
        check_reference(self.label, self.value)
        return TokenFile(self.label, self.folder / named_file(self.value["file"]))

    def path(self) -> str:
        """Return a file's path; a relative one in a profile begins at the profile's folder."""
        if isinstance(self.value, os.PathLike) and self.folder is None:
            path: str = os.fspath(self.value)
            return path
        if not isinstance(self.value, str) or not self.value or "\0" in self.value:
            raise UsageError(f"{self.label} must be the path of a file")
        if self.folder is None and not self.is_variable:
            return self.value
        named = named_file(self.value)
        return str(self.folder / named if self.folder else named)

    def flag(self) -> bool:
        """Return True or False; text says true, false, 1 or 0."""
        value = _FLAGS.get(self.value.lower()) if self.is_text else self.value
        if not isinstance(value, bool):
            raise UsageError(f"{self.label} must be true or false")
        return value

    def verify(self) -> bool | str:
        """Return True, False, or the path of a CA file."""
        if isinstance(self.value, bool):
            return self.value
        if self.is_text and self.value.lower() in ("true", "false"):
            return self.flag()
        if not isinstance(self.value, str | os.PathLike) or not self.value:
            raise UsageError(f"{self.label} must be true, false, or the path of a CA file")
        return self.path()

    def number(self) -> float:
        """Return a number, whole or not; its range is checked by the source."""
        value = self.value
        if self.is_text:
            try:
                value = float(value)
            except ValueError:
                value = None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"{self.label} must be a number")
        return value

    def integer(self) -> int:
        """Return a whole number; its range is checked by the source."""
        value = self.value
        if self.is_text and value.isdecimal() and len(value) < 10:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise UsageError(f"{self.label} must be a whole number")
        return value

    def proxy(self) -> str:
        """Return a proxy's URL, which is a secret where it contains a password."""
        if self.folder is not None and isinstance(self.value, str) and "@" in self.value:
            raise UsageError(f"{self.label} holds a user name or password as plain text: write {HOW}")
        return self.text()

    def texts(self) -> list[str]:
        """Return a list of texts; in one text they are separated by commas."""
        value = [part.strip() for part in self.value.split(",")] if self.is_text else self.value
        if not isinstance(value, list) or not all(isinstance(part, str) and part for part in value):
            raise UsageError(f"{self.label} must be a list of texts")
        return value

    def table(self) -> dict[str, Any]:
        """Return a table; text is the JSON of one."""
        value = _read_json(self.value) if self.is_text else self.value
        if not isinstance(value, dict):
            raise UsageError(f"{self.label} must be a table{', as a JSON object' if self.is_text else ''}")
        return value

    def dereferenced(self) -> Any:
        """Return the value as it was set, or the secret that it refers to if that can be read."""
        if self.folder is None or not isinstance(self.value, dict):
            return self.value
        try:
            return find_secret(self.label, self.value, self.folder)
        except UsageError:
            return self.value  # a table that is no reference, or a secret that cannot be read

    def check(self, kind: str) -> None:
        """Raise `UsageError` where the value is not of this kind. No secret is looked up."""
        refers = self.folder is not None and isinstance(self.value, dict)
        if refers and kind in ("text", "secret", "token", "proxy"):
            check_reference(self.label, self.value)
        else:
            self.read(kind)

    def __repr__(self) -> str:
        return f"<SettingValue {self.label}>"


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None  # the exception holds the text


SettingValues: TypeAlias = ChainMap[str, SettingValue]
"""The values of all layers by key.

The first map holds the keywords, the last one the profile's values, or those of ``settings=``.
"""
