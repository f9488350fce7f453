"""The results of a write of many records: what the simulated ONTAP has at a job's link ``results``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ontapjobs.simulator.errors import FAILED, gone
from ontapjobs.simulator.job_record import has_ended, is_gone

if TYPE_CHECKING:
    from common.simulator.messages import Request
    from common.simulator.script import ScriptedJob

RESULTS = "results"
"""The field of a job that holds its results, and where they are. It is in no record."""
RESULTS_PATH = "results_path"
PARAMETER = "job_results_uuid"
PLACE = re.compile(r"records\[(\d+)\]")


def fields_of_write(request: Request, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the job that a write starts; those of a write of many records have results.

    Unless ``fields`` has them, they are all records in the request's body, except those that are the target
    of one of the given ``errors`` (``records[1]``).
    """
    records = _posted(request)
    given = fields.get(RESULTS)
    if given is None and records is None:
        return dict(fields)
    results: dict[str, Any] = {**(given or {})}
    errors = results.setdefault("errors", [])
    results.setdefault("rollback_errors", [])
    failed = {int(found[1]) for error in errors if (found := PLACE.match(str(error.get("target"))))}
    done = [record for place, record in enumerate(records or []) if place not in failed]
    results.setdefault("records", done)
    return {**fields, RESULTS: results, RESULTS_PATH: request.path}


def results_link(job: ScriptedJob) -> dict[str, Any]:
    """Return the link to a job's results, as the response to its write has it; none without results."""
    path = job.fields.get(RESULTS_PATH)
    return {} if path is None else {RESULTS: {"href": f"{path}?{PARAMETER}={job.id}"}}


def render_results(jobs: Mapping[str, ScriptedJob], request: Request, retention: float) -> dict[str, Any]:
    """Return the results of a job, without records and errors before its end.

    Those of a job that failed are its error, and no records, unless errors were given. Raise `OntapError` for
    a job that has no results, and for one that is gone.
    """
    job = jobs.get(request.query[PARAMETER])
    if job is None or job.fields.get(RESULTS_PATH) != request.path or is_gone(job, request.at, retention):
        raise gone()
    results: Mapping[str, Any] = job.fields[RESULTS]
    if not has_ended(job, request.at):
        results = {"records": [], "errors": [], "rollback_errors": []}
    moment = job.at(request.at)
    if moment is not None and moment.state in FAILED and not results["errors"]:
        error = moment.fields.get("error") or {"message": moment.fields.get("message") or "failed"}
        results = {**results, "records": [], "errors": [error]}
    return {**results, "num_records": len(results["records"])}


def _posted(request: Request) -> list[Any] | None:
    """Return the records of a write of many; None for any other write."""
    try:
        body = request.json() if request.method == "POST" else None
    except ValueError:
        return None
    records = body.get("records") if isinstance(body, dict) else None
    return records if isinstance(records, list) else None
