"""The stage's one function: records why a run is rejected, and ends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from modelway.components.core.blessing import Hashes, bless
from modelway.components.core.card import render_card
from modelway.components.core.contract import Contract
from modelway.components.core.errors import ModelwayError
from modelway.components.core.policy import Policy
from modelway.components.core.project import Project
from modelway.components.core.records import DECISION, Outcome, State, keep_blessing, keep_reports
from modelway.components.core.verdict import Gate


class RejectedError(ModelwayError):
    """A gate blocks: the run did what it should, and the model does not ship."""


@dataclass(frozen=True)
class Asked:
    """What the run was asked for, as far as the blessing that it does not get says so.

    Attributes:
        project: The project file: its text, path or URI.
        contract: The contract file, likewise.
        policy: The policy file, likewise.
        run: The pipeline run's name.
        git_commit: The commit of the user's repository; empty if unknown.
        champion: The version compared with; empty: there was none.
        requested_by: Who asked for the run; empty if unknown.
    """

    project: str
    contract: str
    policy: str
    run: str
    git_commit: str = ""
    champion: str = ""
    requested_by: str = ""


def reject_run(reached: dict[str, tuple[str, str]], asked: Asked, store: str) -> NoReturn:
    """Records the gates' reasons in the store, with the blessing that is refused, and ends the run with them.

    Args:
        reached: The paths of the JSON and the report of each gate that was reached.
        asked: What the run was asked for.
        store: The root of the project's store.

    Raises:
        RejectedError: always, quoting the reasons.
    """
    project = Project.load(asked.project)
    gates = tuple(Gate.read(gate) for gate, _ in reached.values())
    facts = {name: value for gate in gates for name, value in gate.facts.items()}
    blessing = bless(
        gates,
        Hashes(
            model=str(facts.get("model_hash") or ""),
            data=str(facts.get("data_hash") or ""),
            project=project.sha256(),
            contract=Contract.load(asked.contract).sha256(),
            policy=Policy.load(asked.policy).sha256(),
        ),
        project=project.name,
        run=asked.run,
        git_commit=asked.git_commit,
        requested_by=asked.requested_by,
        compared_with=asked.champion,
    )
    reports = keep_reports(store, asked.run, {name: report for name, (_, report) in reached.items()})
    decision = Outcome(
        run=asked.run,
        project=project.name,
        state=State.REJECTED,
        gates=gates,
        reports=reports | keep_blessing(store, blessing, render_card(blessing, project)),
        blessing=blessing.sha256(),
        git_commit=asked.git_commit,
    )
    decision.write(store, DECISION)
    blocking = [gate.name for gate in gates if not gate.proceed]
    shown = "\n  - ".join(decision.reasons[:10])
    more = f"\n  and {len(decision.reasons) - 10} more" if len(decision.reasons) > 10 else ""
    raise RejectedError(
        f"rejected by the {' and the '.join(blocking)} gate{'s' * (len(blocking) > 1)}:\n  - {shown}{more}\n ",
        file=decision.reports[blocking[0]],
        remedy="read the report; correct the data or the model, or change the contract or the policy on purpose",
    )
