"""What is listed for mutation testing exists: the modules and their tests."""

from __future__ import annotations

from tests.mutations.__main__ import known
from tests.mutations.runner import ROOT
from tests.mutations.targets import TARGETS


def test_all_modules_and_tests_of_the_targets_exist() -> None:
    paths = [path for target in TARGETS for path in (*target.modules, *target.tests)]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_equivalent_mutants_are_of_modules_that_are_mutated() -> None:
    modules = {path for target in TARGETS for path in target.modules}
    assert {key.split(" ", 1)[0] for key in known()} <= modules
