"""Providers by entry point: found when asked for, imported no earlier, and extended without a change here."""

from __future__ import annotations

import sys
import tomllib
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from common import providers as registry
from common.model.errors import UsageError
from common.providers import (
    GROUP,
    Provider,
    get_provider,
    installed_providers,
    is_ref,
    provider_names,
    register_provider,
)
from common.simulator import Simulator

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def no_source() -> Any:
    raise AssertionError("a source is imported only once it is asked for")


TOY = Provider(name="toy", title="A toy", source=no_source)


@pytest.fixture(autouse=True)
def _only_a_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in which one provider is installed and none is imported."""
    module: Any = ModuleType("toy_jobs")
    module.PROVIDER = TOY
    monkeypatch.setitem(sys.modules, "toy_jobs", module)
    points = {"toy": EntryPoint(name="toy", value="toy_jobs:PROVIDER", group=GROUP)}
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_installed", lambda: points)


def test_an_installed_provider_is_found_by_name() -> None:
    assert get_provider("toy") is TOY
    assert get_provider("toy") is TOY


def test_an_imported_provider_is_known_without_being_installed() -> None:
    other = Provider(name="other", title="Another", source=no_source)
    register_provider(other)
    assert get_provider("other") is other
    assert provider_names() == {"toy", "other"}


def test_registering_twice_keeps_the_last() -> None:
    again = Provider(name="toy", title="Again", source=no_source)
    register_provider(TOY)
    register_provider(again)
    assert get_provider("toy") is again


def test_a_provider_that_is_not_there_is_refused_and_the_others_are_named() -> None:
    with pytest.raises(UsageError, match="no provider 'nas' is installed; there are: toy"):
        get_provider("nas")


def test_without_any_provider_there_is_none_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_installed", dict)
    with pytest.raises(UsageError, match="there are: none"):
        get_provider("toy")


def test_an_entry_point_is_loaded_only_when_its_provider_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "toy_jobs")
    assert provider_names() == {"toy"}
    assert is_ref("toy://h/x")
    with pytest.raises(ModuleNotFoundError):
        get_provider("toy")


def test_a_provider_that_cannot_be_imported_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint(name="broken", value="broken_jobs:PROVIDER", group=GROUP)
    monkeypatch.setattr(registry, "_installed", lambda: {"broken": broken})
    register_provider(TOY)
    assert installed_providers() == [TOY]
    with pytest.raises(ModuleNotFoundError):
        get_provider("broken")


@pytest.mark.parametrize("text", ["toy://h/x", "toy:///x", "toy+http://h/x", "toy://"])
def test_text_with_a_known_scheme_is_a_ref(text: str) -> None:
    assert is_ref(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "5d0f3f0e-77aa",
        "toy",
        "toy:x",
        "Toy://h/x",
        "https://h/jobs/x",
        "nas://h/x",
        "space.delete~toy://",
        " toy://h/x",
    ],
)
def test_any_other_text_is_an_id(text: str) -> None:
    assert not is_ref(text)


ENTRY_POINTS = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["entry-points"][GROUP]


@pytest.mark.parametrize(("name", "value"), ENTRY_POINTS.items())
def test_each_entry_point_of_this_project_names_its_provider(name: str, value: str) -> None:
    module, _, attribute = value.partition(":")
    found = getattr(import_module(module), attribute)
    assert isinstance(found, Provider)
    assert found.name == name
    assert found.driver is not None
    assert found.driver().provider == name
    assert found.simulator is not None
    assert isinstance(found.simulator()(), Simulator)


def test_the_three_systems_are_entry_points() -> None:
    assert set(ENTRY_POINTS) == {"ontap", "bluexp", "cf"}
