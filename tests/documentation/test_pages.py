"""The code blocks of the README and of the documentation's pages run as they are printed."""

from __future__ import annotations

import tomllib

import pytest

from tests.documentation.reader import ROOT, Reader, blocks, type_in
from tests.profiles import UserEnv

README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
LEAST = 7
"""So many Python blocks the README has, at least: a pattern that finds none would prove nothing."""


def test_there_are_examples() -> None:
    assert len(blocks(README, "python")) >= LEAST
    assert sum(len(blocks(page, "python")) for page in PAGES) >= 5 * LEAST


@pytest.mark.slow
@pytest.mark.parametrize("code", [block for page in (README, *PAGES) for block in blocks(page, "python")])
def test_an_example_runs_as_it_is_printed(
    code: str, user_env: UserEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_in(code, Reader(user_env, monkeypatch), monkeypatch)


def test_the_profiles_are_toml_with_a_name_each() -> None:
    (text,) = (each.values[0] for each in blocks(ROOT / "docs/how-to/profiles.md", "toml"))
    assert set(tomllib.loads(text)["profiles"]) == {"prod", "backup"}
