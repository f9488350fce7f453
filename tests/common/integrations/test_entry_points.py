"""What other programs load by entry point works where nothing of the SDK can be imported."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from common.entry_points.airflow_provider import get_provider_info

CODE = """
import importlib.metadata, sys
sys.modules |= dict.fromkeys(["common", "ontapjobs", "bluexp_jobs", "cfjobs"])
points = importlib.metadata.entry_points(group="apache_airflow_provider")
(point,) = (point for point in points if point.dist.name == "jobsource")
print(point.load()()["package-name"])
"""


def test_airflows_metadata_needs_nothing_of_the_sdk() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.stdout == "jobsource\n", done.stderr


def test_the_metadata_has_the_name_of_the_distribution() -> None:
    """Another one would end every command of Airflow."""
    assert get_provider_info()["package-name"] == importlib.metadata.metadata("jobsource")["Name"]


PREFECT = """
import importlib.metadata
(point,) = importlib.metadata.entry_points(group="prefect.collections", name="jobsource")
try:
    print(point.load().__name__)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""
"""How Prefect loads a collection: it prints what is raised, and goes on."""


def test_prefects_collection_loads_the_blocks_of_each_provider(tmp_path: Path) -> None:
    """Their packages stand in for those that need Prefect."""
    code = f"""
import importlib.abc, importlib.machinery, sys

class Blocks(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name.endswith(".prefect") else None

    def create_module(self, spec):
        print(spec.name)

    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Blocks())
{PREFECT}"""
    assert printed(code, tmp_path).split() == [
        "bluexp_jobs.prefect",
        "cfjobs.prefect",
        "ontapjobs.prefect",
        "jobsource.prefect_collection",
    ]


@pytest.mark.slow
def test_prefect_is_told_in_one_sentence_that_another_common_stands_in_our_place(tmp_path: Path) -> None:
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "__init__.py").touch()
    [line] = printed(PREFECT, tmp_path).splitlines()
    assert line.startswith("ImportError: bluexp_jobs needs the package 'common' of jobsource, but ")


def printed(code: str, folder: Path) -> str:
    """Return what a program prints that has the folder first on its path."""
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout
