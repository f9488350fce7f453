"""Compare two calls by the values of their settings, none of which can be read from the key."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Hashable, Iterable, Mapping, Set
from types import MethodType
from typing import Any

import attrs

from common.auth.argument import read_auth
from common.auth.credentials import Basic, Bearer
from common.config.settings import Settings
from common.model.errors import UsageError

_SALT = os.urandom(32)
"""Of this process: without it, a key says nothing of a password, not even to who guesses it."""


@attrs.frozen(repr=False)
class SettingsKey:
    """Equal for settings of equal values.

    ``digest`` is of plain values, secrets among them. ``objects`` are compared themselves, such as a policy.
    """

    digest: bytes
    objects: tuple[Hashable, ...]


def settings_key(settings: Settings) -> SettingsKey:
    """Return the key of some settings. Raise `UsageError`, with its name, for one that has no value.

    Such are objects that equal themselves alone: clients, transports, functions.
    """
    objects: list[Hashable] = []
    digest = hashlib.blake2b(key=_SALT, digest_size=32)
    for label, value in settings.labelled_values():
        compared = read_auth(value) if label == "auth=" else value
        digest.update(_joined(label.encode(errors="surrogatepass"), [_encoded(label, compared, objects)]))
    return SettingsKey(digest.digest(), tuple(objects))


def _encoded(label: str, value: Any, objects: list[Hashable]) -> bytes:
    """Return a value as bytes that no other value has; what only compares itself goes to ``objects``."""
    if value is None or isinstance(value, bool | int | float):
        return _joined(b"plain", [repr(value).encode()])
    if isinstance(value, str | os.PathLike):
        return _joined(b"text", [os.fspath(value).encode(errors="surrogatepass")])
    if isinstance(value, bytes):
        return _joined(b"bytes", [value])
    if isinstance(value, Mapping):
        items = [_encoded(label, pair, objects) for pair in value.items()]
        return _joined(b"mapping", sorted(items))
    if isinstance(value, Set):
        return _joined(b"set", sorted(_encoded(label, each, objects) for each in value))
    if isinstance(value, list | tuple):
        return _joined(b"sequence", [_encoded(label, each, objects) for each in value])
    if type(value) in (Basic, Bearer) and (credentials := value.credentials()) is not None:
        return _joined(type(value).__name__.encode(), [_encoded(label, credentials, objects)])
    if not _has_value(value):
        raise UsageError(
            f"{label} cannot be compared by value, because a {type(value).__name__} equals only itself: pass "
            "plain values (for auth=, a pair or a token, or keys such as client_id=), or create a source of "
            "your own with connect()"
        )
    objects.append(value)
    return _joined(b"object", [str(len(objects)).encode()])


def _has_value(value: object) -> bool:
    kind = type(value)
    compares = kind.__eq__ is not object.__eq__ and kind.__hash__ not in (None, object.__hash__)
    return compares and not isinstance(value, MethodType | Basic | Bearer)


def _joined(kind: bytes, parts: Iterable[bytes]) -> bytes:
    return b"".join(b"%d:%b" % (len(part), part) for part in (kind, *parts))
