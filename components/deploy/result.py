"""The result of a deployment or a rollback."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from modelway.components.core.errors import RejectedError
from modelway.components.core.evidence.runs import DeploymentRecord, DeploymentResult

_HEADLINES: dict[DeploymentResult, str] = {
    "promoted": "is live",
    "rolled-back": "is live again",
    "undone": "was undone",
    "undone-in-part": "was undone in part",
    "inconclusive": "was undone without a verdict",
    "refused": "was refused",
}
_JSON_KEYS = {"status": "verdict", "replaced_version": "replaced", "restored_image": "restored"}  # promised to scripts


@dataclass(frozen=True)
class DeployResult:
    """The result of a deployment or a rollback.

    Attributes:
        status: ``promoted`` and ``rolled-back``: the version serves; ``undone``: it was tried, and what served before
            serves again; ``undone-in-part``: some of its pods still serve beside what served before; ``inconclusive``:
            it was undone without a verdict, for a reason that is not the version's, such as no room; ``refused``:
            nothing was changed.
        model: The registered model's name.
        version: The version that was to serve.
        environment: The environment.
        image: Its image by digest; empty where none is known.
        replaced_version: The version that served before; empty if none did.
        restored_image: The image that serves again; empty where nothing was undone, or there was nothing to go back to.
        reasons: Why it was undone or refused, or what else there is to know; a sentence each.
        seconds: How long it took.
    """

    status: DeploymentResult
    model: str
    version: str
    environment: str
    image: str
    replaced_version: str = ""
    restored_image: str = ""
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def live(self) -> bool:
        """Whether the version serves now."""
        return self.status in {"promoted", "rolled-back"}

    def check(self) -> None:
        """Raises an error unless the version serves.

        Raises:
            RejectedError: it does not; the message says why.
        """
        if not self.live:
            problem = "make room" if self.status == "inconclusive" else "fix these"
            remedy = f"{problem}, then promote again; what served before still serves"
            if self.status == "undone-in-part":
                remedy = "make room for what served before; `modelway rollback` goes on with the undo"
            raise RejectedError(self.sentence(), key="environment", value=self.environment, remedy=remedy)

    def sentence(self) -> str:
        """The result in one line."""
        headline = f"version {self.version} of {self.model} {_HEADLINES[self.status]} in {self.environment}"
        return ": ".join([headline, "; ".join(self.reasons)]) if self.reasons else headline

    def json(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        return {_JSON_KEYS.get(name, name): value for name, value in asdict(self).items()}

    def record(self, run: str) -> DeploymentRecord:
        """The record of it that is kept in the store, with the keys of `json` that it has."""
        return DeploymentRecord.model_validate({**self.json(), "run": run, "sentence": self.sentence()})

    def markdown(self) -> str:
        """The result as Markdown."""
        rows = {
            "Result": f"**{self.status}**",
            "Environment": self.environment,
            "Image": f"`{self.image}`" if self.image else "",
            "In place of": f"version {self.replaced_version}" if self.replaced_version else "",
            "Serving again": f"`{self.restored_image}`" if self.restored_image else "",
            "Took": f"{self.seconds:,.0f} s",
        }
        lines = "\n".join(f"| {key} | {value} |" for key, value in rows.items() if value)
        reasons = "".join(f"\n- {reason}" for reason in self.reasons)
        title = f"# Version {self.version} of {self.model} {_HEADLINES[self.status]} in {self.environment}"
        return f"{title}\n\n| | |\n| --- | --- |\n{lines}\n{reasons}\n".rstrip("\n") + "\n"
