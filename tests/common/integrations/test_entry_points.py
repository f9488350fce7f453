"""What other programs load by entry point works where nothing of the SDK can be imported."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

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
