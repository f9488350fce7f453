"""`preload`: after it nothing is imported any more, whatever a host's sandbox refuses."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import anyio
import pytest

from common.config.preload import NOT_PRELOADED
from ontapjobs.simulator import OntapSimulator
from tests.common.test_embedding import MODULES, PACKAGES, ROOT, printed

BEFORE = """
import functools, json, sys
import anyio
from common import Bearer, JobsError, PollPolicy, connect, from_dict, preload, to_dict
"""
AFTER = """
class Refuse:
    def find_spec(self, name, path=None, target=None):
        raise ImportError(f"{name} is imported too late")

async def main(target, id, **options):
    async with connect(target, auth=Bearer("token"), **options) as source:
        job = await source.wait(id, timeout=20)
        assert from_dict(json.loads(json.dumps(to_dict(job)))) == job
        error = None
        try:
            await source.wait("absent", timeout=0, policy=PollPolicy(start_grace=0))
        except JobsError as caught:
            error = from_dict(json.loads(json.dumps(to_dict(caught))))
        print(job.state, type(error).__name__)
        try:
            from_dict({"version": 1, "ref": 7})
        except JobsError as caught:
            print(type(caught).__name__)

preload()
sys.meta_path.insert(0, Refuse())
"""
SYSTEMS = {
    "ontap": ("ontapjobs", "OntapSimulator", "ontap://cluster1", ("running", "success"), {}),
    "cf": ("cfjobs", "CFSimulator", "cf://api.example.org", ("PROCESSING", "COMPLETE"), {}),
    "bluexp": (
        "bluexp_jobs",
        "BlueXPSimulator",
        "bluexp://api.bluexp.netapp.com",
        ("IN_PROGRESS", "COMPLETED"),
        {"account": "account-sim", "agent": "agent-sim"},
    ),
}
IMPORTERS = ("import_module", "_import_extra")
EXPECTED = ["succeeded JobNotFound", "DecodeError"]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_after_it_a_job_is_waited_for_and_stored_without_an_import(name: str, backend: str) -> None:
    package, simulator, target, words, options = SYSTEMS[name]
    code = f"""
{BEFORE}
from {package}.simulator import {simulator}
simulator = {simulator}()
transport = simulator.transport()
id = simulator.add_job([({words[0]!r}, 0.05), ({words[1]!r}, None)])
{AFTER}
wait = functools.partial(main, transport=transport, **{options!r})
anyio.run(wait, {target!r}, id, backend={backend!r})
"""
    assert printed(code, ROOT).splitlines() == EXPECTED


@pytest.mark.slow
@pytest.mark.anyio
async def test_after_it_a_socket_is_used_without_an_import(anyio_backend: str) -> None:
    simulator = OntapSimulator()
    id = simulator.add_job([("running", 0.05), ("success", None)])
    async with simulator.serve() as url:
        target = url.replace("http://127.0.0.1", "ontap+http://localhost")
        run = f"anyio.run(main, {target!r}, {id!r}, backend={anyio_backend!r})"
        found = await anyio.to_thread.run_sync(printed, f"{BEFORE}{AFTER}{run}", ROOT)
    assert found.splitlines() == EXPECTED


def late_imports(path: Path) -> Iterator[str]:
    """Each module that a function of this file imports, of its own or another package."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in (node for function in functions for node in ast.walk(function)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
            ("import_module", "_import_extra")
        ):
            named = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            yield from map(str, named)


@pytest.mark.slow
def test_it_imports_all_that_a_function_of_ours_imports_late() -> None:
    sources = [path for path in MODULES if not NOT_PRELOADED & {*path.parts, path.stem}]
    late = {name for path in sources for name in late_imports(path)}
    installed = sorted(name for name in late if find_spec(name.partition(".")[0]))
    assert {"cattrs", "httpx", "ssl"} <= set(installed)
    code = f"""
import sys
from common import preload
preload()
print([name for name in {installed!r} if name not in sys.modules])
ours = [name.split(".") for name in sys.modules if name.split(".")[0] in {PACKAGES!r}]
print([name for name in ours if set(name) & {set(NOT_PRELOADED)!r}])
"""
    assert printed(code, ROOT).splitlines() == ["[]", "[]"]


@pytest.mark.slow
def test_it_does_without_what_is_optional() -> None:
    optional = (
        "cryptography",
        "jwt",
        "keyring",
        "msgspec",
        "opentelemetry",
        "platformdirs",
        "trio",
        "uvicorn",
    )
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({optional!r})); from common import preload; preload()"
    )
    assert printed(code, ROOT) == ""
