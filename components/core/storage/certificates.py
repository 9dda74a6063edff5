"""Private certificate authorities: those that S3, MLflow and the image registry are verified by.

Their certificates, PEM, are the file that ``MODELWAY_CA`` names, else the key ``ca`` of the ConfigMap ``modelway``,
which pods have mounted.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from modelway.components.core.errors import CredentialsError, UnavailableError, first_line
from modelway.components.core.instructions import CONFIG_MAP_FOLDER, config_map_authorities, pod_namespace

VARIABLE = "MODELWAY_CA"
MOUNTED = f"{CONFIG_MAP_FOLDER}/ca"

_WRONG_NAME, _EXPIRED = {62, 64}, {9, 10}  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH, …_CERT_NOT_YET_VALID and so on


def private_authorities() -> Path | None:
    """The file with the private authorities' certificates; None if none is configured.

    Raises:
        CredentialsError: ``MODELWAY_CA`` names no file.
    """
    configured = os.environ.get(VARIABLE)
    file = Path(configured or MOUNTED)
    if file.is_file():
        return file
    if configured:
        raise CredentialsError(
            f"the file that {VARIABLE} names does not exist",
            file=configured,
            key=VARIABLE,
            remedy="name the PEM file with the private authority's certificates, or unset it",
        )
    return None


def bundle() -> str | None:
    """The path of one PEM file with the public authorities and the private ones; None if no private one is configured.

    The file is named by its content in the folder for temporary files, and made once for all processes of a user.

    Raises:
        CredentialsError: the private authorities' file is missing or not PEM.
    """
    private = private_authorities()
    return None if private is None else _combined(private, private.stat().st_mtime_ns)


def tls_context() -> ssl.SSLContext | None:
    """A context that trusts the system's authorities and the private ones; None if no private one is configured."""
    path = bundle()
    return None if path is None else _context(path)


@lru_cache(maxsize=4)
def _context(path: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(path)
    return context


@lru_cache(maxsize=4)
def _combined(private: Path, _modified: int) -> str:
    import certifi

    public = {os.environ.get("SSL_CERT_FILE") or "", os.environ.get("REQUESTS_CA_BUNDLE") or "", certifi.where()}
    content = private.read_bytes()
    check_certificates(content, file=str(private), key=VARIABLE if os.environ.get(VARIABLE) else "ca")
    for path in sorted(filter(os.path.isfile, public)):
        content += b"\n" + Path(path).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    target = Path(tempfile.gettempdir()) / f"modelway-ca-{os.getuid()}-{digest[:16]}.pem"
    return str(target if _is_ours(target, content) else _write(target, content))


def trust_for_mlflow() -> None:
    """Makes MLflow's client trust the private authorities, unless its own variables say whom it trusts."""
    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in {"true", "1"}
    configured = insecure or os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH")
    if not configured and (path := bundle()):
        os.environ["MLFLOW_TRACKING_SERVER_CERT_PATH"] = path


def distrust(error: BaseException, service: str, *, key: str | None = None) -> UnavailableError | None:
    """The readable error of a server whose certificate is not trusted; None if the error is another one.

    Args:
        error: What a client raised.
        service: What to call the server, with its address.
        key: The setting that holds the address.
    """
    cause = _verification(error)
    if cause is None:
        return None
    if cause.verify_code in _WRONG_NAME:
        remedy = "use the name that the certificate is for, or have one made for this name"
    elif cause.verify_code in _EXPIRED:
        remedy = "renew the server's certificate, and check the clock here"
    else:
        remedy = (
            f"if a private authority signed it, name the PEM file with its certificates as {VARIABLE}; on a cluster it "
            f"is the key `ca` of the ConfigMap modelway: {config_map_authorities(pod_namespace())}"
        )
    message = f"the certificate of {service} is not trusted: {cause.verify_message}"
    return UnavailableError(message, key=key, remedy=remedy)


def _verification(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """The failed verification behind an error: urllib3 and requests keep it among the arguments, or as the reason."""
    pending: list[object] = [error]
    visited: set[int] = set()
    while pending:
        part = pending.pop()
        if not isinstance(part, BaseException) or id(part) in visited:
            continue
        visited.add(id(part))
        if isinstance(part, ssl.SSLCertVerificationError):
            return part
        pending += [*part.args, getattr(part, "reason", None), part.__cause__, part.__context__]
    return None


def check_certificates(content: bytes, *, file: str, key: str) -> None:
    """Makes sure that a text holds certificates.

    Args:
        content: The text, PEM.
        file: What to call it in errors.
        key: The setting that it is the value of.

    Raises:
        CredentialsError: it holds none, or something else.
    """
    from cryptography.x509 import load_pem_x509_certificates

    try:
        load_pem_x509_certificates(content)
    except ValueError as error:
        raise CredentialsError(
            f"the private authorities' certificates cannot be read: {first_line(error)}",
            file=file,
            key=key,
            remedy="give certificates in PEM, each from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----",
        ) from error


def _is_ours(path: Path, content: bytes) -> bool:
    """Whether the file exists with this content, and nobody else can change it."""
    with suppress(OSError):
        status = path.lstat()
        return status.st_uid == os.getuid() and status.st_mode == 0o100600 and path.read_bytes() == content
    return False


def _write(path: Path, content: bytes) -> Path:
    handle, name = tempfile.mkstemp(prefix="modelway-ca-", suffix=".pem", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    try:
        return Path(name).replace(path)
    except OSError:  # somebody else's file has the name
        return Path(name)
