"""The `package_model` component."""

from kfp.dsl import Artifact, Markdown, Output

from modelway.components.core.decorator import component


@component
def package_model(
    model: str,
    version: str,
    store: str,
    base: str,
    target: str,
    bundle: Output[Artifact],
    sbom: Output[Artifact],
    summary: Output[Markdown],
    run: str = "",
    platform: str = "linux/amd64",
    insecure: bool = False,
) -> str:
    """Packages a registered, blessed version as a signed OCI image: one layer on a pinned serving base.

    MODELWAY_SIGNING_KEY names the key's file; MODELWAY_ENCRYPTION_RECIPIENT, if set, is whom the model is encrypted to.

    Args:
        model: The registered model's name.
        version: The registered version.
        store: The root of the project's store.
        base: The serving base by digest, host/repository@sha256:…, or the folder of an OCI layout.
        target: Where the image goes, host/repository:tag, or the folder of an OCI layout.
        run: The id of the run that the package is recorded in; empty: none.
        platform: The image's platform.
        insecure: Whether registries are reached by plain HTTP.

    Returns:
        bundle: The signed release bundle, as it is in the image at /release.
        sbom: The bill of materials of the image, CycloneDX JSON.
        summary: The summary for people.
        Output: The image's reference by digest.
    """
    from modelway.components.core.artifacts import write_texts
    from modelway.components.package.stage import RegisteredModel, Tracking, package

    result = package(
        RegisteredModel(model, store, Tracking.from_environment()).version(version),
        base=base,
        target=target,
        bundle_path=bundle.path,
        run=run,
        platform=platform,
        insecure=insecure,
    )
    write_texts({summary.path: result.markdown(), sbom.path: result.sbom})
    bundle.metadata.update({"image": result.image, "blessing_sha256": result.release.blessing_sha256})
    return result.image
