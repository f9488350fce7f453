"""The profiles' file: where it lies, and which system each of its tables is about."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from common.config.secrets import named_file
from common.model.endpoints import origin
from common.model.errors import UsageError
from common.options import read_aliases

CONFIG = "JOBSOURCE_CONFIG"
"""The variable that names the file."""
OWN_KEYS: tuple[str, ...] = ("aliases", "endpoint", "provider")
"""What every profile may say of the system that it is about."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PROVIDER = re.compile(r"[a-z][a-z0-9]*")
_PLACE = re.compile(r"\(at (line \d+, column \d+|end of document)\)$")
_NO_FILE = f'set {CONFIG} to its path, or pip install "jobsource[profiles]" for the platform\'s own folder'


@attrs.frozen(repr=False)
class Profile:
    """One table. ``endpoint`` is "" where it states none; ``table`` is unchecked but for its own keys."""

    name: str
    provider: str
    endpoint: str
    aliases: frozenset[str]
    table: Mapping[str, Any]
    folder: Path

    def __repr__(self) -> str:
        return f"<Profile {self.name}>"


@attrs.frozen(repr=False)
class Profiles:
    """All profiles of a file, by name; ``file`` is None where nothing says where it would be."""

    file: Path | None
    by_name: Mapping[str, Profile] = attrs.field(factory=dict[str, Profile])

    def named(self, name: object, said: str = "") -> Profile:
        """A profile by name. Raises `UsageError` for one that is not there; ``said`` begins its sentence."""
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UsageError(
                f"{said or 'profile= '}is the name of a profile: letters, digits, dots, dashes, underscores"
            )
        if self.file is None:
            raise UsageError(f"{said}profile {name!r}: nothing says where the profiles' file is: {_NO_FILE}")
        if name not in self.by_name:
            there = ", ".join(sorted(self.by_name)) or "none"
            raise UsageError(f"{said}there is no profile {name!r} in {self.file}; there are: {there}")
        return self.by_name[name]


def read_profiles() -> Profiles:
    """The profiles of this user. Raises `UsageError` for a file that can't be read, without quoting it."""
    file = _file()
    if file is None:
        return Profiles(None)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        if os.environ.get(CONFIG):
            raise UsageError(f"{CONFIG} names {file}, which is not there") from None
        return Profiles(file)
    except OSError as error:
        raise UsageError(f"the profiles in {file} cannot be read: {error.strerror}") from None
    data = _parse(file, content)
    unknown = sorted(set(data) - {"profiles"})
    if unknown:
        raise UsageError(f"{file}: unknown table or key {unknown[0]!r}: there are only [profiles.<name>]")
    tables = data.get("profiles", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise UsageError(f"{file}: a profile is a table, [profiles.<name>]")
    return Profiles(file, {name: _profile(name, table, file) for name, table in tables.items()})


def _file() -> Path | None:
    stated = os.environ.get(CONFIG)
    if stated:
        return named_file(stated).absolute()
    try:
        platformdirs: Any = importlib.import_module("platformdirs")
    except ImportError:
        return None
    return Path(platformdirs.user_config_path("jobsource"), "profiles.toml")


def _parse(file: Path, content: bytes) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        said = "it is no text in UTF-8"
    except RecursionError:
        said = "it is nested too deeply"
    except ValueError as error:  # of TOML, or of a number with thousands of digits
        # The place alone: what is there may be a secret.
        place = _PLACE.search(str(error))
        said = f"see {place[1]}" if place else "a value makes no sense"
    raise UsageError(f"{file} is no TOML: {said}")


def _profile(name: str, table: dict[str, Any], file: Path) -> Profile:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{file}: a profile's name is letters, digits, dots, dashes and underscores: what holds a "
            "source's URL is its endpoint"
        )
    label = f"profile {name!r}"
    provider, endpoint = table.get("provider", ""), table.get("endpoint", "")
    if not isinstance(provider, str) or (provider and not _PROVIDER.fullmatch(provider)):
        raise UsageError(f"{label}: provider must be a provider's name, such as 'ontap'")
    aliases = table.get("aliases", [])
    try:
        named, endpoint = read_endpoint(endpoint, provider) if endpoint != "" else ("", "")
        aliases = read_aliases(aliases if isinstance(aliases, list) else "")
    except UsageError as error:
        raise UsageError(f"{label}: {error}") from None
    if not (named or provider):
        raise UsageError(f'{label}: nothing says whose system it is: add provider = "ontap", or so')
    return Profile(name, named or provider, endpoint, aliases, table, file.parent)


def read_endpoint(text: object, provider: str) -> tuple[str, str]:
    """Whose endpoint a text states ("" for a bare origin), and the origin itself.

    ``provider`` is whose it is said to be beside it, or "". Raises `UsageError`.
    """
    if not isinstance(text, str):
        raise UsageError("the endpoint must be text, such as 'https://cluster1.example.com'")
    if "://" not in text or text.lower().startswith(("https://", "http://")):
        return provider, origin(text)
    # A provider that is not installed here is no error before somebody wants it.
    scheme, _, host = text.partition("://")
    name, _, plain = scheme.partition("+")
    if not _PROVIDER.fullmatch(name) or plain not in ("", "http"):
        raise UsageError("the endpoint must begin with https://, http:// or a provider's name and ://")
    if provider not in ("", name):
        raise UsageError(f"the endpoint is one of {name!r}, beside provider = {provider!r}")
    return name, origin(f"{plain or 'https'}://{host}")
