"""A process that serves the flows, as a user's does: ``runner.py NAME``."""

from __future__ import annotations

import sys
from typing import Any

from prefect import serve

from tests.integrations.prefect.flows import FLOWS

if __name__ == "__main__":
    deployments: list[Any] = [flow.to_deployment(sys.argv[1]) for flow in FLOWS]
    serve(*deployments)
