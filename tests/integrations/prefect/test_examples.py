"""The programs of the documentation run, on Prefect's own server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integrations.prefect.deployment import PASSWORD, PATIENCE, Deployment

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "prefect"
pytestmark = pytest.mark.slow


def output(prefect: Deployment, program: str) -> str:
    """Return what a program prints and logs."""
    env = {
        **os.environ,
        "PREFECT_API_URL": prefect.api,
        "PREFECT_LOGGING_LEVEL": "INFO",
        "CLUSTER": prefect.credentials.endpoint,
        "CLUSTER_PASSWORD": PASSWORD,
    }
    command = [sys.executable, str(EXAMPLES / program)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_each_program_runs_after_the_first_has_saved_the_credentials(prefect: Deployment) -> None:
    output(prefect, "credentials.py")
    assert "SUCCEEDED" in output(prefect, "make_a_volume.py")
    assert "20 made, 0 failed" in output(prefect, "make_many.py")
    assert "SUCCEEDED" in output(prefect, "job_block.py")
    assert prefect.writes == ["POST"] * 22
