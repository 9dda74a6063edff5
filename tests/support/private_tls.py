"""A private certificate authority, and servers behind TLS with a certificate of its: what companies have inside."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

ADDRESS = "127.0.0.2"  # this machine, but by no address that registries are spoken to in plain HTTP at


@dataclass(frozen=True)
class Authority:
    """An authority and one server certificate of its.

    Attributes:
        certificate: The authority's certificate, PEM.
        server_certificate: The server's certificate, PEM.
        server_key: The server's key, PEM.
    """

    certificate: Path
    server_certificate: Path
    server_key: Path


def new_authority(folder: Path, *, address: str = ADDRESS, valid_days: int = 1) -> Authority:
    """Makes an authority and a certificate for a server.

    Args:
        folder: Where the files go.
        address: The server's IP address.
        valid_days: For how long the server's certificate holds; negative: until so many days ago.
    """
    key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A private authority")])
    begin, now = datetime.now(UTC) - timedelta(days=30), datetime.now(UTC)
    own = (
        x509.CertificateBuilder(issuer, issuer, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server")])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    server = (
        x509.CertificateBuilder(issuer, name, server_key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(now + timedelta(days=valid_days))
        .add_extension(alternative, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = Authority(folder / "ca.pem", folder / "public.crt", folder / "private.key")
    folder.mkdir(parents=True, exist_ok=True)
    files.certificate.write_bytes(own.public_bytes(Encoding.PEM))
    files.server_certificate.write_bytes(server.public_bytes(Encoding.PEM))
    files.server_key.write_bytes(server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


@contextmanager
def behind_tls(port: int, authority: Authority, address: str = ADDRESS) -> Iterator[str]:
    """A server that speaks TLS and hands what it is sent to a plain one on 127.0.0.1; yields its host and port.

    Args:
        port: The plain server's port.
        authority: Whose certificate to show.
        address: Where to listen.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server_certificate, authority.server_key)
    listener = socket.create_server((address, 0))

    def serve(connection: socket.socket) -> None:
        with (
            suppress(OSError),
            context.wrap_socket(connection, server_side=True) as outer,
            socket.create_connection(("127.0.0.1", port)) as inner,
        ):
            back = threading.Thread(target=_pump, args=(inner, outer), daemon=True)
            back.start()
            _pump(outer, inner)
            back.join(timeout=30)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"{address}:{listener.getsockname()[1]}"
    finally:
        listener.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
