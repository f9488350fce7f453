"""Keys for tests, made once a process: they guard nothing."""

from __future__ import annotations

import functools
from typing import Any

import pytest

pytest.importorskip("jwt")
serialization: Any = pytest.importorskip("cryptography.hazmat.primitives.serialization")
rsa: Any = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
ec: Any = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec")

PKCS8 = serialization.PrivateFormat.PKCS8
PKCS1 = serialization.PrivateFormat.TraditionalOpenSSL


@functools.lru_cache
def _rsa(bits: int) -> Any:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def private_pem(key: Any = None, *, form: Any = PKCS8, password: bytes | None = None) -> bytes:
    """A private key as PEM; by default the one that belongs to `public_pem`."""
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem: bytes = (key or _rsa(2048)).private_bytes(serialization.Encoding.PEM, form, lock)
    return pem


def public_pem() -> str:
    """The public key that a service account is registered with."""
    pem: bytes = (
        _rsa(2048)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return pem.decode()


def small_pem() -> bytes:
    """A key that RS256 does not take."""
    return private_pem(_rsa(1024))


def elliptic_pem() -> bytes:
    """A key that is not RSA's."""
    return private_pem(ec.generate_private_key(ec.SECP256R1()))
