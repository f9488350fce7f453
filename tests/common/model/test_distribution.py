"""What the packages know of the distribution that they come in."""

from __future__ import annotations

from importlib import metadata
from operator import attrgetter

import pytest

import common
from common.model.distribution import VERSION


def test_the_version_is_that_of_the_distribution() -> None:
    assert common.__version__ == VERSION == metadata.version("jobsource")


def test_what_common_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'common' has no attribute 'nothing'"):
        attrgetter("nothing")(common)
