"""What the packages know of the distribution that they came in."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from operator import attrgetter

import pytest

import common
from common.http.user_agent import own_product
from common.model.distribution import version


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Look the version up anew in each test, and after it."""
    for each in (version, own_product):
        each.cache_clear()
    yield
    for each in (version, own_product):
        each.cache_clear()


def test_the_version_is_that_of_the_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: {"jobsource": "7.8.9"}[name])
    assert common.__version__ == version() == "7.8.9"
    assert own_product() == "jobsource/7.8.9"


def test_packages_that_are_vendored_have_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", none)
    assert common.__version__ == "unknown"
    assert own_product() == "jobsource"


def test_what_common_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'common' has no attribute 'nothing'"):
        attrgetter("nothing")(common)
