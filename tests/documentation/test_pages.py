"""The code blocks of the README and of the documentation's pages run as they are printed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.documentation.reader import ROOT, Reader, blocks, type_in
from tests.profiles import UserEnv

README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
LEAST = 12
"""So many Python blocks the README has, at least: a pattern that finds none would prove nothing."""


def test_there_are_examples() -> None:
    assert len(blocks(README, "python")) >= LEAST
    assert sum(len(blocks(page, "python")) for page in PAGES) >= LEAST


@pytest.mark.slow
@pytest.mark.parametrize("code", [block for page in (README, *PAGES) for block in blocks(page, "python")])
def test_an_example_runs_as_it_is_printed(
    code: str, user_env: UserEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_in(code, Reader(user_env, monkeypatch), monkeypatch)


@pytest.mark.parametrize("page", [README, ROOT / "docs/how-to/profiles.md"], ids=["readme", "profiles"])
def test_the_profiles_are_toml_with_a_name_each(page: Path) -> None:
    (text,) = (each.values[0] for each in blocks(page, "toml"))
    assert set(tomllib.loads(text)["profiles"]) == {"prod", "backup"}
