"""The `resolve_inputs` component."""

from typing import NamedTuple

from kfp.dsl import Markdown, Output

from modelway.components.core.decorator import component


@component
def resolve_inputs(
    project: str,
    contract: str,
    policy: str,
    run: str,
    store: str,
    summary: Output[Markdown],
    run_name: str = "",
    data: str = "",
    data_version: str = "",
    champion: str = "",
    project_code: str = "",
    reason: str = "",
    git_commit: str = "",
    requested_by: str = "",
) -> NamedTuple(  # type: ignore[valid-type]
    "Outputs",
    [
        ("project_file", str),
        ("contract_file", str),
        ("policy_file", str),
        ("source_version", str),
        ("code_version", str),
        ("champion_version", str),
        ("champion_blessing", str),
        ("as_of", str),
        ("trusted_types", str),
    ],
):
    """Resolves the versions of everything that the run works on, and checks what it needs, before anything is changed.

    It is never cached, so that a schedule sees new data, a changed policy and the current champion. Its results are
    part of the cache keys of all later tasks.

    Args:
        project: The project file: text or URI.
        contract: The contract file: text or URI.
        policy: The policy file: text or URI.
        run: The run's id.
        store: The root of the project's store.
        run_name: The run's display name.
        data: A source in place of the project's: an s3:// URI, or a path on one machine.
        data_version: The user's name for the data's version.
        champion: The version to compare with. Empty: the one with the policy's alias.
        project_code: The version of the project's own code in the image that trains. Empty: computed here.
        reason: Why the run was started.
        git_commit: The repository's commit.
        requested_by: Who asks for the run.

    Returns:
        summary: The summary for people.
        project_file: Its content-addressed URI.
        contract_file: Its content-addressed URI.
        policy_file: Its content-addressed URI.
        source_version: The data sources' version now.
        code_version: A hash of all training code.
        champion_version: The champion version. Empty: none.
        champion_blessing: Its blessing's hash, by the audit log.
        as_of: The ISO day on which waivers must hold. Empty: no waivers.
        trusted_types: Types that the policy trusts, between spaces.
    """
    from modelway.components.core.artifacts import write_texts
    from modelway.components.resolve.stage import RunContext, resolve_in_task

    origin = {"reason": reason, "git_commit": git_commit, "requested_by": requested_by}
    context = RunContext(run=run, store=store, name=run_name, **origin)
    files = {"project": project, "contract": contract, "policy": policy}
    inputs, uris = resolve_in_task(files, context=context, data=data, champion=champion, project_code=project_code)
    write_texts({summary.path: inputs.markdown(context, data_version)})
    trusted_types = " ".join(inputs.files.policy.model.trusted_types)
    hashes = (inputs.source_version, inputs.code_version, inputs.champion, inputs.champion_blessing, inputs.as_of)
    return (uris["project"], uris["contract"], uris["policy"], *hashes, trusted_types)
