"""What an import costs over bare Python, in processes of their own."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time

from tests.benchmarks.harness import ROOT, Form, Report, Row, environment, fixed, keep_to, ratio

COMMAND = (
    "import os, sys; from jobsource.command import main; "
    "os.environ |= {'JOBSOURCE_ENDPOINT': 'ontap+http://127.0.0.1:9', 'JOBSOURCE_TOKEN': 'x'};"
)
STATEMENTS = {
    "bare python": "pass",
    "import anyio, attrs": "import anyio, attrs",
    "import common": "import common",
    "OntapJobs": "from ontapjobs import OntapJobs",
    "CFJobs": "from cfjobs import CFJobs",
    "import asyncio": "import asyncio",
    "import rich": "import rich",
    "jobsource --help": f"{COMMAND} sys.argv[1:] = ['--help']; main()",
    # Nobody listens there: all that a command does but for what the response takes.
    "jobsource get": f"{COMMAND} sys.argv[1:] = ['get', 'ontap+http://127.0.0.1:9/1']; main()",
    "import httpx": "import httpx",
    "import aiohttp": "import aiohttp",
    "import pydantic, BaseModel": "from pydantic import BaseModel",
    "netapp_ontap Job": "from netapp_ontap.resources import Job",
    "import cloudfoundry_client.client": "import cloudfoundry_client.client",
}
COLUMNS: dict[str, Form] = {
    "statement": str,
    "over_bare_ms": fixed(0),
    "cpu_over_bare_ms": fixed(0),
    "wall_ms": fixed(0),
}


def imports(report: Report, *, processes: int = 7) -> None:
    """All statements in turn, then all again; the first round writes bytecode and does not count."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in STATEMENTS}
    failed: dict[str, str] = {}
    for round_ in range(processes + 1):
        for name, runs in found.items():
            if name in failed:
                continue
            cpu, began = _children(), time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", STATEMENTS[name]],
                preexec_fn=keep_to(1),
                env=environment(),
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            if done.returncode:
                failed[name] = (done.stderr.strip().splitlines() or ["?"])[-1]
            elif round_:
                runs.append((time.perf_counter() - began, _children() - cpu))
    rows: dict[str, Row] = {}
    for name, runs in found.items():
        if name in failed:
            rows[name] = {"statement": name, "failed": failed[name]}
            continue
        wall, cpu = (statistics.median(values) * 1e3 for values in zip(*runs, strict=True))
        bare = rows.get("bare python") or {"wall_ms": wall, "cpu_ms": cpu}
        rows[name] = {
            "statement": name,
            "wall_ms": wall,
            "cpu_ms": cpu,
            "over_bare_ms": wall - bare["wall_ms"],
            "cpu_over_bare_ms": cpu - bare["cpu_ms"],
        }
    report.table(f"Imports, medians of {processes} processes (milliseconds)", rows.values(), COLUMNS)
    own = rows["OntapJobs"]
    report.goal("from ontapjobs import OntapJobs, ms over bare Python", own.get("over_bare_ms"), 80.0)
    report.goal(
        "as a share of netapp_ontap's own",
        ratio(own, rows["netapp_ontap Job"], "over_bare_ms"),
        0.1,
    )
    report.goal(
        "jobsource --help, times import rich",
        ratio(rows["jobsource --help"], rows["import rich"], "wall_ms"),
        1.3,
    )
    report.goal(
        "jobsource get, times import rich", ratio(rows["jobsource get"], rows["import rich"], "wall_ms"), 2.0
    )
    report.goal("as a share of import httpx", ratio(own, rows["import httpx"], "over_bare_ms"), 80 / 134)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
