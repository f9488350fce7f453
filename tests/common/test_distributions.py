"""Entry points and versions of what is installed, as `importlib.metadata` has them."""

from __future__ import annotations

import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from common.distributions import entry_points, version
from common.providers import GROUP

POINTS = """
# a comment
[console_scripts]
tool = tool.main:main

[some.group]
first=package.module:NAME
second = other.module:Class.method [extra]
"""


def test_they_are_those_of_importlib_metadata() -> None:
    assert entry_points("no.such.group") == {}
    for group in (GROUP, "console_scripts", "pytest11", "nox"):
        expected = {point.name: point.module for point in metadata.entry_points(group=group)}
        found = {name: value.partition(":")[0] for name, value in entry_points(group).items()}
        assert found == expected
    assert entry_points(GROUP).keys() >= {"ontap", "bluexp", "cf"}
    assert version("jobsource") == metadata.version("jobsource")
    assert version("no-such-thing") is None


def test_the_first_on_the_path_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, where in (("one", "first:IT"), ("two", "second:IT")):
        folder = tmp_path / name / f"tool-{name}.dist-info"
        folder.mkdir(parents=True)
        (folder / "entry_points.txt").write_text(f"{POINTS}third = {where}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / name) for name in ("no-such", "one", "two")])
    assert version("tool") == "one"
    assert entry_points("some.group") == {
        "first": "package.module:NAME",
        "second": "other.module:Class.method",
        "third": "first:IT",
    }


def test_an_archive_on_the_path_is_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("tool-1.2.dist-info/METADATA", "Name: tool\nVersion: 1.2\n")
        archive.writestr("tool-1.2.dist-info/entry_points.txt", POINTS)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "packed.zip")])
    assert version("tool") == "1.2"
    assert version("other") is None
    assert entry_points("some.group")["first"] == "package.module:NAME"
