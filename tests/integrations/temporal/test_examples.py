"""The programs of the documentation run, on Temporal's own server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from tests.integrations.temporal.deployment import PASSWORD, PATIENCE, Deployment

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "temporal"
pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_a_first_worker_makes_a_volume(temporal: Deployment) -> None:
    env = {"CLUSTER": temporal.target, "CLUSTER_PASSWORD": PASSWORD, "TEMPORAL": temporal.address}
    env = {**os.environ, **env}
    async with await anyio.open_process(
        [sys.executable, str(EXAMPLES / "worker.py")], env=env, stderr=None
    ) as worker:
        try:
            command = [sys.executable, str(EXAMPLES / "make_a_volume.py")]
            with anyio.fail_after(PATIENCE):
                done = await anyio.run_process(command, env=env, stderr=subprocess.STDOUT)
        finally:
            worker.kill()
    assert "SUCCEEDED" in done.stdout.decode().upper()
    assert temporal.writes == ["POST"]
