"""What is listed for mutation testing exists: the modules and their tests."""

from __future__ import annotations

from pathlib import Path

import common
from tests.mutations.__main__ import known
from tests.mutations.runner import ROOT
from tests.mutations.targets import TARGETS


def test_all_modules_and_tests_of_the_targets_exist() -> None:
    installed = Path(common.__file__).parents[1]
    modules = [installed / path for target in TARGETS for path in target.modules]
    tests = [ROOT / path.partition("::")[0] for target in TARGETS for path in target.tests]
    assert [path for path in (*modules, *tests) if not path.exists()] == []


def test_the_equivalent_mutants_are_of_modules_that_are_mutated() -> None:
    modules = {path for target in TARGETS for path in target.modules}
    assert {key.split(" ", 1)[0] for key in known()} <= modules
