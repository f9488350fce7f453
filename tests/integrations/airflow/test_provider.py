"""What Airflow's commands see of the providers, also beside a DAG folder that has a package ``common``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path
from pkgutil import resolve_name

import pytest
from jsonschema import validate

from common import UsageError, connect
from common.entry_points.airflow_provider import get_provider_info
from common.integrations.airflow.hook import JobsHook
from ontapjobs.airflow import OntapHook
from ontapjobs.simulator import OntapSimulator

TYPES = get_provider_info()["connection-types"]


def airflow(*arguments: str, path: Path) -> str:
    """Return what a command prints with a folder on its path."""
    command = [sys.executable, "-m", "airflow", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def dag_folder(tmp_path: Path) -> Path:
    """A DAG folder with a package that has the name of one of ours."""
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "__init__.py").touch()
    (tmp_path / "common" / "helpers.py").touch()
    return tmp_path


def test_the_metadata_fits_airflows_schema() -> None:
    schema = resources.files("airflow").joinpath("provider_info.schema.json").read_text()
    validate(get_provider_info(), json.loads(schema))


def test_what_the_metadata_names_exists() -> None:
    info = get_provider_info()
    for path in info["extra-links"]:
        resolve_name(path)
    for kind in info["connection-types"]:
        hook = resolve_name(kind["hook-class-name"])
        assert issubclass(hook, JobsHook)
        assert (hook.conn_type, hook.hook_name) == (kind["connection-type"], kind["hook-name"])
        assert f"{hook.__module__}.{hook.__qualname__}" == kind["hook-class-name"]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind["connection-type"])
def test_each_field_of_a_form_is_a_setting(kind: dict[str, dict[str, str]]) -> None:
    for field in kind["conn-fields"]:
        with pytest.raises(UsageError) as caught:
            connect(f"{kind['connection-type']}://host/", settings={field: "x", "no-such": "x"})
        assert "'no-such'" in str(caught.value)


def test_the_commands_work_beside_another_common(airflow_home: Path, dag_folder: Path) -> None:
    assert "jobsource" in airflow("providers", "list", path=dag_folder)
    airflow("connections", "list", path=dag_folder)


def test_a_dag_beside_another_common_says_so_in_one_sentence(dag_folder: Path) -> None:
    command = [sys.executable, "-c", "import ontapjobs.airflow"]
    environment = {**os.environ, "PYTHONPATH": str(dag_folder)}
    done = subprocess.run(
        command, cwd=dag_folder, env=environment, capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ontapjobs needs the package 'common' of jobsource, but ")


@pytest.mark.parametrize("first", ["common.helpers", "ontapjobs.airflow"])
def test_a_dag_folder_behind_the_environments_packages_is_found_too(first: str, dag_folder: Path) -> None:
    """As Airflow puts it: at the end of the path."""
    code = f"""
import sys
sys.path.append({str(dag_folder)!r})
import {first}
import common.helpers, ontapjobs.airflow
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_hook_tests_its_connection(ontap: OntapSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    works, text = OntapHook().test_connection()
    assert works, text
    connection = json.loads(os.environ["AIRFLOW_CONN_ONTAP_DEFAULT"])
    monkeypatch.setenv("AIRFLOW_CONN_ONTAP_DEFAULT", json.dumps({**connection, "password": "wrong"}))
    works, text = OntapHook().test_connection()
    assert not works
    assert "401" in text
    assert "wrong" not in text
