"""Which of many sources a ref belongs to: a look-up by provider, endpoint and scope."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import combinations

import attrs

from common.model.refs import JobRef
from common.sources.base import BaseSource
from common.sources.ref_resolver import ScopeRule, SystemScope

_Key = tuple[str, SystemScope]
"""An endpoint, or "" for any, and the parts of a scope."""


@attrs.frozen(eq=False, repr=False)
class _Table:
    """The sources of one provider whose scopes are read by one rule."""

    systems: dict[_Key, BaseSource] = attrs.field(factory=dict[_Key, BaseSource])
    """Each source by its own endpoint and whole scope."""
    owners: dict[_Key, dict[BaseSource, None]] = attrs.field(factory=dict[_Key, dict[BaseSource, None]])
    """The sources to which a ref with this endpoint and these parts of a scope may belong."""


class Router:
    """Finds the sources of a fleet that a ref may belong to.

    A ref may name a source by its endpoint or an alias, and may leave out parts of the scope. So a source has
    an entry for each name and each subset of its scope's parts, of which there are at most four: a scope has
    two parts at most (BlueXP: account and agent).
    """

    def __init__(self) -> None:
        self._tables: dict[str, dict[ScopeRule, _Table]] = {}

    def owners(self, ref: JobRef) -> Collection[BaseSource]:
        """Return the sources that a ref may belong to: none, one, or several if it leaves parts out."""
        found: list[BaseSource] = []
        for rule, table in self._tables.get(ref.provider, {}).items():
            found += table.owners.get((ref.endpoint, rule.of_system(ref.scope)), ())
        return found

    def clashing(self, source: BaseSource) -> BaseSource | None:
        """Return a source that shares jobs with another one that is to be added, None if there is none."""
        for rule, table in self._tables.get(source.provider, {}).items():
            scope = rule.of_system(source.resolver.scope)
            for owner in table.owners.get((source.endpoint, scope), ()):
                return owner
            for key in _keys(source, scope):
                if key in table.systems:
                    return table.systems[key]
        return None

    def add(self, source: BaseSource) -> None:
        """Add a source that is `clashing` with none."""
        rule = source.resolver.rule
        table = self._tables.setdefault(source.provider, {}).setdefault(rule, _Table())
        scope = rule.of_system(source.resolver.scope)
        table.systems[source.endpoint, scope] = source
        for key in _keys(source, scope, ""):
            table.owners.setdefault(key, {})[source] = None

    def remove(self, source: BaseSource) -> None:
        """Remove a source that was added."""
        rule = source.resolver.rule
        tables = self._tables[source.provider]
        table, scope = tables[rule], rule.of_system(source.resolver.scope)
        del table.systems[source.endpoint, scope]
        for key in _keys(source, scope, ""):
            del table.owners[key][source]
            if not table.owners[key]:
                del table.owners[key]
        if not table.systems:
            del tables[rule]


def _keys(source: BaseSource, scope: SystemScope, *more: str) -> Iterator[_Key]:
    """Yield the name of a source, and those in ``more``, each with each selection of its scope's parts."""
    for endpoint in {source.endpoint, *source.resolver.aliases, *more}:
        for length in range(len(scope) + 1):
            for parts in combinations(scope, length):
                yield endpoint, frozenset(parts)
