"""Whether all that a project needs, from data to live traffic, is there: services, keys, image registry, cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from modelway.components.core.bundle.encryption import read_keys, read_recipient
from modelway.components.core.bundle.keys import (
    ENCRYPTION_KEY,
    ENCRYPTION_RECIPIENT,
    SIGNING_KEY,
    VERIFYING_KEY,
    has_key,
    key_file,
    key_id,
)
from modelway.components.core.bundle.signing import sign, verify
from modelway.components.core.errors import CredentialsError, ModelwayError
from modelway.components.core.oci.layout import Reference
from modelway.components.core.oci.registry import Registry, images_at
from modelway.components.core.surroundings.findings import Finding, Status, worst_first
from modelway.components.core.surroundings.services import inspect_surroundings
from modelway.pipelines.doctor.cluster import inspect_cluster
from modelway.pipelines.project.workspace import Workspace, tracking_uri

_MAKE_KEYS = "`modelway keys keys` makes a set; name its files by {}"


def diagnose(
    workspace: Workspace,
    home: Path,
    *,
    store: str,
    namespace: str | None = None,
    base: str = "",
    target: str = "",
    insecure: bool = False,
) -> list[Finding]:
    """Inspects all that a project needs from data to live traffic; the worst findings come first.

    Args:
        workspace: The project.
        home: Its home on this machine.
        store: The root of its store.
        namespace: The namespace of the runs on the cluster. Without it, ``kubeflow``, if the cluster has it.
        base: The serving base; empty if none is used.
        target: Where the image goes; empty if none is made.
        insecure: Whether plain HTTP is used for the image registries.
    """
    sources = workspace.project.data.locations
    findings = inspect_surroundings(store=store, sources=sources, tracking_uri=tracking_uri(home))
    findings += _keys()
    findings += _image("serving base", base, insecure=insecure) + _image("image target", target, insecure=insecure)
    findings += inspect_cluster(workspace.policy, namespace, project=workspace.project, repository=_repository(target))
    return worst_first(findings)


def _keys() -> list[Finding]:
    """The keys that releases are signed with, verified by and encrypted with, as far as any are named."""
    checks: dict[str, tuple[str, Callable[[], str]]] = {
        SIGNING_KEY: ("signing key", lambda: f"it can sign; its id is {key_id(key_file(SIGNING_KEY))[:12]}"),
        VERIFYING_KEY: ("verifying key", _try_verifying),
        ENCRYPTION_RECIPIENT: ("encryption recipient", lambda: f"models are encrypted to {read_recipient()}"),
        ENCRYPTION_KEY: ("encryption key", _try_decrypting),
    }
    findings = []
    for variable, (subject, check) in checks.items():
        if not has_key(variable):
            remedy = _MAKE_KEYS.format(variable)
            findings.append(Finding(subject, Status.UNSET, f"{variable} is not set", remedy, key=variable))
            continue
        try:
            findings.append(Finding(subject, Status.OK, check(), key=variable))
        except ModelwayError as error:
            findings.append(Finding.of(subject, error))
    return findings


def _try_verifying() -> str:
    """Verifies what the signing key signs, where there is one."""
    key = key_file(VERIFYING_KEY)
    with TemporaryDirectory() as work:
        folder = Path(work) / "release"
        folder.mkdir()
        (folder / "file").write_bytes(b"content")
        signature = Path(work) / "signature"
        if not has_key(SIGNING_KEY):
            return "it is set; without a signing key here it was not tried"
        sign(folder, signature, private_key=key_file(SIGNING_KEY))
        try:
            verify(folder, signature, public_key=key)
        except ModelwayError as error:
            raise CredentialsError(
                "it does not verify what the signing key signs: they are not a pair",
                file=str(key),
                key=VERIFYING_KEY,
                remedy=f"name the two files of one set as {SIGNING_KEY} and {VERIFYING_KEY}",
            ) from error
    return "it verifies what the signing key signs"


def _try_decrypting() -> str:
    """Whether what is encrypted to the recipient can be decrypted, where one is named."""
    recipients = [str(identity.to_public()) for identity in read_keys().identities]
    if not recipients:
        return "it opens what was encrypted before the age format, and nothing that is encrypted now"
    if has_key(ENCRYPTION_RECIPIENT) and read_recipient() not in recipients:
        raise CredentialsError(
            "it does not decrypt what is encrypted to the recipient: they are not a pair",
            file=str(key_file(ENCRYPTION_KEY)),
            key=ENCRYPTION_KEY,
            value=", ".join(recipients),
            remedy=f"name the two files of one set as {ENCRYPTION_RECIPIENT} and {ENCRYPTION_KEY}",
        )
    return f"it decrypts what is encrypted to {' or '.join(recipients)}"


def _repository(target: str) -> str:
    """The repository of an image target, ``host/repository``; empty where it is in no registry, or no reference."""
    try:
        reference = Reference.parse(target, "target")
    except ModelwayError:
        return ""
    return f"{reference.host}/{reference.repository}" if reference.host else ""


def _image(subject: str, reference: str, *, insecure: bool) -> list[Finding]:
    """Whether a base can be read, or an image be uploaded; nothing where none is named."""
    if not reference:
        return []
    try:
        parsed_reference = Reference.parse(reference, "base" if subject == "serving base" else "target")
        images = images_at(parsed_reference, insecure=insecure)
        if subject == "serving base":
            images.manifest(parsed_reference.digest or parsed_reference.tag)
            return [Finding(subject, Status.OK, f"{parsed_reference} can be read", file=reference)]
        if isinstance(images, Registry):
            images.check_writable()
            return [Finding(subject, Status.OK, f"images can be uploaded to {parsed_reference}", file=reference)]
    except ModelwayError as error:
        return [Finding.of(subject, error)]
    return [Finding(subject, Status.OK, f"the image goes to the folder {parsed_reference}", file=reference)]
