"""What a package exports is imported when somebody names it, and type checkers see the same names."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from common.exports import api
from common.exports.lazy import LazyExports
from tests.common.test_embedding import PACKAGES, ROOT, printed


def imports_for_type_checkers(path: Path) -> Iterator[tuple[str, str]]:
    """Each name that a module imports under TYPE_CHECKING, with the module that it is imported from."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for each in node.body:
                if isinstance(each, ast.AnnAssign):
                    continue  # __version__, which is computed
                assert isinstance(each, ast.ImportFrom)
                yield from ((alias.name, str(each.module)) for alias in each.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_see_what_is_found(package: str) -> None:
    seen = dict(imports_for_type_checkers(ROOT / package / "__init__.py"))
    assert seen.pop("*") == api.__name__
    seen |= imports_for_type_checkers(ROOT / "common" / "exports" / "api.py")
    exported = importlib.import_module(package)
    assert set(seen) == set(exported.__all__)
    for name, module in seen.items():
        assert getattr(exported, name) is getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_imports_nothing_of_what_it_exports(package: str) -> None:
    code = f"""
import sys, {package}
print(*sorted({{"anyio", "asyncio", "h11", "ssl"}} & set(sys.modules)))
print(*({package}.__all__ == [name for name in {package}.__all__ if name in dir({package})],))
"""
    assert printed(code, ROOT).split() == ["True"]


@pytest.mark.slow
def test_everything_can_be_imported_at_once() -> None:
    code = "from common import *; print(JobSet.__module__, connect.__name__, TERMINAL == set(TERMINAL))"
    assert printed(code, ROOT) == "common connect True"


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    code = """
import common, ontapjobs
for package in (common, ontapjobs):
    try:
        package.NoSuch
    except AttributeError as error:
        print(error)
"""
    assert printed(code, ROOT).splitlines() == [
        "module 'common' has no attribute 'NoSuch'",
        "module 'ontapjobs' has no attribute 'NoSuch'",
    ]


def test_what_a_test_has_put_in_the_place_of_a_name_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("some_package")
    monkeypatch.setitem(sys.modules, "some_package", module)
    for name in ("some_package.room", "some_package.room.one", "some_package.room.two"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    vars(sys.modules["some_package.room.one"])["first"] = "written"
    vars(sys.modules["some_package.room.two"])["second"] = "written"
    exports = LazyExports(vars(module), {"room.one": "first", "room.two": "second"})
    vars(module)["first"] = "replaced"
    assert exports.get("second") == "written"
    assert vars(module)["first"] == "replaced"


@pytest.mark.slow
def test_many_threads_find_the_same() -> None:
    code = """
import threading, common
start, found = threading.Barrier(8), []

def look(name):
    start.wait()
    found.append(getattr(common, name))

names = ["JobSet", "Job", "connect", "portal"] * 2
threads = [threading.Thread(target=look, args=[name]) for name in names]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found), len(set(map(id, found))))
"""
    assert printed(code, ROOT) == "8 4"


@pytest.mark.parametrize(
    ("maker", "named"),
    [
        ("from common.model.refs import JobRef; made = JobRef('ontap', 'https://c', '1')", "common"),
        ('from ontapjobs.wire import parse_job; made = parse_job(b\'{"uuid": "1"}\').record', "ontapjobs"),
        ("from common.model.errors import UsageError; made = UsageError('no')", "common"),
    ],
)
def test_a_pickle_names_what_is_exported_though_nobody_has_named_it(maker: str, named: str) -> None:
    code = f"""
import pickle, sys
{maker}
print(type(made).__module__, pickle.loads(pickle.dumps(made)) is not made)
"""
    assert printed(code, ROOT) == f"{named} True"


def test_a_class_is_pickled_by_its_own_module_where_a_host_has_a_package_of_our_name(tmp_path: Path) -> None:
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "__init__.py").write_text(
        "__path__ = __import__('pkgutil').extend_path(__path__, __name__)"
    )
    code = """
import pickle, ontapjobs
job = ontapjobs.parse_job({"uuid": "1", "state": "success", "_links": {"self": {"href": "/x"}}})
print(pickle.loads(pickle.dumps(job)) == job, type(job).__module__, ontapjobs.JobsFailed.__name__)
"""
    assert printed(code, tmp_path, ROOT) == "True common.model.job JobsFailed"


@pytest.mark.slow
def test_after_preload_nothing_is_looked_for_any_more() -> None:
    code = f"""
import importlib, common
common.preload()
for name in {PACKAGES!r}:
    package = importlib.import_module(name)
    print(*(set(package.__all__) - set(vars(package))))
"""
    assert printed(code, ROOT) == ""
