"""Where ONTAP's API is below an endpoint that has a path.

Active IQ Unified Manager serves the clusters that it manages below ``/api/gateways/{uuid}``, which takes the
place of ONTAP's own ``/api``: volumes are at ``/api/gateways/{uuid}/storage/volumes``. Links in its responses
are rewritten to match (Active IQ Unified Manager, "Access ONTAP APIs through proxy access": "You must remove
/api/ from the URL"). A path of any other form is a proxy's: the whole of ONTAP's path comes behind it.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from common.model.endpoints import origin, split_endpoint
from common.model.errors import UsageError

ROOT = "/api"
"""What every path of ONTAP's API begins with."""

_OWN = re.compile(r"/api/(?!gateways/)")
_GATEWAY = re.compile(r"(/[^/]+)*/api/gateways/[^/]+")


def replaced_root(prefix: str) -> str:
    """Return what an endpoint's path stands for in ONTAP's paths: ``/api`` at a gateway, else ""."""
    return ROOT if _GATEWAY.fullmatch(prefix) else ""


def outer_path(path: str, prefix: str) -> str:
    """Return where below an endpoint's path the server has a path of ONTAP's API."""
    root = replaced_root(prefix)
    return path[len(root) :] if path.startswith(f"{root}/") else path


def api_path(href: str, endpoint: str) -> str | None:
    """Return the path of ONTAP's API, with its query, that a link in a response leads to.

    None where it leads to another server, or out of the endpoint's own path. Some proxies pass links on as
    ONTAP writes them, by their path alone.
    """
    own_origin, prefix = split_endpoint(endpoint)
    try:
        parts = urlsplit(href)
        absolute = bool(parts.netloc or parts.scheme)
        if absolute and origin(f"{parts.scheme}://{parts.netloc}") != own_origin:
            return None
    except (ValueError, UsageError):
        return None
    path = parts.path
    if path.startswith(f"{prefix}/"):
        path = path[len(prefix) :]
        root = replaced_root(prefix)
        path = path if path.startswith(f"{root}/") else root + path
    elif not path.startswith("/") or (prefix and (absolute or not _OWN.match(path))):
        return None
    return f"{path}?{parts.query}" if parts.query else path
