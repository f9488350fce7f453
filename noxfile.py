"""The project's checks, one session each: tests, lint and types by default, the others on request.

What comes after ``--`` goes to the session's tool: ``nox -s tests-3.12 -- -k waiting``. The tests run
in a process for each core, or one more: ``nox -s tests -- -n 0`` keeps to one.
"""

import json
import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["tests", "lint", "types"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
PACKAGES: list[str] = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
PROVIDERS = ("ontapjobs", "bluexp_jobs", "cfjobs")
FUZZED = (
    "tests/fuzz",
    *(f"tests/{package}/test_wire.py" for package in PROVIDERS),
    "tests/ontapjobs/test_fast_path.py",
    "tests/common/response/test_decoding.py",
    "tests/common/response/test_repair.py",
    "tests/common/response/test_http_response.py",
    "tests/common/model/test_refs.py",
    "tests/common/model/test_serialize.py",
)
"""Where the property tests are that read what others wrote."""
AIRFLOW = "tests/integrations/airflow"
QUICK_ORCHESTRATORS = (
    "tests/integrations/temporal",
    f"{AIRFLOW}/test_provider.py::test_the_metadata_fits_airflows_schema",
    f"{AIRFLOW}/test_provider.py::test_what_the_metadata_names_exists",
    f"{AIRFLOW}/test_paths.py::test_a_job_that_succeeds_is_the_xcom",
    f"{AIRFLOW}/test_paths.py::test_a_write_is_sent_once_and_its_job_is_the_xcom",
)
"""What tells within half a minute whether the integrations work at all."""
STRESS = ("tests/common/polling/test_poller_stress.py", "tests/common/sources/test_fleet_stress.py")
"""Tests of random courses of events."""
ORCHESTRATORS = {"airflow", "dagster", "prefect", "temporal"}
"""Names of modules that need what is not in the environment of the other sessions."""
PARALLEL = ("-n", "auto", "--dist", "worksteal")
"""A process for each core, and whichever is idle takes work from the others."""
ALL_TESTS = ("-n", str((os.cpu_count() or 1) + 1), "--dist", "worksteal")
"""One process more: a third of the time of the slow tests, a process waits for others or for the clock."""
WAITING = ("-n", "4", "--dist", "worksteal")
"""For tests that wait for other processes most of their time."""


def pyenv_folders() -> list[str]:
    """Return the ``bin`` folder of pyenv's newest release of each supported Python that pyenv has."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    folders: list[str] = []
    for python in PYTHONS:
        releases = {
            path.parent.name.removeprefix(f"{python}."): path for path in versions.glob(f"{python}.*/bin")
        }
        newest = max(filter(str.isdecimal, releases), key=int, default=None)
        if newest is not None:
            folders.append(str(releases[newest]))
    return folders


PYENV = pyenv_folders()
# pyenv's shims run only the versions that are selected, or else what comes behind them in the path.
os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *PYENV])
# Elsewhere, a Python that is missing is skipped; where pyenv has them all, not to find one is an error.
nox.options.error_on_missing_interpreters = len(PYENV) == len(PYTHONS)


def group(name: str) -> tuple[str, ...]:
    """Return the requirements of one of pyproject's dependency groups."""
    return nox.project.dependency_groups(PYPROJECT, name)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the test suite on each supported Python that is installed; each slow test runs on one of them."""
    session.install("-e", ".[all]", *group("test"))
    installed = [python for python in PYTHONS if shutil.which(f"python{python}") or python == session.python]
    share = f"{installed.index(str(session.python))}/{len(installed)}"
    session.run("pytest", *ALL_TESTS, *session.posargs, env={"JOBSOURCE_SLOW_TESTS": share})


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Run the test suite with the lowest versions that pyproject.toml allows, on the oldest Python."""
    session.install("uv")  # pip cannot
    lowest = ("--resolution", "lowest-direct")
    session.run("uv", "pip", "install", *lowest, "-e", ".[all,keyring]", *group("test"), silent=True)
    session.run("pytest", *ALL_TESTS, *session.posargs)


@nox.session(reuse_venv=True)
def quick(session: nox.Session) -> None:
    """Run all but the tests that are marked slow, within a minute: what to run while writing."""
    session.install("-e", ".[all]", *group("test"))
    # What pytest makes of the tests' assertions is kept for the next run, whatever the environment says.
    env = {"PYTHONDONTWRITEBYTECODE": ""}
    session.run("pytest", *PARALLEL, "-m", "not slow", *session.posargs, env=env)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting and the direction of imports between the packages."""
    session.install(*group("lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Type-check code and tests with mypy and pyright, and the public API for completeness."""
    session.install("-e", ".[all]", *group("types"))
    session.run("mypy", *session.posargs)
    session.run("pyright", *session.posargs)
    for package in PACKAGES:
        # Finds packages through the session's Python.
        command = ("pyright", "--verifytypes", package, "--ignoreexternal", "--outputjson")
        printed = str(session.run(*command, silent=True, success_codes=[0, 1]))
        report = json.loads(printed[printed.index("{\n") :])  # a hint of pyright's own may come first
        symbols = report["typeCompleteness"]["symbols"]
        unknown = [symbol["name"] for symbol in symbols if symbol["isExported"] and not symbol["isTypeKnown"]]
        # Nothing is known here of what is an orchestrator's: mypy checks it in that one's session.
        unknown = [name for name in unknown if not ORCHESTRATORS.intersection(name.split("."))]
        if unknown or not symbols:
            session.error(f"public types of {package} are not complete: {', '.join(unknown) or 'none found'}")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build/html; warnings are errors, broken links within it too."""
    session.install("-e", ".[cli]", *group("docs"))
    session.run("sphinx-build", "-q", "-W", "--keep-going", "docs", "docs/_build/html", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Install the wheel with all extras, as a user would, and run the demonstration."""
    session.install(".[all]")
    session.run("jobsource", "demo", *session.posargs)


@nox.session
def release(session: nox.Session) -> None:
    """Build the wheel and the sdist into dist/, check both, and run the quick tests on the wheel."""
    dist = Path("dist").resolve()
    shutil.rmtree(dist, ignore_errors=True)
    session.install(*group("release"))
    session.run("python", "-m", "build", "--outdir", str(dist), silent=True)
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    session.run("check-wheel-contents", str(wheel))
    session.run("twine", "check", "--strict", str(wheel), str(sdist))
    session.install(str(sdist))
    session.run("jobsource", "--version")
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.install(f"{wheel}[all]", *group("test"))
    # Beside the checkout: there, its packages would be imported instead.
    beside = Path(session.create_tmp(), "beside")
    shutil.rmtree(beside, ignore_errors=True)
    for name in ("tests", "docs"):
        shutil.copytree(name, beside / name, ignore=shutil.ignore_patterns("__pycache__", "_build"))
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "noxfile.py"):
        shutil.copy(name, beside)
    session.chdir(beside)
    session.run("python", "-c", f"import common; assert not common.__file__.startswith({str(beside)!r})")
    session.run("pytest", *PARALLEL, "-m", "not slow", *session.posargs)


@nox.session
def vendoring(session: nox.Session) -> None:
    """Embed the packages in another SDK by the tool `vendoring`, check that SDK's types, and let it wait."""
    sdk = Path(session.create_tmp(), "acme").resolve()
    shutil.rmtree(sdk, ignore_errors=True)
    shutil.copytree("tests/vendoring/acme", sdk, ignore=shutil.ignore_patterns("__pycache__"))
    session.install(*group("vendoring"))
    session.run("python", "-m", "build", "--wheel", "--outdir", str(sdk), silent=True)
    (wheel,) = sdk.glob("*.whl")
    Path(sdk, "src", "acme", "_vendor", "vendor.txt").write_text(f"{wheel}\n", "utf-8")
    session.install(*PYPROJECT["project"]["dependencies"])  # nothing that is optional, and not the packages
    session.chdir(sdk)
    session.run("vendoring", "sync")
    session.run("mypy", "--strict")
    session.run("python", "-W", "error", "-m", "acme.program", env={"PYTHONPATH": "src"})


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against the peers: a quick look at everything by default, --help tells of more."""
    session.install("-e", ".[all]", *group("bench"))
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Feed every reader 10,000 odd inputs a test, for some 20 minutes; JOBSOURCE_FUZZ sets another number."""
    session.install("-e", ".[all]", *group("test"))
    session.run("pytest", "--hypothesis-profile=fuzz", "-m", "hypothesis", *FUZZED, *session.posargs)


@nox.session
def storms(session: nox.Session) -> None:
    """Run 60 seeds of chaos, 300 waits each, on each system and event loop, for minutes (see -- --help).

    Without arguments, also 60 seeds of the stress tests of the poller, of sets, and of fleets of 50 systems.
    """
    session.install("-e", ".[all]", *group("test"))
    args = session.posargs or ["--seeds", "60", "--waits", "300"]
    session.run("python", "-m", "tests.faults.chaos", *args)
    if not session.posargs:
        session.run("pytest", *PARALLEL, *STRESS, env={"JOBSOURCE_STRESS_SEEDS": "60"})


@nox.session
def flat(session: nox.Session) -> None:
    """Soak test: poll 1,000 jobs for a virtual week, which takes an hour; memory must stay constant."""
    session.install("-e", ".[all]", *group("test"))
    env = {"JOBSOURCE_FLAT_JOBS": "1000"}
    session.run("pytest", "-s", "tests/faults/test_soak.py", *session.posargs, env=env)


@nox.session
def clients(session: nox.Session) -> None:
    """Let other people's clients, as released, wait beside ours on the simulators: both must see the same."""
    session.install("-e", ".[all]", *group("test"), *group("clients"))
    session.run("python", "-c", "import cloudfoundry_client, netapp_ontap")  # without them, pytest would skip
    session.run("pytest", "tests/clients", *session.posargs)


def check_types(session: nox.Session, name: str, **env: str) -> None:
    """Check the types of what needs an orchestrator, where that is installed."""
    modules = [Path(package, f"{name}.py") for package in PROVIDERS]
    for folder in ("common/integrations", "tests/integrations", "docs/examples"):
        modules += Path(folder).glob(f"{name}*/**/*.py")
    session.run("mypy", "--python-version", str(session.python), *map(str, modules), env=env)


@nox.session(python="3.12")
def orchestrators(session: nox.Session) -> None:
    """Run what is quick of the tests with Airflow and Temporal: no server, no processes of Airflow's own."""
    session.install("uv")  # pip takes a minute for Airflow
    packages = ("-e", ".[airflow,temporal,fast,simulator]")
    session.run("uv", "pip", "install", *packages, *group("test"), silent=True)
    session.run("pytest", "-m", "not slow", *QUICK_ORCHESTRATORS, *session.posargs)


@nox.session(python="3.12")
def airflow(session: nox.Session) -> None:
    """Check the types of what needs Airflow, and run each way through operators and triggers."""
    session.install("-e", ".[airflow,fast,simulator]", *group("airflow"))
    check_types(session, "airflow")
    session.run("pytest", "tests/integrations/airflow", *session.posargs)


@nox.session(python="3.12")
def airflow_e2e(session: nox.Session) -> None:
    """Run Airflow's own processes, crashes and restarts of them included, for some 6 minutes."""
    session.install("-e", ".[airflow,fast,simulator]", *group("test"))
    session.run("pytest", "-s", "tests/integrations/airflow_e2e", *session.posargs)


@nox.session(python="3.12")
def dagster(session: nox.Session) -> None:
    """Check the types of what needs Dagster, and run it, by Dagster's own daemon too, for four minutes."""
    session.install("-e", ".[dagster,fast,simulator]", *group("types"))
    check_types(session, "dagster")
    session.run("pytest", "tests/integrations/dagster", *session.posargs)


@nox.session(python="3.12")
def prefect(session: nox.Session) -> None:
    """Check the types of what needs Prefect, and run it on Prefect's own server, for some six minutes."""
    session.install("-e", ".[prefect,fast,simulator]", *group("prefect"))
    check_types(session, "prefect")
    session.run("pytest", "-s", "tests/integrations/prefect", *session.posargs)


@nox.session(python="3.12")
def temporal(session: nox.Session) -> None:
    """Check the types of what needs Temporal, and run it on Temporal's own server, for two minutes."""
    session.install("-e", ".[temporal,fast,simulator]", *group("temporal"))
    check_types(session, "temporal", MYPYPATH="docs/examples/temporal")  # programs that import each other
    session.run("pytest", *WAITING, "tests/integrations/temporal", *session.posargs)


@nox.session(python="3.12")
def recipes(session: nox.Session) -> None:
    """Run the recipes of the documentation, and kill processes of theirs: Celery, Dask, Ray, a service."""
    session.install("-e", ".[fast,simulator]", *group("recipes"))
    folders = ("docs/examples/recipes", "tests/integrations/recipes")
    programs = [str(path) for folder in folders for path in Path(folder).glob("*.py")]
    untyped = ("--allow-untyped-calls", "--allow-untyped-decorators", "--ignore-missing-imports")
    session.run("mypy", "--python-version", "3.12", *untyped, *programs)
    session.run("pytest", "-s", "tests/integrations/recipes", *session.posargs)


@nox.session
def mutations(session: nox.Session) -> None:
    """Mutation tests: a test must notice each small change of what decides (-- --seconds 600: a sample)."""
    session.install("-e", ".[all]", *group("test"))
    session.run("python", "-m", "tests.mutations", *session.posargs)
