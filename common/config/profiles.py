"""Read the profiles' file: where it is, and which system each of its tables is for."""

from __future__ import annotations

import functools
import importlib
import os
import re
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import attrs

from common.config.secrets import named_file
from common.model.distribution import install_hint
from common.model.endpoints import endpoint_url
from common.model.errors import UsageError
from common.options import read_aliases

CONFIG = "JOBSOURCE_CONFIG"
"""The variable that names the file."""
OWN_KEYS: tuple[str, ...] = ("aliases", "endpoint", "provider")
"""What every profile may state about the system that it is for."""

MAX_NAMED = 20
"""At most so many profiles are named in an error."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PROVIDER = re.compile(r"[a-z][a-z0-9]*")
_PLACE = re.compile(r"\(at (line \d+, column \d+|end of document)\)$")
_NO_FILE = f"set {CONFIG} to its path, or, for the platform's own folder, {install_hint('profiles')}"


@attrs.frozen(eq=False, repr=False)
class Profile:
    """One table. ``endpoint`` is "" where it states none; in ``table`` only `OWN_KEYS` are checked."""

    name: str
    provider: str
    endpoint: str
    aliases: frozenset[str]
    table: Mapping[str, Any]
    folder: Path

    def __repr__(self) -> str:
        return f"<Profile {self.name}>"


@attrs.frozen(eq=False, repr=False)
class Profiles:
    """All profiles of a file, by name; ``file`` is None where its place is unknown."""

    file: Path | None
    by_name: Mapping[str, Profile] = attrs.field(factory=dict[str, Profile])
    _by_endpoint: dict[str, list[Profile]] = attrs.field(factory=dict[str, list[Profile]], init=False)

    def __attrs_post_init__(self) -> None:
        for profile in self.by_name.values():
            for endpoint in {profile.endpoint, *(profile.aliases if profile.endpoint else ())}:
                self._by_endpoint.setdefault(endpoint, []).append(profile)

    def of(self, endpoint: str) -> Iterable[Profile]:
        """Return the profiles that state an endpoint, also as an alias, and those that state none; "" is any.

        There may be one for each of a thousand systems, so they are not all looked at for each of them.
        """
        if not endpoint:
            return self.by_name.values()
        return chain(self._by_endpoint.get(endpoint, ()), self._by_endpoint.get("", ()))

    @property
    def names(self) -> str:
        """The names of the profiles, for an error."""
        names = sorted(self.by_name)
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        return f"{', '.join(names[:MAX_NAMED]) or 'none'}{more}"

    def named(self, name: object, prefix: str = "") -> Profile:
        """Return a profile by name. Raise `UsageError`, beginning with ``prefix``, where there is none."""
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UsageError(
                f"{prefix or 'profile= '}must be the name of a profile: letters, digits, dots, dashes, "
                "underscores"
            )
        if self.file is None:
            raise UsageError(f"{prefix}profile {name!r}: there is no profiles file: {_NO_FILE}")
        if name not in self.by_name:
            raise UsageError(f"{prefix}there is no profile {name!r} in {self.file}; there are: {self.names}")
        return self.by_name[name]


def read_profiles() -> Profiles:
    """Return the profiles of this user. Raise `UsageError`, which quotes nothing, for an unreadable file."""
    file = _file()
    if file is None:
        return Profiles(None)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        if os.environ.get(CONFIG):
            raise UsageError(f"{CONFIG} names {file}, which does not exist") from None
        return Profiles(file)
    except OSError as error:
        raise UsageError(f"the profiles file {file} cannot be read: {error.strerror}") from None
    return _read(file, content)


@functools.lru_cache(maxsize=1)
def _read(file: Path, content: bytes) -> Profiles:
    """Return the profiles of a file. The same bytes are read once, for a fleet connects to many systems."""
    data = _parse(file, content)
    unknown = sorted(set(data) - {"profiles"})
    if unknown:
        raise UsageError(
            f"{file}: unknown table or key {unknown[0]!r}: the file has only tables [profiles.<name>]"
        )
    tables = data.get("profiles", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise UsageError(f"{file}: each profile must be a table, [profiles.<name>]")
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
        problem = "it is not text in UTF-8"
    except RecursionError:
        problem = "it is nested too deeply"
    except ValueError as error:  # of TOML, or of a number with thousands of digits
        # Only the position: the text there may be a secret.
        place = _PLACE.search(str(error))
        problem = f"see {place[1]}" if place else "a value is invalid"
    raise UsageError(f"{file} is not valid TOML: {problem}")


def _profile(name: str, table: dict[str, Any], file: Path) -> Profile:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{file}: a profile's name must be letters, digits, dots, dashes and underscores; a source's URL "
            "is written as its endpoint"
        )
    label = f"profile {name!r}"
    provider, endpoint = table.get("provider", ""), table.get("endpoint", "")
    if not isinstance(provider, str) or (provider and not _PROVIDER.fullmatch(provider)):
        raise UsageError(f"{label}: provider must be the name of one, such as 'ontap'")
    aliases: frozenset[str] = frozenset()
    try:
        named, endpoint = read_endpoint(endpoint, provider) if endpoint != "" else ("", "")
        if "aliases" in table:
            aliases = read_aliases(table["aliases"] if isinstance(table["aliases"], list) else "")
    except UsageError as error:
        raise UsageError(f"{label}: {error}") from None
    if not (named or provider):
        raise UsageError(f'{label}: the provider is missing: add provider = "ontap", for example')
    return Profile(name, named or provider, endpoint, aliases, table, file.parent)


def read_endpoint(text: object, provider: str) -> tuple[str, str]:
    """Return the provider of an endpoint ("" where neither argument names it), and the endpoint itself.

    ``text`` is an endpoint, or a source's URL, which names the provider; ``provider`` is what was set for it
    elsewhere, or "". Raise `UsageError` where ``text`` is neither, or the two name different providers.
    """
    if not isinstance(text, str):
        raise UsageError("the endpoint must be text, such as 'https://cluster1.example.com'")
    if "://" not in text or text.lower().startswith(("https://", "http://")):
        return provider, endpoint_url(text)
    # A provider that is not installed is an error only once its profile is used.
    scheme, _, host = text.partition("://")
    name, _, plain = scheme.partition("+")
    if not _PROVIDER.fullmatch(name) or plain not in ("", "http"):
        raise UsageError("the endpoint must begin with https://, http:// or a provider's name and ://")
    if provider not in ("", name):
        raise UsageError(f"the endpoint is for {name!r}, but the provider is {provider!r}")
    return name, endpoint_url(f"{plain or 'https'}://{host}")
