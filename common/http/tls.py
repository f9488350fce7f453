"""Make TLS contexts, one for each setting and process: each costs some 40 ms and 0.8 MB."""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from common.http.tls_files import RenewedContext
from common.model.errors import UsageError

if TYPE_CHECKING:
    from common.options import Cert, Verify

CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that replace the well-known authorities where they are set, as in OpenSSL and httpx."""
KEY_LOG_VARIABLE = "SSLKEYLOGFILE"
"""Names the file to which Python's own contexts write the keys of each session, for debuggers."""


def tls_context(
    verify: Verify = True, cert: Cert | None = None, *, public: bool = False, trust_env: bool = True
) -> ssl.SSLContext:
    """Return the shared context for these settings. Raise `UsageError` for files that cannot be loaded.

    With ``public``, a CA file is trusted in addition to the well-known authorities, not instead of them.
    Without ``trust_env`` these are certifi's, whatever `CA_VARIABLES` say. Files that have changed on disk
    are read again for new connections; those of ``verify`` and ``cert`` also now.
    """
    if isinstance(verify, ssl.SSLContext):
        if cert is not None:
            raise UsageError(
                "cert= and an ssl.SSLContext cannot be combined: load the certificate into the context"
            )
        return verify
    if not isinstance(verify, bool | str | os.PathLike) or verify == "":
        raise UsageError("verify= must be True, False, the path of a CA file, or an ssl.SSLContext")
    context = _context(
        _Settings.of(
            verify if isinstance(verify, bool) else os.fsdecode(verify),
            () if cert is None else _chain(cert),
            public=public and not isinstance(verify, bool),
            trust_env=trust_env,
        )
    )
    if isinstance(context, RenewedContext):
        if isinstance(verify, bool) and cert is None:
            context.current()  # a fleet would look at the same files, perhaps hundreds, for each source
        else:
            context.renew()
    return context


def _chain(cert: Cert) -> tuple[str, ...]:
    parts = cert if isinstance(cert, tuple) else (cert,)
    if not 1 <= len(parts) <= 3 or not all(
        isinstance(part, str | os.PathLike) and (part or index == 2) for index, part in enumerate(parts)
    ):
        raise UsageError("cert= must be a PEM file, (certificate, key) or (certificate, key, password)")
    return tuple(os.fsdecode(part) for part in parts)


@attrs.frozen(repr=False)
class _Settings:
    """The settings of a context. ``folder`` is the working directory at that time, for relative paths."""

    ca: bool | str
    chain: tuple[str, ...]
    public: bool
    trust_env: bool
    variables: tuple[str, ...]
    folder: Path

    @classmethod
    def of(cls, ca: bool | str, chain: tuple[str, ...], *, public: bool, trust_env: bool) -> _Settings:
        trust_env = trust_env and (public or isinstance(ca, bool))
        known = trust_env and ca is not False
        variables = tuple(os.environ.get(name, "") for name in CA_VARIABLES) if known else ()
        return cls(ca, chain, public, trust_env, variables, _current_folder())

    @property
    def paths(self) -> list[Path]:
        """The files and folders that it is read from, without those of an installed package."""
        own = (self.ca,) if isinstance(self.ca, str) else ()
        return [self.resolved(path) for path in (*own, *self.chain[:2], *self.variables) if path]

    def resolved(self, path: str) -> Path:
        """Return an absolute path."""
        return self.folder / path

    def load(self) -> ssl.SSLContext:
        """Return a context made of the files as they are now. Raise `UsageError` where that fails."""
        if isinstance(self.ca, bool):
            context = _known_authorities(verify=self.ca, trust_env=self.trust_env)
        else:
            known = _known_authorities(trust_env=self.trust_env) if self.public else None
            context = _with_ca(self.ca, self.resolved(self.ca), known)
        if self.chain:
            file, key, password = (*self.chain, None, None)[:3]
            _load_chain(context, file or "", key, password, self.resolved)
        return context


@functools.lru_cache(maxsize=32)
def _context(settings: _Settings) -> ssl.SSLContext:
    paths = settings.paths
    return RenewedContext(settings.load, paths) if paths else settings.load()


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except OSError:  # the folder was removed
        return Path()


def _known_authorities(*, verify: bool = True, trust_env: bool) -> ssl.SSLContext:
    import httpx  # lazily, see `common.http.over_httpx.httpx_backend`

    try:
        return httpx.create_ssl_context(verify=verify, trust_env=trust_env)
    except OSError as error:  # ``ssl.SSLError`` is one
        _check_key_log(error)
        raise UsageError(
            f"the authorities in the environment's {' or '.join(CA_VARIABLES)} cannot be loaded: {error}"
        ) from None


def _check_key_log(error: OSError | ValueError) -> None:
    """Raise `UsageError` if an error is about the file of the environment's `KEY_LOG_VARIABLE`."""
    name = os.environ.get(KEY_LOG_VARIABLE)
    if name and getattr(error, "filename", None) == name:  # errors about other files do not name them
        raise UsageError(
            f"the file in the environment's {KEY_LOG_VARIABLE} cannot be written: {error}"
        ) from None


def _with_ca(shown: str, path: Path, context: ssl.SSLContext | None) -> ssl.SSLContext:
    try:
        file, folder = (None, path) if path.is_dir() else (path, None)
        if context is None:
            context = ssl.create_default_context(cafile=file, capath=folder)
        else:
            context.load_verify_locations(cafile=file, capath=folder)
    except (OSError, ValueError) as error:
        _check_key_log(error)
        raise UsageError(f"verify={shown!r} cannot be loaded as a CA file: {error}") from None
    return context


def _load_chain(
    context: ssl.SSLContext, file: str, key: str | None, password: str | None, resolved: Callable[[str], Path]
) -> None:
    try:
        # A function, so that a missing password is an error and never a prompt at a terminal.
        context.load_cert_chain(
            resolved(file), resolved(key) if key else None, password=lambda: password or ""
        )
    except (OSError, TypeError, ValueError) as error:
        raise UsageError(f"cert={file!r} cannot be loaded: {type(error).__name__}: {error}") from None
