"""What users type and see stays: names, signatures, fields, bases of exceptions, commands."""

from __future__ import annotations

import difflib
import pkgutil
import subprocess
import sys
import tomllib
from typing import Any

import pytest

from tests import public_api
from tests.public_api import ROOT, SNAPSHOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TARGETS = [*PROJECT["scripts"].values(), *PROJECT["entry-points"]["jobsource.providers"].values()]


def _in_a_process_of_its_own() -> str:
    """What the public API is there: other tests may have registered a provider of theirs here."""
    code = f"from {public_api.__name__} import public_api; print(public_api(), end='')"
    told = subprocess.run(  # noqa: S603 - this interpreter, and code written here
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert not told.returncode, told.stderr
    return told.stdout


@pytest.mark.slow
def test_the_public_api_is_as_its_snapshot_has_it() -> None:
    before = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    now = _in_a_process_of_its_own().splitlines()
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
