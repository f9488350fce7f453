"""What a provider is told when somebody connects: where to, and every value that was set for it."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import attrs

from common.config.auth_methods import Way, choose_way, spoken
from common.config.environment import Variables
from common.config.profiles import OWN_KEYS, Profile
from common.config.secrets import TokenFile
from common.config.source_options import SHARED, shared_options
from common.config.targets import Target
from common.config.values import Entry
from common.model.errors import UsageError
from common.model.refs import JobRef
from common.options import SourceOptions
from common.polling.policy import PollPolicy
from common.providers import Provider
from common.sources.base import BaseSource


@attrs.frozen(repr=False, kw_only=True)
class Settings:
    """What is known of one system. A provider's ``connect`` function gets it, and calls `read`.

    ``auth`` is what the caller passed, or None. Nothing secret is in its repr, and none is looked up before
    it is asked for.
    """

    auth: Any = None
    """What the caller passed as ``auth=``."""
    known_endpoint: str = ""
    """The endpoint, "" where nobody states it."""
    provider: Provider
    target: Target | None = None
    profile: Profile | None = None
    variables: tuple[Variables, ...] = ()
    withheld: tuple[Variables, ...] = ()
    """Variables that are for another system, and must not be sent to this one."""
    keywords: Mapping[str, Any] = attrs.field(factory=dict[str, Any])

    @property
    def endpoint(self) -> str:
        """The origin to talk to. Raises `UsageError` where nobody states it."""
        if self.known_endpoint:
            return self.known_endpoint
        if self.profile is not None:
            raise UsageError(
                f'profile {self.profile.name!r} states no endpoint: add endpoint = "https://host", so that '
                "what it holds goes to nobody else"
            )
        raise UsageError(f"nothing says where this {self.provider.name} is: name a host, or a profile")

    def read(
        self,
        *,
        text: Iterable[str] = (),
        secret: Iterable[str] = (),
        token: Iterable[str] = (),
        path: Iterable[str] = (),
        flag: Iterable[str] = (),
        scope: Iterable[str] = (),
    ) -> Given:
        """The values that were set for these keys of the provider, and for those that all sources share.

        Keys of the ``scope`` are text, and a target names them too (BlueXP: the account). It names no other
        key: a stored reference must not decide where a token is fetched, or which certificate is trusted.

        A ``token`` is a secret for `Bearer`: in a file it is read again when another takes its place.

        Raises `UsageError` for a key in the profile, or a keyword, that is none of them; for one of another
        type; and for a secret that stands in the profile itself.
        """
        scope = frozenset(scope)
        kinds = dict(SHARED)
        kinds |= dict.fromkeys((*text, *scope), "text")
        for kind, names in (("secret", secret), ("token", token), ("path", path), ("flag", flag)):
            kinds |= dict.fromkeys(names, kind)
        self._refuse_unknown(kinds, scope)
        for name, kind in kinds.items():
            entry = self._in_profile(name)
            if entry is not None:
                entry.check(kind)
        return Given(self, kinds, scope)

    def build(self) -> BaseSource:
        """The provider's source. Raises `UsageError` where it is not the target's."""
        if self.provider.connect is None:
            raise UsageError(
                f"{self.provider.name} has no profiles and no URLs: make its source as its package says"
            )
        source: BaseSource = self.provider.connect(self)
        if self.target is not None:
            # Whoever built it: credentials must not have gone to another system than was named.
            provider = self.target.provider or source.provider
            source.ref(self.target.ref or JobRef(provider, self.target.endpoint, "any", self.target.scope))
        return source

    def entries(self, key: str) -> list[Entry | None]:
        """The value of a key in each place, the nearest first: keyword, environment, profile."""
        keyword = self.keywords.get(key)
        return [
            None if keyword is None else Entry(f"{key}=", keyword),
            *(bundle.entry(key) for bundle in self.variables),
            self._in_profile(key),
        ]

    def _in_profile(self, key: str) -> Entry | None:
        if self.profile is None or key not in self.profile.table:
            return None
        label = f"profile {self.profile.name!r}: {key}"
        return Entry(label, self.profile.table[key], folder=self.profile.folder)

    def _refuse_unknown(self, kinds: Mapping[str, str], scope: Collection[str]) -> None:
        known = {*kinds, *OWN_KEYS}
        if self.profile is not None:
            unknown = sorted(set(self.profile.table) - known)
            if unknown:
                raise UsageError(
                    f"profile {self.profile.name!r}: unknown key {unknown[0]!r}; known for "
                    f"{self.provider.name} are {', '.join(sorted(known))}"
                )
        if any(name not in scope for name, _ in (self.target.scope if self.target else ())):
            has = f"only {spoken(sorted(scope))}" if scope else "none"
            raise UsageError(
                f"the target names a scope that is not one of {self.provider.name}: it has {has}"
            )
        taken = {*kinds, *SourceOptions.__annotations__}
        for name in self.keywords:
            if name not in taken:
                raise UsageError(
                    f"unknown keyword {name!r}: for {self.provider.name} there are {', '.join(sorted(taken))}"
                )

    def __repr__(self) -> str:
        named = f" of profile {self.profile.name!r}" if self.profile else ""
        return f"<Settings for {self.provider.name} {self.known_endpoint!r}{named}>"


class Given:
    """The values of a `Settings`, by key: None where nobody set one. Secrets are looked up when asked for."""

    def __init__(self, settings: Settings, kinds: Mapping[str, str], scope: Collection[str]) -> None:
        self._settings = settings
        self._kinds = kinds
        self._scope = scope

    def text(self, key: str) -> str | None:
        """A text, a secret or a path, whichever the key was said to be."""
        entry = self._nearest(key)
        if entry is None:
            return None
        kind = self._kinds[key]
        return str(entry.secret() if kind == "token" else getattr(entry, kind)())

    def _value(self, key: str) -> str | TokenFile | None:
        entry = self._nearest(key)
        return entry.token() if entry is not None and self._kinds[key] == "token" else self.text(key)

    def flag(self, key: str) -> bool | None:
        """True or false."""
        entry = self._nearest(key)
        return None if entry is None else entry.flag()

    @functools.cached_property
    def options(self) -> dict[str, Any]:
        """The keywords that every source takes: verify, cert, proxy, policy and so on."""
        driver = self._settings.provider.driver
        return shared_options(
            self._settings.entries,
            self._settings.keywords,
            PollPolicy if driver is None else lambda: driver().default_policy(),
        )

    def sign_in(self, *ways: Way, required: bool = True) -> Any:
        """The caller's ``auth=``, else what the keys of one of these ways make; None where there are none.

        Raises `UsageError` for half a way or two of them, and where none is given although it is
        ``required`` and neither a client certificate nor the caller's own client signs in instead.
        """
        settings = self._settings
        keys = {key for way in ways for key in way.keys}
        if settings.auth is not None:
            beside = sorted(keys & set(settings.keywords))
            if beside:
                raise UsageError(f"auth= beside {beside[0]}=: pass one way to sign in")
            return settings.auth
        ranks: dict[str, int] = {}
        labels: dict[str, str] = {}
        for key in keys:
            for rank, entry in enumerate(settings.entries(key)):
                if entry is not None:
                    ranks[key], labels[key] = rank, entry.label
                    break
        way = choose_way(ways, ranks, labels)
        if way is not None:
            return way.make(*map(self._value, way.keys))
        if required and not {"cert", "http"} & set(self.options):
            raise UsageError(self.unsigned(ways))
        return None

    def unsigned(self, ways: Iterable[Way]) -> str:
        """The sentence for a caller who named no way to sign in, with what was kept back from this system."""
        settings = self._settings
        ways = tuple(ways)
        said = f"nothing says how to sign in to {settings.endpoint}: pass auth=, or name a profile with "
        said += " or ".join(map(str, ways)) or "a certificate"
        keys = [key for way in ways for key in way.keys]
        for bundle in settings.withheld:
            names = bundle.set_of(keys)
            if names and bundle.endpoint:
                said += f"; {bundle.where} keeps {spoken(names)} for {bundle.endpoint}"
            elif names:
                said += f"; to use {spoken(names)}, set {bundle.where} or name a profile"
        return said

    def _nearest(self, key: str) -> Entry | None:
        if key not in self._kinds:
            raise KeyError(key)
        keyword, *others = self._settings.entries(key)
        target = self._settings.target
        scope = dict(target.scope if target and key in self._scope else ())
        named = Entry(f"the target's {key}", scope[key]) if key in scope else None
        return next(filter(None, (keyword, named, *others)), None)

    def __repr__(self) -> str:
        return f"<Given by {self._settings!r}>"
