"""Make TLS contexts, one for each setting and process: each costs some 40 ms and 0.8 MB."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from common.model.errors import UsageError

if TYPE_CHECKING:
    import ssl

    from common.options import Cert, Verify


def tls_context(verify: Verify = True, cert: Cert | None = None, *, public: bool = False) -> ssl.SSLContext:
    """Return the shared context for these settings. Raise `UsageError` for files that cannot be loaded.

    With ``public``, a CA file is trusted in addition to the well-known authorities, not instead of them.
    """
    import ssl  # lazily, here and below: a process that only decodes does not need it

    if isinstance(verify, ssl.SSLContext):
        if cert is not None:
            raise UsageError("cert= beside an ssl.SSLContext: load the certificate into the context instead")
        return verify
    if not isinstance(verify, bool | str | os.PathLike) or verify == "":
        raise UsageError("verify= must be True, False, the path of a CA file, or an ssl.SSLContext")
    ca = verify if isinstance(verify, bool) else os.fspath(verify)
    return _context(ca, () if cert is None else _chain(cert), public and isinstance(ca, str))


def _chain(cert: Cert) -> tuple[str, ...]:
    parts = cert if isinstance(cert, tuple) else (cert,)
    if not 1 <= len(parts) <= 3 or not all(
        isinstance(part, str | os.PathLike) and (part or index == 2) for index, part in enumerate(parts)
    ):
        raise UsageError("cert= must be a PEM file, (certificate, key) or (certificate, key, password)")
    return tuple(os.fspath(part) for part in parts)


@functools.lru_cache(maxsize=32)
def _context(verify: bool | str, chain: tuple[str, ...], public: bool) -> ssl.SSLContext:
    import httpx  # lazily, see `common.http.httpx_backend`

    if isinstance(verify, bool):
        context = httpx.create_ssl_context(verify=verify)
    else:
        context = _with_ca(verify, httpx.create_ssl_context() if public else None)
    if chain:
        _load_chain(context, chain)
    return context


def _with_ca(path: str, context: ssl.SSLContext | None) -> ssl.SSLContext:
    import ssl
    from pathlib import Path  # lazily too

    folder = Path(path).is_dir()
    file, folder_path = (None, path) if folder else (path, None)
    try:
        if context is None:
            context = ssl.create_default_context(cafile=file, capath=folder_path)
        else:
            context.load_verify_locations(cafile=file, capath=folder_path)
    except OSError as error:  # ``ssl.SSLError`` is one
        raise UsageError(f"verify={path!r} cannot be loaded as a CA file: {error}") from None
    return context


def _load_chain(context: ssl.SSLContext, chain: tuple[str, ...]) -> None:
    file, key, password = (*chain, None, None)[:3]
    try:
        # A function, so that a missing password is an error and never a prompt at a terminal.
        context.load_cert_chain(file or "", key, password=lambda: password or "")
    except (OSError, TypeError, ValueError) as error:  # ``ssl.SSLError`` is an OSError
        raise UsageError(f"cert={file!r} cannot be loaded: {type(error).__name__}: {error}") from None
