"""The settings from which `connect` builds a source: its endpoint, and each value by precedence."""

from __future__ import annotations

import functools
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from common.config.auth_methods import AuthMethod, join_words, select_auth_method
from common.config.environment import EnvironmentLayer
from common.config.profiles import OWN_KEYS, Profile
from common.config.source_options import KINDS, source_options
from common.config.targets import SystemAddress
from common.config.values import Layer, SettingValue, SettingValues
from common.model.errors import UsageError
from common.model.refs import JobRef
from common.options import SourceOptions
from common.polling.policy import PollPolicy
from common.providers import Provider
from common.sources.base import BaseSource

MAX_QUOTED = 40
"""How many characters of an unknown key are quoted at most: a longer one may be a misplaced value."""


@attrs.frozen(eq=False, repr=False, kw_only=True)
class Settings:
    """All that was set for one system. A provider's ``connect`` function gets it, and calls `read`.

    No secret is in its repr, and none is looked up before it is asked for.
    """

    auth: Any = None
    """What the caller passed as ``auth=``."""
    known_endpoint: str = ""
    """The endpoint, "" where it is not set."""
    provider: Provider
    target: SystemAddress | None = None
    profile: Profile | None = None
    variables: tuple[EnvironmentLayer, ...] = ()
    excluded: tuple[EnvironmentLayer, ...] = ()
    """Variables for another system, which must not be sent to this one."""
    keywords: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    mapping: Mapping[str, Any] | None = None
    """What the caller passed as ``settings=``, without what is empty; None without it."""

    @property
    def hermetic(self) -> bool:
        """Whether no profile, no variable and no other program's login may be read: with ``settings=``."""
        return self.mapping is not None

    @property
    def endpoint(self) -> str:
        """The origin to talk to. Raise `UsageError` where it is not set."""
        if self.known_endpoint:
            return self.known_endpoint
        if self.profile is not None:
            raise UsageError(
                f'profile {self.profile.name!r} has no endpoint: add endpoint = "https://host", so that its '
                "credentials go to no other system"
            )
        raise UsageError(
            f"the endpoint is missing: use '{self.provider.name}://host' with a host, or profile='name'"
        )

    def read(
        self,
        *,
        text: Iterable[str] = (),
        secret: Iterable[str] = (),
        token: Iterable[str] = (),
        path: Iterable[str] = (),
        flag: Iterable[str] = (),
        scope: Iterable[str] = (),
    ) -> ResolvedSettings:
        """Return the values for these keys of the provider, and for those of every source, by precedence.

        Each argument lists the keys of one kind. Keys of the ``scope`` are text, and may come from the target
        too (BlueXP: the account). A target sets no other key: a stored reference must not decide where a
        token is fetched, or which certificate is trusted. A ``token`` is a secret for `Bearer`: one in a file
        is read again when the file is replaced.

        Raise `UsageError` for an unknown key in the profile, in ``settings=`` or among the keywords, for a
        value of another kind there, and for a secret in plain text in the profile.
        """
        scope = frozenset(scope)
        kinds = {**KINDS, **dict.fromkeys((*text, *scope), "text")}
        for kind, keys in (("secret", secret), ("token", token), ("path", path), ("flag", flag)):
            kinds |= dict.fromkeys(keys, kind)
        self._refuse_unknown(kinds, scope)
        last = self._profile_values(kinds) if self.mapping is None else self._mapping_values()
        for key, value in last.items():
            value.check(kinds[key])
        layers = [layer.values(kinds) for layer in self.variables]
        return ResolvedSettings(
            self, kinds, ChainMap(self._keyword_values(kinds), self._target_values(), *layers, last)
        )

    def build(self) -> BaseSource:
        """Return the provider's source. Raise `UsageError` where that is not for the target."""
        if self.provider.connect is None:
            raise UsageError(
                f"{self.provider.name} supports neither profiles nor URLs: create its source class directly"
            )
        source: BaseSource = self.provider.connect(self)
        if self.target is not None:
            # Checked for every provider: credentials must not go to another system than the target names.
            provider = self.target.provider or source.provider
            source.ref(self.target.ref or JobRef(provider, self.target.endpoint, "any", self.target.scope))
        return source

    def labelled_values(self) -> Iterator[tuple[str, Any]]:
        """Yield all values that were set, each with its label in errors, always in the same order.

        A reference in a profile is yielded as the secret that it refers to now.
        """
        target = self.target.scope if self.target is not None else ()
        yield "the target", (self.provider.name, self.known_endpoint, target)
        yield "settings=", self.hermetic
        yield "auth=", self.auth
        for key, value in sorted(self._keyword_values(self.keywords).items()):
            yield f"{key}=", value.value
        for layer in self.variables:
            for variable in layer.all_values():
                yield variable.label, variable.value
        last = self._mapping_values() if self.profile is None else self._profile_values(self.profile.table)
        for key in sorted(last):
            yield last[key].label, last[key].dereferenced()

    def _keyword_values(self, keys: Iterable[str]) -> dict[str, SettingValue]:
        return {
            key: SettingValue(f"{key}=", self.keywords[key])
            for key in keys
            if self.keywords.get(key) is not None
        }

    def _target_values(self) -> dict[str, SettingValue]:
        scope = self.target.scope if self.target else ()
        return {key: SettingValue(f"the target's {key}", value, Layer.TARGET) for key, value in scope}

    def _profile_values(self, keys: Iterable[str]) -> dict[str, SettingValue]:
        if self.profile is None:
            return {}
        label, table, folder = f"profile {self.profile.name!r}: ", self.profile.table, self.profile.folder
        return {
            key: SettingValue(label + key, table[key], Layer.PROFILE, folder) for key in keys if key in table
        }

    def _mapping_values(self) -> dict[str, SettingValue]:
        return {
            key: SettingValue(f"setting {key!r}", value, Layer.SETTINGS)
            for key, value in (self.mapping or {}).items()
        }

    def _refuse_unknown(self, kinds: Mapping[str, str], scope: frozenset[str]) -> None:
        known = {*kinds, *OWN_KEYS}
        if self.profile is not None:
            unknown = sorted(set(self.profile.table) - known)
            if unknown:
                raise UsageError(
                    f"profile {self.profile.name!r}: unknown key {unknown[0]!r}; known for "
                    f"{self.provider.name} are {', '.join(sorted(known))}"
                )
        if self.target is not None and not dict(self.target.scope).keys() <= scope:
            has = f"only {join_words(sorted(scope))}" if scope else "none"
            raise UsageError(
                f"the target has a scope that {self.provider.name} does not have (it has {has}); if this is "
                "the path of an endpoint, end it with two slashes: 'ontap://host/path//'"
            )
        for name in self.mapping or ():
            if name not in kinds:
                raise UsageError(
                    f"unknown setting {name[:MAX_QUOTED]!r}{_suggestion(name, kinds)}: {self.provider.name} "
                    f"takes {', '.join(sorted(kinds))}"
                )
        taken = {*kinds, *SourceOptions.__annotations__}
        for name in self.keywords:
            if name not in taken:
                raise UsageError(
                    f"unknown keyword {name!r}: {self.provider.name} takes {', '.join(sorted(taken))}"
                )

    def __repr__(self) -> str:
        named = f" of profile {self.profile.name!r}" if self.profile else ""
        return f"<Settings for {self.provider.name} {self.known_endpoint!r}{named}>"


def _suggestion(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # lazily: only a mistake needs it

    close = get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


class ResolvedSettings:
    """The value of each key, from the nearest layer that sets it. Secrets are looked up when asked for."""

    def __init__(self, settings: Settings, kinds: Mapping[str, str], values: SettingValues) -> None:
        self._settings = settings
        self._kinds = kinds
        self._values = values

    def text(self, key: str) -> str | None:
        """Return a text, a secret or a path, by the key's kind; None where it is not set."""
        kind = self._kinds[key]
        value = self._values.get(key)
        return None if value is None else str(value.read("secret" if kind == "token" else kind))

    def flag(self, key: str) -> bool | None:
        """Return True or False, None where the key is not set."""
        value = self._values.get(key)
        return None if value is None else value.flag()

    @functools.cached_property
    def options(self) -> dict[str, Any]:
        """The keywords that every source takes: verify, cert, proxy, policy and so on."""
        driver = self._settings.provider.driver
        options = source_options(
            self._values,
            self._settings.keywords,
            PollPolicy if driver is None else lambda: driver().default_policy(),
        )
        return {"trust_env": False, **options} if self._settings.hermetic else options

    def sign_in(self, *methods: AuthMethod, required: bool = True) -> Any:
        """Return the caller's ``auth=``, else what the keys of one of these methods make; None without any.

        Raise `UsageError` for a method that is set in part, for two of them, and where none is set although
        it is ``required`` and neither a client certificate nor the caller's own client signs in instead.
        """
        settings = self._settings
        if settings.auth is not None:
            keys = {key for method in methods for key in method.keys}
            also = sorted(keys & set(settings.keywords))
            if also:
                raise UsageError(f"auth= cannot be combined with {also[0]}=: pass one way to sign in")
            return settings.auth
        method = select_auth_method(methods, self._values)
        if method is not None:
            values = [(self._values.get(key), self._kinds[key]) for key in method.keys]
            return method.make(*[value and value.read(kind) for value, kind in values])
        if required and not {"cert", "http"} & set(self.options):
            raise UsageError(self.no_credentials(methods))
        return None

    def no_credentials(self, methods: Iterable[AuthMethod]) -> str:
        """Return the error for a call without credentials; it names variables that are for other systems."""
        methods = tuple(methods)
        where = "settings= needs" if self._settings.hermetic else "pass auth=, or name a profile with"
        message = f"no credentials for {self._settings.endpoint}: {where} "
        message += ", or ".join(map(str, methods)) or "a certificate"
        for layer in self._settings.excluded:
            values = layer.values(key for method in methods for key in method.keys)
            if not values:
                continue
            names = join_words(value.label for value in values.values())
            if layer.endpoint:
                message += f"; {names} {'is' if len(values) == 1 else 'are'} only for {layer.endpoint} "
                message += f"({layer.endpoint_variable})"
            else:
                message += f"; to use {names}, set {layer.endpoint_variable} or name a profile"
        return message

    def __repr__(self) -> str:
        return f"<ResolvedSettings of {self._settings!r}>"
