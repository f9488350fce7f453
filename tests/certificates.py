"""Certificates for loopback that are made when they are asked for, each its own authority."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import attrs
import pytest

x509: Any = pytest.importorskip("cryptography.x509")
hashes: Any = pytest.importorskip("cryptography.hazmat.primitives.hashes")
ec: Any = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec")
serialization: Any = pytest.importorskip("cryptography.hazmat.primitives.serialization")


@attrs.frozen
class Certificate:
    """A self-signed certificate for 127.0.0.1 and its key, both as PEM."""

    pem: bytes
    key: bytes
    hash: str
    """The name of its file in a folder of authorities (``openssl x509 -hash``)."""

    @classmethod
    def make(cls, name: str) -> Certificate:
        """Make one that is good for a day."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return cls(certificate.public_bytes(pem), private, _hash(subject.public_bytes()))

    def write(self, folder: Path, name: str) -> tuple[str, str]:
        """Write the files ``name.pem`` and ``name.key`` in place of those before, and return their paths."""
        replace(folder / f"{name}.pem", self.pem)
        replace(folder / f"{name}.key", self.key)
        return str(folder / f"{name}.pem"), str(folder / f"{name}.key")

    def serve(self, folder: Path, *, clients: Certificate | None = None) -> ssl.SSLContext:
        """Return a server's settings; with ``clients`` it lets in those with that certificate alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.write(folder, f"server-{id(self)}"))
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=clients.pem.decode())
        return context


def _hash(subject: bytes) -> str:
    # OpenSSL hashes a name in lower case, without the header of the sequence.
    digest = hashlib.sha1(subject[2:], usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def replace(path: Path, data: bytes) -> None:
    """Replace a file as those do that rotate certificates: by another file, at once."""
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.replace(path)
