"""One TLS context a process and setting: making one costs 40 ms and most of a megabyte."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from common.model.errors import UsageError

if TYPE_CHECKING:
    import ssl

    from common.options import Cert, Verify


def tls_context(verify: Verify = True, cert: Cert | None = None, *, public: bool = False) -> ssl.SSLContext:
    """The shared context for these settings. Raises `UsageError` for files that cannot be loaded.

    With ``public``, a CA file is believed beside the well-known authorities, and not in their place.
    """
    import ssl  # lazily, here and below: who only decodes needs none of it

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
    import httpx  # lazily: importing it takes longer than all of the rest

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
    except OSError as error:  # also all of TLS's own
        raise UsageError(f"verify={path!r} cannot be loaded as a CA file: {error}") from None
    return context


def _load_chain(context: ssl.SSLContext, chain: tuple[str, ...]) -> None:
    file, key, password = (*chain, None, None)[:3]
    try:
        # A function, so that a missing password is an error here and never a prompt at a terminal.
        context.load_cert_chain(file or "", key, password=lambda: password or "")
    except (OSError, TypeError, ValueError) as error:  # OSError: also all of TLS's own
        raise UsageError(f"cert={file!r} cannot be loaded: {type(error).__name__}: {error}") from None
