"""Whether a store can be written and read, and whether a data source is there: folders and S3."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from modelway.components.core.errors import CredentialsError, ModelwayError, UnavailableError, first_line
from modelway.components.core.instructions import (
    AWS_ENDPOINT,
    config_map_lack,
    in_pod,
    new_s3_secret,
    pod_namespace,
    pod_s3_secret,
)
from modelway.components.core.storage.locations import check_location
from modelway.components.core.storage.s3 import S3, endpoint_named, has_keys
from modelway.components.core.storage.uri import join
from modelway.components.core.surroundings.findings import Finding, Status

PROBE = ".modelway-probe"  # the object that shows whether a store can be written to; always the same, and never removed
_DENIED = "AccessDenied"  # the answer to keys that are known but may not do something
_PROBE_CONTENT = (
    b"Written by modelway to see whether this store can be written to. It is never read for anything else.\n"
)


def s3_settings() -> list[Finding]:
    """What the environment lacks to speak to S3; empty if nothing."""
    namespace, findings = pod_namespace(), []
    if in_pod() and endpoint_named() is None:
        lacks, remedy = config_map_lack("s3-endpoint", namespace)
        message = f"no S3 endpoint is set (Amazon's own would be {AWS_ENDPOINT})"
        message += f": the ConfigMap modelway in the namespace {namespace} {lacks}"
        findings.append(Finding("S3 endpoint", Status.MISSING, message, remedy, key="s3-endpoint"))
    if not has_keys():
        message = "no S3 credentials are set"
        remedy = "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for MinIO, AWS_ENDPOINT_URL"
        if in_pod():
            secret = pod_s3_secret()
            message += f": the Secret {secret} in the namespace {namespace} is missing, or lacks accesskey or secretkey"
            remedy = new_s3_secret(namespace, secret)
        findings.append(Finding("S3 credentials", Status.MISSING, message, remedy, key="AWS_ACCESS_KEY_ID"))
    return findings


def store_in_s3(s3: S3, store: str) -> Finding:
    """Whether objects below a store can be written, read and listed."""
    probe, action = join(store, PROBE), "write"
    try:
        s3.put_new(probe, _PROBE_CONTENT)  # refused before anything else is looked at, and writes no second version
        action = "read"
        if not s3.read(probe).startswith(_PROBE_CONTENT[:19]):
            remedy = "check AWS_ENDPOINT_URL: scheme, host and port"
            message = f"what answers at {s3.url} keeps no objects: {probe} is not what was written there"
            return Finding("S3", Status.UNREACHABLE, message, remedy, key="AWS_ENDPOINT_URL", file=probe)
        action = "list"
        s3.has_objects(probe)
    except ModelwayError as error:
        return _s3_finding("store", error, action=action, address=store)
    return Finding("store", Status.OK, f"{store} can be written, read and listed", file=store)


def source_in_s3(s3: S3, source: str) -> Finding:
    """Whether there is data at an address: an object, or objects below a prefix that ends in ``/``."""
    folder = source.endswith("/")
    try:
        if folder and not s3.has_objects(source):
            return _no_data(source, f"there is nothing below {source}")
        if not folder:
            s3.etags(source)
    except ModelwayError as error:
        if folder or isinstance(error, UnavailableError):
            return _s3_finding("source", error, action="list", address=source)
        return _reason(s3, source, error=error)
    return Finding("source", Status.OK, f"{source} is there", file=source)


def store_in_folder(store: str) -> Finding:
    """Whether files can be written below a folder, which need not be there yet."""
    check_location(store, key="store")
    folder = Path(store).absolute()
    if in_pod() and not any(os.path.ismount(path) for path in (folder, *folder.parents) if path != path.parent):
        return Finding(
            "store",
            Status.MISSING,
            f"the store {store} is a folder of this pod alone, which is gone when the task ends",
            "name a store that all tasks reach, s3://BUCKET/PREFIX, or mount a volume there",
            file=store,
        )
    return writable_folder("store", folder)


def writable_folder(subject: str, folder: Path) -> Finding:
    """Whether a folder can be written to, or made."""
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    remedy = "name a folder that you may write to, or correct its permissions"
    if not existing.is_dir():
        message = f"{folder} cannot be a folder: {existing} is a file"
        return Finding(subject, Status.MISSING, message, "name another folder, or move the file", file=str(folder))
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        message = f"{folder} cannot be written to: {error.strerror or first_line(error)}"
        return Finding(subject, Status.REFUSED, message, remedy, file=str(folder))
    return Finding(subject, Status.OK, f"{folder} can be written to", file=str(folder))


def source_in_folder(source: str) -> Finding:
    """Whether there is a file, or a folder with files, that can be read."""
    check_location(source, key="data.source")
    path = Path(source)
    here = "in this pod" if in_pod() else "here"
    if not path.exists():
        return _no_data(source, f"there is no {source} {here}")
    if path.is_dir() and not any(file.is_file() for file in path.rglob("*")):
        return _no_data(source, f"the folder {source} holds no files")
    if not os.access(path, os.R_OK):
        remedy = "correct its permissions"
        return Finding("source", Status.REFUSED, f"{source} cannot be read by this account", remedy, file=source)
    return Finding("source", Status.OK, f"{source} is there", file=source)


def _reason(s3: S3, source: str, *, error: ModelwayError) -> Finding:
    """Why an object cannot be read: the answer to that has no text, but the listing's answer has."""
    try:
        if s3.has_objects(f"{source}/"):
            message = f"{source} is not an object; there are objects below {source}/"
            return Finding("source", Status.MISSING, message, f"name the folder as {source}/", file=source)
    except ModelwayError as reason:
        if reason.value != _DENIED:
            return _s3_finding("source", reason, action="list", address=source)
    if error.value == _DENIED:
        return _s3_finding("source", error, action="read", address=source)
    return _no_data(source, f"there is no object {source}")


def _no_data(source: str, message: str) -> Finding:
    remedy = "put the data there, or correct `data.source` in project.yaml"
    if in_pod() and "://" not in source:
        remedy = "put the data where the tasks reach it, s3://BUCKET/KEY, and name that as the project's data source"
    return Finding("source", Status.MISSING, message, remedy, key="data.source", file=source)


def _s3_finding(subject: str, error: ModelwayError, *, action: str, address: str) -> Finding:
    """The finding of an error: about S3 as a whole where that does not answer or does not know the keys."""
    if error.value != _DENIED:
        return Finding.of("S3" if isinstance(error, UnavailableError | CredentialsError) else subject, error)
    operation = {"write": "s3:PutObject", "read": "s3:GetObject", "list": "s3:ListBucket"}[action]
    return Finding(
        subject,
        Status.REFUSED,
        f"the S3 keys may not {action} {'objects below ' * (action != 'read' or subject == 'store')}{address}",
        f"give them {operation} there (manifests/base/storage/pipelines.json is the policy that a run needs), "
        "or use other keys; where the bucket is not there, some servers answer the same: make it",
        file=address,
    )
