"""Sign in with a service account's private key in place of a secret (private_key_jwt, RFC 7523).

Needs the extra ``jwt`` (PyJWT and ``cryptography``), which is imported only when a key is read.
"""

from __future__ import annotations

import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from common.model.distribution import install_hint
from common.model.errors import UsageError

PrivateKey: TypeAlias = "str | bytes | os.PathLike[str]"
"""An RSA key in PEM form: its text, its bytes, or the path of its file."""

ALGORITHM = "RS256"
"""The algorithm of NetApp's own sample ("Create a service token for the NetApp Console")."""
LIFETIME = 120
"""Seconds that an assertion is valid. Auth0 accepts at most 300, and each assertion only once."""
MIN_KEY_BITS = 2048
"""Bits: the shortest key that RS256 allows (RFC 7518, section 3.3)."""
MAX_KEY_FILE = 65_536
"""Bytes: far more than a key in PEM form has."""


class ClientKey:
    """A private key that signs assertions. Raise `UsageError`, which never quotes the key."""

    def __init__(self, private_key: PrivateKey, key_id: str | None) -> None:
        self._encode = _import_extra("jwt").encode
        self._key = _read_key(_read_pem(private_key))
        self._headers = {} if key_id is None else {"kid": key_id}

    def assertion(self, client_id: str, audience: str) -> str:
        """Return a new JWT by which ``client_id`` authenticates itself to ``audience``."""
        import uuid  # lazily: only those who use a key need it

        now = int(time.time())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "iat": now,
            "exp": now + LIFETIME,
            "jti": str(uuid.uuid4()),
        }
        signed: str = self._encode(claims, self._key, algorithm=ALGORITHM, headers=self._headers)
        return signed


def _import_extra(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        pass
    raise UsageError(f"private_key= needs other packages: {install_hint('jwt')}")


def _read_pem(private_key: object) -> bytes:
    if isinstance(private_key, bytes):
        return private_key
    if isinstance(private_key, str) and "-----BEGIN" in private_key:
        return private_key.encode("utf-8", "replace")
    if not isinstance(private_key, str | os.PathLike) or not private_key:
        raise UsageError("private_key= must be a key in PEM form: its text, its bytes, or a file's path")
    try:
        with Path(os.fsdecode(private_key)).open("rb") as file:
            return file.read(MAX_KEY_FILE)
    except (OSError, ValueError) as error:
        # Raised below, and without the name: it may be a key whose first and last line are missing.
        problem = type(error).__name__
    raise UsageError(f"private_key= is neither a key in PEM form nor the path of a readable file ({problem})")


def _read_key(pem: bytes) -> Any:
    load = _import_extra("cryptography.hazmat.primitives.serialization").load_pem_private_key
    rsa = _import_extra("cryptography.hazmat.primitives.asymmetric.rsa")
    key, problem = None, ""
    try:
        key = load(pem, password=None)
    except TypeError:
        problem = "is encrypted: remove its password ('openssl pkey -in key.pem'), and protect the file"
    except Exception:  # subclasses of ValueError, and the error for an unsupported algorithm
        problem = "is not a private key in PEM form"
        if any(label in pem for label in (b"PUBLIC KEY-----", b"CERTIFICATE-----")):
            problem = (
                "is a public key or a certificate, which NetApp has: use the private key that belongs to it"
            )
    if key is not None and not isinstance(key, rsa.RSAPrivateKey):
        problem = f"is not an RSA key, as {ALGORITHM} needs"
    elif key is not None and key.key_size < MIN_KEY_BITS:
        problem = f"has {key.key_size} bits, but {ALGORITHM} needs {MIN_KEY_BITS}"
    if problem:
        raise UsageError(f"private_key= {problem}")
    return key
