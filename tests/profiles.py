"""A user's environment and profiles for a test: nothing of the real ones is seen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from common.sources.base import BaseSource

HIDDEN = ("JOBSOURCE_", "ONTAP_", "CF_", "TOY_")
PASSWORD = "Pa55w0rd-of-mine"
TOKEN = "t0ken-of-mine"


class Desk:
    """One user's home, environment and profiles' file."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.file = folder / "profiles.toml"
        self._patch = monkeypatch
        for name in os.environ:
            if name.startswith(HIDDEN) and name != "JOBSOURCE_HTTP":
                monkeypatch.delenv(name)
        for name in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA"):
            monkeypatch.setenv(name, str(folder / "home"))

    def profiles(self, text: str) -> None:
        """Write the file, and say where it is."""
        self.file.write_text(text, encoding="utf-8")
        self.set(JOBSOURCE_CONFIG=str(self.file))

    def profile(self, table: str) -> None:
        """Write a file with one profile, ``prod``; its secrets are in ``SECRET``."""
        self.profiles(f"[profiles.prod]\n{table}\n")
        self.set(SECRET=PASSWORD)

    def set(self, **variables: str) -> None:
        """Set variables of the environment."""
        for name, value in variables.items():
            self._patch.setenv(name, value)

    def secret(self, name: str, text: str | bytes, mode: int = 0o600) -> Path:
        """Write a file that holds a secret."""
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path


def words(error: BaseException) -> str:
    """All that an exception and those behind it say of themselves."""
    said: list[str] = []
    found: BaseException | None = error
    while found is not None:
        said += [str(found), repr(found), repr(vars(found))]
        found = found.__cause__ or found.__context__
    return " ".join(said)


def auth_of(source: BaseSource) -> str:
    """How a source signs in."""
    return repr(auth_in(source))


def auth_in(source: BaseSource) -> Any:
    """What a source signs in with."""
    return vars(source)["_client"]._auth
