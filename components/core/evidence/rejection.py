"""A run that a gate ends: recorded with its reasons, and the blessing that it does not get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from modelway.components.core.checks import Gate, blocking_reasons
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.errors import RejectedError
from modelway.components.core.evidence.blessing import Hashes
from modelway.components.core.evidence.runs import DECISION, Outcome, RunContext, State, record_blessing

_LONGEST = 10


def reject(gates: Sequence[Gate], reports: Mapping[str, str], *, files: UserFiles, context: RunContext) -> NoReturn:
    """Ends a run with the reasons of the gates that block it, once they are recorded in the store if there is one.

    The reports are paths, by the gates' names.

    Raises:
        RejectedError: always, quoting the reasons.
    """
    blocking = [gate for gate in gates if not gate.proceed]
    location = blocking[0].report
    if context.store:
        facts = {name: value for gate in gates for name, value in gate.facts.items()}
        hashes = Hashes(
            model=str(facts.get("model_hash") or ""),
            data=str(facts.get("data_hash") or ""),
            **{name: document.sha256() for name, document in files.documents()},
        )
        blessing, _, locations = record_blessing(
            gates, hashes, reports=reports, evidence={}, files=files, context=context
        )
        decision = Outcome(
            run=context.run,
            name=context.name,
            project=files.project.name,
            state=State.REJECTED,
            gates=tuple(gates),
            reports=locations,
            blessing=blessing.sha256(),
            git_commit=context.git_commit,
        )
        decision.write(context.store, DECISION)
        location = locations[blocking[0].name]
    reasons = blocking_reasons(gates)
    listed = "\n  - ".join(reasons[:_LONGEST])
    more = f"\n  and {len(reasons) - _LONGEST} more" if len(reasons) > _LONGEST else ""
    names = " and the ".join(gate.name for gate in blocking)
    raise RejectedError(
        f"rejected by the {names} gate{'s' * (len(blocking) > 1)}:\n  - {listed}{more}\n ",
        file=location,
        remedy="read the report; correct the data or the model, or change the contract or the policy on purpose",
    )
