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
BACKUP_AND_DEV = """
[profiles.backup]
provider = "bluexp"
account = "account-x1"
agent = "a1clients"
token = { env = "LAB_TOKEN" }

[profiles.dev]
endpoint = "cf+http://127.0.0.1:8080"
token = { env = "LAB_TOKEN" }
"""
"""Two profiles, of BlueXP and of Cloud Foundry, with their token in the variable ``LAB_TOKEN``."""


class UserEnv:
    """The environment, home folder and profiles' file of one user, all empty at first."""

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
        """Write the profiles' file, and set ``JOBSOURCE_CONFIG`` to it."""
        self.file.write_text(text, encoding="utf-8")
        self.set(JOBSOURCE_CONFIG=str(self.file))

    def profile(self, table: str) -> None:
        """Write a file with one profile, ``prod``; the variable ``SECRET`` holds its secret."""
        self.profiles(f"[profiles.prod]\n{table}\n")
        self.set(SECRET=PASSWORD)

    def set(self, **variables: str) -> None:
        """Set variables of the environment."""
        for name, value in variables.items():
            self._patch.setenv(name, value)

    def secret(self, name: str, text: str | bytes, mode: int = 0o600) -> Path:
        """Write a file with a secret, and return its path."""
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path


def words(error: BaseException) -> str:
    """Return the texts of an exception and of its causes, with their reprs and attributes."""
    texts: list[str] = []
    current: BaseException | None = error
    while current is not None:
        texts += [str(current), repr(current), repr(vars(current))]
        current = current.__cause__ or current.__context__
    return " ".join(texts)


def auth_of(source: BaseSource) -> str:
    """Return the repr of what a source signs in with."""
    return repr(auth_in(source))


def auth_in(source: BaseSource) -> Any:
    """Return what a source signs in with."""
    return vars(source)["_client"]._auth
