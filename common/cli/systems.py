"""The systems whose jobs a command line names: each is connected to once, when its first job is named."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import attrs

from common.config.connect import connect
from common.config.fleet import Fleet
from common.config.profiles import read_profiles
from common.model.errors import UsageError, WrongSource
from common.model.refs import JobRef
from common.providers import is_ref
from common.sources.base import BaseSource
from common.telemetry.events import Observer


@attrs.define(eq=False, repr=False)
class Systems:
    """The sources of one command, closed when the block is left.

    Bare ids are jobs of the system that ``target`` (a URL, a job's ref, or the name of a profile) or
    ``profile`` (such a name) means; without both, of the system that the environment names.
    """

    target: str | None = None
    profile: str | None = None
    observer: Observer | None = None
    """Called with each event of each wait."""
    _fleet: Fleet | None = attrs.field(default=None, init=False)
    _default: BaseSource | None = attrs.field(default=None, init=False)
    _stack: AsyncExitStack = attrs.field(factory=AsyncExitStack, init=False)

    @property
    def fleet(self) -> Fleet:
        """All systems that were named so far. Raise `UsageError` for none."""
        if self._fleet is None:
            raise UsageError("no job is named")
        return self._fleet

    def default(self) -> BaseSource:
        """Return the source that ``target``, ``profile`` or the environment names. Raise `UsageError`."""
        if self._default is None:
            target, profile = self.target, self.profile
            if target is not None and "://" not in target and profile is None:
                profile, target = _profile_named(target), None
            self._default = self._join(connect(target, profile=profile))
        return self._default

    def ref(self, text: str) -> JobRef:
        """Return the complete ref of a job that is named by its ref's text or its id. No request is sent."""
        text = text.strip()
        if not is_ref(text):
            if text.startswith(("http://", "https://")):
                raise UsageError("an address of an API names no job: write its reference, as ontap://host/id")
            if "://" in text:
                JobRef.parse(text)  # raises if it is no ref, with the reason
                raise UsageError(f"{text}: no installed provider has refs with this scheme")
            return self.default().ref(text)
        ref = JobRef.parse(text)
        for source in self._sources():
            try:
                return source.ref(ref)
            except WrongSource:
                continue
        if self._default is None and (self.target is not None or self.profile is not None):
            try:
                return self.default().ref(ref)
            except WrongSource:
                pass  # a job of another system beside those of the one that was named
        return self._join(connect(ref)).ref(ref)

    def _sources(self) -> list[BaseSource]:
        members = self._fleet.sources if self._fleet is not None else ()
        return [source for source in members if isinstance(source, BaseSource)]

    def _join(self, source: BaseSource) -> BaseSource:
        system = (source.provider, source.endpoint, source.resolver.scope)
        for known in self._sources():
            if (known.provider, known.endpoint, known.resolver.scope) == system:
                return known
        if self._fleet is None:
            self._fleet = Fleet([source], observer=self.observer)
            self._stack.push_async_callback(self._fleet.aclose)
        else:
            self._fleet.add(source)
        return source

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()


def _profile_named(name: str) -> str:
    """Return the name of a profile, in the place of a system's URL. Raise `UsageError` for any other."""
    profiles = read_profiles()
    if profiles.file is None or name in profiles.by_name:
        return name  # without a file, `connect` says why there are no profiles
    raise UsageError(
        f"a system is written as ontap://{name}, and there is no profile {name!r} in {profiles.file}; there "
        f"are: {profiles.names}"
    )
