"""Decide what of a link is used: the path of the source's own endpoint, whatever host the link names."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from common.model.errors import UsageError
from common.response.writes import check_path

JOBS = "/api/cluster/jobs"
"""Where the jobs of a cluster are: all but those that a link says to be elsewhere."""
RESULTS_QUERY = "job_results_uuid"
"""The parameter of a collection that selects the results of one job's records."""
MAX_LINK = 2_000
"""Characters of a path that is followed, at most."""

_GATEWAY = re.compile(r"/api/gateways/[^/]+(/api)?(?=/)")
"""Active IQ Unified Manager's own path, which takes the place of ``/api`` (see `ontapjobs.paths.gateway`)."""
_JOBS_ELSEWHERE = re.compile(r"/api/[^?]+/jobs")


def own_path(href: str | None) -> str | None:
    """Return a link's path and query below the endpoint, None if it is not a path of the REST API.

    Proxies name other hosts, and put something before the path: of a link only what begins with ``/api/``
    counts, which Active IQ Unified Manager's gateway replaces by its own.
    """
    try:
        parts = urlsplit(href or "")
        api = parts.path.find("/api/")
        path = _GATEWAY.sub("/api", parts.path[api:], count=1)
        path = check_path(f"{path}?{parts.query}" if parts.query else path)
    except (ValueError, UsageError):
        return None
    return path if api >= 0 and len(path) <= MAX_LINK else None


def results_hint(href: str | None, id: str) -> str | None:
    """Return the shortest text from which `results_target` makes the target of a results link again."""
    path = own_path(href)
    if path is None:
        return None
    base, _, query = path.partition("?")
    return base if query in ("", f"{RESULTS_QUERY}={id}") else path


def results_target(href: str | None, id: str) -> str | None:
    """Return the path and query of the results that a link or a hint names, None where it names none."""
    path = own_path(href)
    if path is None:
        return None
    base, _, query = path.partition("?")
    if any(name == RESULTS_QUERY for name, _ in parse_qsl(query)):
        return path
    return f"{base}?{query}{'&' if query else ''}{RESULTS_QUERY}={id}"


def id_in_results(href: str | None) -> str | None:
    """Return the id of the job whose results a link has, None where it names none."""
    query = (own_path(href) or "").partition("?")[2]
    return dict(parse_qsl(query)).get(RESULTS_QUERY)


def jobs_path(href: str | None) -> str | None:
    """Return the path of the collection that a job's link is in; None where that is the cluster's jobs.

    Also None for a link that is not a job's, which says nothing about where the job is.
    """
    base = (own_path(href) or "").partition("?")[0].rstrip("/").rpartition("/")[0]
    return base if is_jobs_path(base) else None


def is_jobs_path(text: str) -> bool:
    """Whether a text is the path of a collection of jobs other than the cluster's."""
    return bool(_JOBS_ELSEWHERE.fullmatch(text)) and text != JOBS and own_path(text) == text
