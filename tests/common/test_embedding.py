"""Living in another program: beside a package of the same name, lazily imported, copied into its tree."""

from __future__ import annotations

import ast
import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import common

pytestmark = pytest.mark.slow
"""Each starts interpreters of its own."""

ROOT = Path(str(common.__file__)).parents[1]
"""Where the packages are: a checkout, or what a wheel was installed into."""
PROVIDERS = ("bluexp_jobs", "cfjobs", "ontapjobs")
PACKAGES = ("common", *PROVIDERS)
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
HEAVY = (
    "aiohttp",
    "cattrs",
    "httpcore",
    "httpx",
    "httpx2",
    "keyring",
    "opentelemetry",
    "platformdirs",
    "rich",
    "tomllib",
    "trio",
    "uvicorn",
)


def run(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """What a fresh interpreter makes of some code, with these folders first on its path."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))
    }
    environment["PYTHONPATH"] = os.pathsep.join(map(str, path))
    return subprocess.run(  # noqa: S603  # this interpreter, on code of this file
        [sys.executable, "-P", "-W", "error", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def printed(code: str, *path: Path) -> str:
    """What such code prints; it must not fail."""
    done = run(code, *path)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


# --- a host that has a package called common too

FOREIGN_INIT = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)"

FOREIGN = {
    "a plain package": {"common/__init__.py": "", "common/helpers.py": "HELP = 1"},
    "a single module": {"common.py": "HELP = 1"},
    "a package with modules named as ours": {
        "common/__init__.py": "",
        "common/providers.py": "",
        "common/model.py": "class Model: ...",
    },
    "a package with a function named as ours": {
        "common/__init__.py": "",
        "common/providers.py": "def register(thing): return thing",
    },
    "an extending package with a module named as ours": {
        "common/__init__.py": FOREIGN_INIT,
        "common/model.py": "class Model: ...",
    },
}


@pytest.mark.parametrize("files", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_foreign_common_before_ours_is_named_in_one_clear_import_error(
    provider: str, files: dict[str, str], tmp_path: Path
) -> None:
    foreign = write(tmp_path, files)
    done = run(f"import {provider}", foreign, ROOT)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: {provider} needs the package 'common' of jobsource, but ")
    assert str(tmp_path / next(iter(files))) in last


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_failed_import_leaves_no_half_of_the_provider_behind(provider: str, tmp_path: Path) -> None:
    foreign = write(tmp_path, {"common/__init__.py": ""})
    code = f"""
import sys
try:
    import {provider}
except ImportError:
    print([name for name in sys.modules if name.partition(".")[0] == {provider!r}])
"""
    assert printed(code, foreign, ROOT) == "[]"


def test_a_missing_dependency_is_reported_as_what_it_is() -> None:
    done = run("import sys; sys.modules['anyio'] = None; from ontapjobs import OntapJobs", ROOT)
    last = done.stderr.strip().splitlines()[-1]
    assert "anyio" in last
    assert "was imported instead" not in last


def test_a_hosts_own_helpers_resolve_beside_ours(tmp_path: Path) -> None:
    host = write(tmp_path, {"common/__init__.py": "", "common/helpers.py": "HELP = 42"})
    code = """
import ontapjobs
import common
from common.helpers import HELP
from common.model.errors import JobsError
print(HELP, ontapjobs.JobsError is JobsError, common.__file__)
"""
    assert printed(code, ROOT, host) == f"42 True {ROOT / 'common' / '__init__.py'}"


def test_a_hosts_folder_without_init_does_not_shadow_ours(tmp_path: Path) -> None:
    host = write(tmp_path, {"common/helpers.py": "HELP = 42"})
    code = "import ontapjobs; from common.helpers import HELP; print(HELP)"
    assert printed(code, host, ROOT) == "42"


def test_a_host_that_extends_its_own_path_gets_on_with_ours(tmp_path: Path) -> None:
    host = write(tmp_path, {"common/__init__.py": FOREIGN_INIT, "common/helpers.py": "HELP = 42"})
    code = "import ontapjobs; from common.helpers import HELP; print(HELP, ontapjobs.OntapJobs.provider)"
    assert printed(code, host, ROOT) == "42 ontap"


HELP = "import common.helpers; print(common.helpers.HELP, common.Job.__name__)"


@pytest.mark.parametrize("init", [{}, {"common/__init__.py": "raise RuntimeError('not this one')"}])
@pytest.mark.parametrize("first", ["import common", "import ontapjobs", "pass"])
def test_a_folder_that_comes_onto_the_path_later_brings_its_helpers(
    first: str, init: dict[str, str], tmp_path: Path
) -> None:
    """As Airflow's folder of DAGs, which is appended, whether before or after the first import of ours."""
    folder = write(tmp_path, {**init, "common/helpers.py": "HELP = 42", "common/model/__init__.py": "1 / 0"})
    code = f"import sys; {first}; sys.path.append({str(folder)!r}); {HELP}; import common.model.job"
    assert printed(code, ROOT) == "42 Job"


AFTER_OURS = {
    "a plain package": {"common/__init__.py": "raise RuntimeError('not this one')"},
    "a single module": {"common.py": "raise RuntimeError('not this one')"},
    "a namespace package": {"common/helpers.py": "HELP = 1"},
    "a package with modules named as ours": {"common/__init__.py": "", "common/providers.py": "1 / 0"},
}


@pytest.mark.parametrize("files", AFTER_OURS.values(), ids=AFTER_OURS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_foreign_common_behind_ours_is_no_trouble(
    provider: str, files: dict[str, str], tmp_path: Path
) -> None:
    code = f"import {provider}, common; print(common.__file__)"
    assert printed(code, ROOT, write(tmp_path, files)) == str(ROOT / "common" / "__init__.py")


# --- what other programs load when they start, in a host whose own common stands before ours

PYTEST = """
import sys, pytest
sys.exit(pytest.main(["-q", "-p", "no:asyncio", "-p", "no:cacheprovider", "--rootdir", {root!r}, {root!r}]))
"""


@pytest.mark.parametrize("files", FOREIGN.values(), ids=FOREIGN)
def test_pytest_starts_and_runs_the_hosts_tests(files: dict[str, str], tmp_path: Path) -> None:
    host = write(
        tmp_path, {**files, "test_host.py": "import common\n\ndef test_it(): assert common.__file__"}
    )
    assert "1 passed" in printed(PYTEST.format(root=str(host)), host, ROOT)


@pytest.mark.parametrize("files", FOREIGN.values(), ids=FOREIGN)
def test_a_test_of_the_host_that_imports_a_provider_is_told_what_is_wrong(
    files: dict[str, str], tmp_path: Path
) -> None:
    host = write(tmp_path, {**files, "test_host.py": "import ontapjobs"})
    done = run(PYTEST.format(root=str(host)), host, ROOT)
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert "ImportError: ontapjobs needs the package 'common' of jobsource, but " in done.stdout


@pytest.mark.parametrize("files", FOREIGN.values(), ids=FOREIGN)
def test_what_airflow_loads_when_it_starts_needs_no_common(files: dict[str, str], tmp_path: Path) -> None:
    code = """
from importlib.metadata import entry_points
points = entry_points(group="apache_airflow_provider")
(point,) = [each for each in points if each.value.startswith("jobsource.")]
print(point.load()()["package-name"])
"""
    assert printed(code, write(tmp_path, files), ROOT) == "jobsource"


def test_a_folder_that_leaves_the_path_leaves_the_packages_path_too(tmp_path: Path) -> None:
    folder = write(tmp_path, {"common/helpers.py": "HELP = 42"})
    code = f"""
import sys, common
ours = list(common.__path__)
sys.path.append({str(folder)!r})
print(common.__path__[1:] == [{str(folder / "common")!r}], len(common.__path__), common.__path__)
sys.path.pop()
print(list(common.__path__) == ours)
try:
    import common.helpers
except ModuleNotFoundError as error:
    print(error)
"""
    own, other = str(ROOT / "common"), str(folder / "common")
    assert printed(code, ROOT).splitlines() == [
        f"True 2 PackagePath({[own, other]!r})",
        "True",
        "No module named 'common.helpers'",
    ]


def test_a_folder_may_be_added_to_the_packages_path_by_hand(tmp_path: Path) -> None:
    folder = write(tmp_path, {"helpers.py": "HELP = 42", "more/extra.py": "HELP = 7"})
    code = f"""
import common
common.__path__.append({str(folder)!r})
common.__path__.insert(0, {str(folder)!r})
common.__path__[0] = {str(folder / "more")!r}
from common.extra import HELP
del common.__path__[0]
import common.helpers
print(HELP, common.helpers.HELP, len(common.__path__))
"""
    assert printed(code, ROOT) == "7 42 2"


# --- another distribution that brings files of these names


def install(site: Path, name: str, files: dict[str, str]) -> None:
    """Write a distribution's files as pip does: over those that are there, with a record of their hashes."""
    write(site, files)
    record(site, name, [site / path for path in files])


def record(site: Path, name: str, files: Iterable[Path]) -> None:
    lines = []
    for path in files:
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).decode().rstrip("=")
        lines.append(f"{path.relative_to(site).as_posix()},sha256={digest},{path.stat().st_size}")
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    folder = site / f"{name.replace('-', '_')}-1.0.dist-info"
    write(folder, {"METADATA": metadata, "RECORD": "\n".join(lines)})


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages, ours among them."""
    site = tmp_path / "site-packages"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, site / package)
    record(site, "jobsource", (site / path.relative_to(ROOT) for path in MODULES))
    return site


ALONE = f"import sys; sys.path[:] = [folder for folder in sys.path if folder != {str(ROOT)!r}]"
"""What makes an editable installation of this repository out of reach."""
OVERWRITTEN = {
    "an empty __init__": {"common/__init__.py": ""},
    "an __init__ that extends its path": {"common/__init__.py": FOREIGN_INIT},
    "an __init__ that cannot be imported": {"common/__init__.py": "import no_such_thing_of_acme"},
    "an __init__ that fails": {"common/__init__.py": "{}['acme']"},
    "a module without our names": {"common/options.py": "ACME = 1"},
    "a module that fails": {"common/model/states.py": "{}['acme']"},
    "what only the provider imports": {"common/sources/http.py": "class Http: ...", "common/acme.py": ""},
}


@pytest.mark.parametrize("files", OVERWRITTEN.values(), ids=OVERWRITTEN)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_distribution_that_has_overwritten_files_of_ours_is_named(
    provider: str, files: dict[str, str], site: Path
) -> None:
    install(site, "acme-common", files)
    code = f"""
import sys, traceback
try:
    import {provider}
except ImportError:
    traceback.print_exc()
    print([name for name in sys.modules if name.partition(".")[0] == {provider!r}])
"""
    done = run(code, site)
    assert done.stdout.strip() == "[]"
    last = done.stderr.strip().splitlines()[-1]
    taken = next(iter(files))
    assert last.startswith(
        f"ImportError: {provider} needs the package 'common' of jobsource, but the distribution "
        f"'acme-common', which has overwritten {taken}, was imported instead: "
    )
    assert all(what in last for what in ("virtual environment", "pkgutil.extend_path", "vendor"))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_init_that_is_not_ours_or_missing_is_refused_whoever_did_it(provider: str, site: Path) -> None:
    for change in (lambda path: path.write_text(""), Path.unlink):
        change(site / "common" / "__init__.py")
        last = run(f"{ALONE}; import {provider}", site).stderr.strip().splitlines()[-1]
        assert last.startswith(f"ImportError: {provider} needs the package 'common' of jobsource, but ")
        assert str(site / "common") in last


def test_a_distribution_that_adds_to_our_folder_or_was_overwritten_by_us_is_welcome(site: Path) -> None:
    install(site, "acme-helpers", {"common/helpers.py": "HELP = 42"})
    record(site, "acme-common", [site / "common" / "__init__.py"])
    code = "import ontapjobs, cfjobs, bluexp_jobs; from common.helpers import HELP; print(HELP)"
    assert printed(code, site) == "42"


def test_an_error_of_another_kind_is_told_as_it_is_beside_a_distribution_that_was_overwritten(
    site: Path,
) -> None:
    record(site, "acme-common", [site / "common" / "__init__.py"])
    done = run("import sys; sys.modules['attrs'] = None; import cfjobs", site)
    assert "ModuleNotFoundError: import of attrs halted" in done.stderr.strip().splitlines()[-1]


# --- what an import brings with it


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_imports_nothing_heavy(package: str) -> None:
    code = f"import sys; import {package}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    assert printed(code, ROOT) == ""


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_imports_no_provider_but_itself(package: str) -> None:
    code = f"import sys; import {package}; print(*sorted(set({PROVIDERS!r}) & set(sys.modules)))"
    assert printed(code, ROOT) == ("" if package == "common" else package)


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_has_no_effects(package: str) -> None:
    code = f"""
import logging, sys, threading, warnings
before = (list(warnings.filters), logging.root.handlers[:], logging.root.level, list(sys.path))
import {package}
after = (list(warnings.filters), logging.root.handlers[:], logging.root.level, list(sys.path))
print(before == after, logging.getLogger("jobsource").handlers, threading.active_count())
"""
    assert printed(code, ROOT) == "True [] 1"


@pytest.mark.parametrize(
    ("package", "name"), [("ontapjobs", "ontap"), ("bluexp_jobs", "bluexp"), ("cfjobs", "cf")]
)
def test_importing_a_provider_makes_its_refs_known(package: str, name: str) -> None:
    code = f"""
import {package}
from common.providers import get_provider, is_ref
print(*map(is_ref, ["{name}://h/id", "{name}+http://h/id", "id"]), get_provider({name!r}).source().provider)
"""
    assert printed(code, ROOT) == f"True True False {name}"


def test_what_tests_need_imports_neither_pytest_nor_a_library_that_is_not_used() -> None:
    code = f"""
import sys
import common.testing
print(*sorted({{"pytest", "_pytest", *{HEAVY!r}}} & set(sys.modules)))
"""
    assert printed(code, ROOT) == ""


def test_decoding_alone_needs_no_http_library() -> None:
    code = """
import sys
sys.modules["httpx"] = None
import ontapjobs
print(ontapjobs.parse_job(b'{"uuid": "j1", "state": "success"}').state)
"""
    assert printed(code, ROOT) == "succeeded"


# --- how the packages name each other

Modules = dict[str, ast.Module]


@pytest.fixture(scope="module")
def modules() -> Modules:
    """Each module of the four packages, by its path."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text())
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def imports(module: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    """Each import in a module, with the name of the package that is imported from."""
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            yield node, (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name.partition(".")[0]


def test_the_packages_import_each_other_only_by_from_common_x_import_y(modules: Modules) -> None:
    wrong: list[tuple[str, str]] = []
    for path, module in modules.items():
        for node, package in imports(module):
            if isinstance(node, ast.ImportFrom) and node.level:
                wrong.append((path, ast.unparse(node)))  # relative imports hide which package is meant
            elif package in PACKAGES:
                good = isinstance(node, ast.ImportFrom) and "." in (node.module or "")
                if not good:
                    wrong.append((path, ast.unparse(node)))
    assert wrong == []


def test_providers_import_common_and_nobody_imports_a_provider(modules: Modules) -> None:
    assert [
        (path, package)
        for path, module in modules.items()
        for _, package in imports(module)
        if package in PROVIDERS and package != Path(path).parts[0]
    ] == []


def test_no_string_names_a_module_that_a_vendoring_tool_would_have_to_rewrite(modules: Modules) -> None:
    dotted = re.compile(rf"({'|'.join(PACKAGES)})(\.[a-z_]+)+(:\w+)?")
    assert [
        (path, node.value)
        for path, module in modules.items()
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and dotted.fullmatch(node.value)
    ] == []
