"""What can be imported: all of it documented, typed and named, and nothing by accident."""

from __future__ import annotations

import ast
import inspect
import pickle
import pickletools
import traceback
import typing
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

import bluexp_jobs
import cfjobs
import common
import ontapjobs
from common.exports import api
from common.model import errors
from common.model.errors import JobFailed, JobsError, JobsFailed, WaitTimeout
from common.sources.base import BaseSource
from common.sources.protocol import JobSource
from tests.common.test_embedding import ROOT, printed
from tests.pickled import pickled

PACKAGES = (common, bluexp_jobs, cfjobs, ontapjobs)
PROVIDERS = PACKAGES[1:]
SOURCES = (bluexp_jobs.BlueXPJobs, cfjobs.CFJobs, ontapjobs.OntapJobs)
# A provider makes itself known with these; its users never call them.
PLUMBING = {"annotations", "register_provider", "PROVIDER"}


def name_of(thing: Any) -> str:
    return str(thing.__name__)


EXCEPTIONS: dict[str, type[Any]] = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, BaseException)
}


def public(package: ModuleType) -> Iterator[tuple[str, Any]]:
    """What a package exports, and the methods that its classes define themselves; not those of exceptions."""
    for name in package.__all__:
        value = getattr(package, name)
        yield name, value
        if inspect.isclass(value) and not issubclass(value, BaseException):
            for attribute, member in vars(value).items():
                if inspect.isfunction(member) and not attribute.startswith("_"):
                    yield f"{name}.{attribute}", member


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_all_is_what_is_visible(package: ModuleType) -> None:
    visible = {
        name
        for name in dir(package)
        if not name.startswith("_") and not isinstance(getattr(package, name), ModuleType)
    }
    assert visible - PLUMBING == set(package.__all__)


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_all_is_sorted_constants_then_classes_then_functions(package: ModuleType) -> None:
    def key(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)

    local = package.__all__[: -len(api.__all__)]
    assert package.__all__ == local + api.__all__
    for names in (local, api.__all__):
        assert names == sorted(set(names), key=key)


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_a_package_says_that_it_is_typed(package: ModuleType) -> None:
    assert (Path(str(package.__file__)).parent / "py.typed").is_file()


@pytest.mark.parametrize("package", PROVIDERS, ids=name_of)
def test_a_provider_re_exports_every_exception_that_its_users_meet(package: ModuleType) -> None:
    assert EXCEPTIONS.keys() - set(package.__all__) == set()
    assert {name: getattr(package, name) for name in EXCEPTIONS} == EXCEPTIONS


def test_providers_agree_on_what_they_share() -> None:
    shared = [{name for name in package.__all__ if hasattr(common, name)} for package in PROVIDERS]
    assert shared[0] == shared[1] == shared[2]


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_everything_public_is_documented(package: ModuleType) -> None:
    assert [
        name
        for name, value in public(package)
        if (inspect.isclass(value) or inspect.isfunction(value)) and not inspect.getdoc(value)
    ] == []


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_hosts_that_read_type_hints_can(package: ModuleType) -> None:
    # Constructors name httpx, and exceptions the model that is built upon them: neither is imported for that.
    for name, value in public(package):
        if inspect.isfunction(value):
            assert "return" in typing.get_type_hints(value), name
        elif inspect.isclass(value) and value is not common.SourceOptions:  # which names httpx
            assert typing.get_type_hints(value).keys() >= value.__annotations__.keys(), name


GROUPED = {name: found for name, found in EXCEPTIONS.items() if not issubclass(found, BaseExceptionGroup)}


@pytest.mark.parametrize("found", GROUPED.values(), ids=name_of)
def test_every_exception_is_one_of_ours_and_travels(found: type[Any]) -> None:
    assert issubclass(found, JobsError)
    needs: dict[str, Any] = {"status": 500} if issubclass(found, errors.ApiError) else {}
    job = ontapjobs.parse_job({"uuid": "j1", "state": "failure"}, endpoint="https://cluster1")
    error = (
        found(job) if issubclass(found, errors.JobFailed) else found("said", ref=job.ref, job=job, **needs)
    )
    again = pickled(error)
    assert type(again) is found
    assert (str(again), again.ref, again.job, vars(again)) == (str(error), job.ref, job, vars(error))


def test_the_tree_of_exceptions_is_drawn_as_it_is() -> None:
    drawing = (errors.__doc__ or "").split("\n\n")[1].splitlines()
    above: list[str] = []
    drawn: dict[str, str] = {}
    for line in drawing:
        name = line.replace("|", " ").replace("+--", "   ").split()[0]
        depth = (line.find("+--") + 4) // 5
        above[depth:] = [name]
        if depth:
            drawn[name] = above[depth - 1]
    assert drawn == {
        name: found.__mro__[1].__name__ for name, found in GROUPED.items() if found is not JobsError
    }


@pytest.mark.parametrize("source", SOURCES, ids=name_of)
def test_a_source_is_the_protocol_and_shares_its_waiting(source: type[BaseSource]) -> None:
    assert issubclass(source, BaseSource)
    wanted = inspect.signature(JobSource.wait)
    assert inspect.signature(source.wait).parameters.keys() == wanted.parameters.keys()
    for name in ("get", "act", "wait", "list", "watch", "adopt", "start", "ref", "aclose"):
        assert callable(getattr(source, name))


@pytest.mark.parametrize("package", PROVIDERS, ids=name_of)
def test_the_pure_decoders_take_what_the_contract_says(package: ModuleType) -> None:
    parameters = inspect.signature(package.parse_job).parameters
    assert list(parameters)[:4] == ["data", "endpoint", "scope", "id"]
    assert (parameters["endpoint"].default, parameters["scope"].default, parameters["id"].default) == (
        "",
        (),
        "",
    )
    assert hasattr(package, "parse_jobs") == (package is not cfjobs)


# --- the module that public classes name


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_a_public_class_is_from_the_package_that_users_import_it_from(package: ModuleType) -> None:
    for name, value in public(package):
        # That of ontapjobs is imported only when it is asked for.
        if inspect.isclass(value) and value is not ontapjobs.ClientCredentials:
            home = common if hasattr(common, name) else package
            assert (value.__module__, value.__qualname__) == (home.__name__, name)


def test_annotations_are_read_where_they_were_written() -> None:
    hints = typing.get_type_hints(common.Job)
    assert (hints["finished_at"], hints["links"]) == (datetime | None, Mapping[str, str])
    assert typing.get_type_hints(common.JobItem)["items"] == tuple[common.JobItem, ...]
    assert attrs.fields(attrs.resolve_types(common.Job)).finished_at.type == datetime | None
    outcomes = dict[common.JobRef, common.Job | common.JobsError | None]
    assert typing.get_type_hints(common.JobsFailed) == {"outcomes": outcomes}


JOBS = (
    ontapjobs.parse_job(
        {
            "uuid": "j1",
            "state": "failure",
            "start_time": "2026-01-02T03:04:05Z",
            "error": {"message": "no space", "code": "4", "arguments": [{"message": "vol1"}]},
            "svm": {"name": "svm1"},
            "_links": {"self": {"href": "/api/cluster/jobs/j1"}},
        },
        endpoint="https://cluster1",
    ),
    bluexp_jobs.parse_job(
        {
            "job": {
                "id": "j2",
                "status": "FAILED",
                "data": {
                    "multi-volume-backup": {"volume": [{"id": "v1", "status": "FAILED", "error": "no"}]}
                },
            }
        },
        endpoint="https://api.example.com",
    ),
    cfjobs.parse_job(
        {
            "guid": "j3",
            "state": "FAILED",
            "errors": [{"code": 1, "title": "CF-No", "detail": "no"}],
            "links": {"self": {"href": "https://api.example.org/v3/jobs/j3"}},
        },
        endpoint="https://api.example.org",
    ),
)
PICKLED = {
    "jobs": JOBS,
    "failure": JobFailed(JOBS[0]),
    "timeout": WaitTimeout("too late", ref=JOBS[1].ref, job=JOBS[1]),
    "group": JobsFailed.of((job.ref, JobFailed(job)) for job in JOBS),
    "event": common.Event(common.EventKind.ENDED, JOBS[2].ref, JOBS[2]),
    "adopted": common.Adopted((JOBS[0].ref,), JOBS[:1]),
    "policy": common.PollPolicy(),
}


@pytest.mark.parametrize("value", PICKLED.values(), ids=PICKLED)
def test_a_pickle_names_what_users_import_and_no_module_within(value: object) -> None:
    named = {
        str(argument)
        for operation, argument, _ in pickletools.genops(pickle.dumps(value, protocol=2))
        if operation.name == "GLOBAL"
    }
    packages = {package.__name__ for package in PACKAGES}
    ours = {name for name in named if name.partition(".")[0].partition(" ")[0] in packages}
    assert ours
    assert {name.partition(" ")[0] for name in ours} <= packages


@pytest.mark.slow
@pytest.mark.parametrize("value", PICKLED.values(), ids=PICKLED)
@pytest.mark.parametrize("protocol", [0, pickle.HIGHEST_PROTOCOL])
def test_a_pickle_is_read_by_a_process_that_has_imported_nothing(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    code = f"import pickle; print(ascii(pickle.loads(bytes.fromhex({data.hex()!r}))))"
    assert printed(code, ROOT) == ascii(pickled(value))


def test_a_traceback_names_an_exception_as_users_import_it() -> None:
    for error in (JobFailed(JOBS[0]), WaitTimeout("too late"), PICKLED["group"]):
        assert isinstance(error, BaseException)
        first, *_ = traceback.format_exception_only(error)
        assert first.startswith(f"common.{type(error).__name__}: ")


@pytest.mark.slow
def test_every_module_says_in_its_first_sentence_what_it_decides() -> None:
    root = Path(str(common.__file__)).parents[1]
    silent = []
    for package in PACKAGES:
        for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            if not name.endswith("__main__") and not ast.get_docstring(ast.parse(path.read_text("utf-8"))):
                silent.append(name)
    assert silent == []


def test_no_folder_has_more_than_13_modules_and_no_module_more_than_350_lines() -> None:
    root = Path(str(common.__file__)).parents[1]
    modules = [path for package in PACKAGES for path in Path(str(package.__file__)).parent.rglob("*.py")]
    inside = [path for path in modules if path.name != "__init__.py"]
    folders = Counter(str(path.parent.relative_to(root)) for path in inside)
    assert {folder: count for folder, count in folders.items() if count > 13} == {}
    lines = {str(path.relative_to(root)): len(path.read_text("utf-8").splitlines()) for path in modules}
    assert {path: count for path, count in lines.items() if count > 350} == {}
