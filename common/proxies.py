"""Whether the environment puts a proxy before an endpoint."""

from __future__ import annotations

from urllib.parse import urlsplit


def behind_a_proxy(endpoint: str) -> bool:
    """Whether requests may have to go through a proxy of the environment (``HTTPS_PROXY`` and its like).

    False only where all readings of ``NO_PROXY`` agree that there is none.
    """
    from urllib.request import getproxies  # lazily: it takes long to import

    proxies = getproxies()
    parts = urlsplit(endpoint)
    if not any(proxies.get(name) for name in (parts.scheme, "all")):
        return False
    host = parts.hostname or ""
    names = [name.strip() for name in proxies.get("no", "").split(",")]
    return not any(name in {"*", host} or _is_within(host, name.lstrip(".")) for name in names)


def _is_within(host: str, domain: str) -> bool:
    return bool(domain) and host.endswith(f".{domain}")
