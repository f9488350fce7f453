"""The key of a service account, and what it signs in place of sending a secret (private_key_jwt, RFC 7523).

Needs the extra ``jwt``, which is PyJWT and ``cryptography``; both are imported where a key is read.
"""

from __future__ import annotations

import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from common.model.errors import UsageError

PrivateKey: TypeAlias = "str | bytes | os.PathLike[str]"
"""An RSA key in PEM form: its text, its bytes, or the path of its file."""

ALGORITHM = "RS256"
"""What NetApp's own sample is signed with ("Create a service token for the NetApp Console")."""
LIFETIME = 120
"""Seconds that an assertion is good for. Auth0 takes at most 300 and each assertion once."""
SMALLEST = 2048
"""Bits that RS256 asks of a key (RFC 7518, section 3.3)."""
LARGEST_FILE = 65_536
"""Bytes: no key in PEM form comes near."""


class ClientKey:
    """A private key that signs assertions. Raises `UsageError`, which never quotes the key."""

    def __init__(self, private_key: PrivateKey, key_id: str | None) -> None:
        self._encode = _needed("jwt").encode
        self._key = _read_key(_read_pem(private_key))
        self._headers = {} if key_id is None else {"kid": key_id}

    def assertion(self, client_id: str, audience: str) -> str:
        """A JWT by which ``client_id`` proves to ``audience`` who it is; another one each time."""
        import uuid  # lazily, as all that only a key needs

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


def _needed(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        pass
    raise UsageError("private_key= needs other packages: pip install 'jobsource[jwt]'")


def _read_pem(given: object) -> bytes:
    if isinstance(given, bytes):
        return given
    if isinstance(given, str) and "-----BEGIN" in given:
        return given.encode("utf-8", "replace")
    if not isinstance(given, str | os.PathLike) or not given:
        raise UsageError("private_key= must be a key in PEM form: its text, its bytes, or a file's path")
    try:
        with Path(os.fsdecode(given)).open("rb") as file:
            return file.read(LARGEST_FILE)
    except (OSError, ValueError) as error:
        # Raised below, and without the name: it may be a key that lost its first and last line.
        trouble = type(error).__name__
    raise UsageError(f"private_key= is no key in PEM form, and no file of that name can be read ({trouble})")


def _read_key(pem: bytes) -> Any:
    load = _needed("cryptography.hazmat.primitives.serialization").load_pem_private_key
    rsa = _needed("cryptography.hazmat.primitives.asymmetric.rsa")
    key, trouble = None, ""
    try:
        key = load(pem, password=None)
    except TypeError:
        trouble = "is encrypted: take its password off ('openssl pkey -in key.pem'), and guard the file"
    except Exception:  # its own kinds of ValueError, and what its backend does not know
        trouble = "is no private key in PEM form"
        if any(label in pem for label in (b"PUBLIC KEY-----", b"CERTIFICATE-----")):
            trouble = (
                "is a public key or a certificate, which NetApp has: pass the private key that belongs to it"
            )
    if key is not None and not isinstance(key, rsa.RSAPrivateKey):
        trouble = f"is not an RSA key, which {ALGORITHM} needs"
    elif key is not None and key.key_size < SMALLEST:
        trouble = f"has {key.key_size} bits, and {ALGORITHM} needs {SMALLEST}"
    if trouble:
        raise UsageError(f"private_key= {trouble}")
    return key
