"""A job of ONTAP's with all that one can have, and a page of a list with it."""

from __future__ import annotations

from typing import Any

UUID = "5d0f3f0e-77aa-11ee-9c31-005056a1b2c3"
OTHER = "6e1a4a1f-77aa-11ee-9c31-005056a1b2c3"
SELF = f"/api/cluster/jobs/{UUID}"
FULL: dict[str, Any] = {
    "uuid": UUID,
    "description": "POST /api/storage/volumes",
    "state": "failure",
    "message": "the volume exists already",
    "code": 917927,
    "start_time": "2026-02-03T10:00:00+01:00",
    "end_time": "2026-02-03T10:00:09+01:00",
    "svm": {"name": "svm1", "uuid": "aa-11", "_links": {"self": {"href": "/api/svm/svms/aa-11"}}},
    "node": {"name": "node-a"},
    "error": {
        "message": "volume exists",
        "code": "917927",
        "target": "name",
        "arguments": [{"code": "1", "message": "vol1"}, {"message": "svm1"}],
    },
    "_links": {"self": {"href": SELF}},
}
PAGE: dict[str, Any] = {
    "records": [FULL, {"uuid": OTHER, "state": "running"}],
    "num_records": 2,
    "_links": {"self": {"href": "/api/cluster/jobs"}, "next": {"href": "/api/cluster/jobs?start.uuid=x"}},
}
