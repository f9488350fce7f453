"""What users type and see stays: names, signatures, fields, bases of exceptions, commands."""

from __future__ import annotations

import difflib
import pkgutil
import tomllib
from typing import Any

import pytest

from tests import public_api
from tests.public_api import ROOT, SNAPSHOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TARGETS = [*PROJECT["scripts"].values(), *PROJECT["entry-points"]["jobsource.providers"].values()]


@pytest.mark.slow
def test_the_public_api_is_as_its_snapshot_has_it() -> None:
    before = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    now = public_api.public_api().splitlines()
    changes = "\n".join(difflib.unified_diff(before, now, "before", "now", lineterm=""))
    if changes:
        pytest.fail(
            "the public API has changed. If that is meant, tell users in CHANGELOG.md, and write the "
            f"snapshot anew: python -m tests.public_api\n\n{changes}",
            pytrace=False,
        )


@pytest.mark.parametrize("target", TARGETS)
def test_what_the_distribution_names_is_there(target: str) -> None:
    assert pkgutil.resolve_name(target) is not None
