"""What came of a deployment or a rollback."""

from __future__ import annotations

from dataclasses import dataclass

from modelway.components.core.errors import RejectedError
from modelway.components.core.evidence.deployment_record import DeploymentRecord, DeploymentResult

_HEADLINES: dict[DeploymentResult, str] = {
    "promoted": "is live",
    "rolled-back": "is live again",
    "undone": "was undone",
    "refused": "was refused",
}


@dataclass(frozen=True)
class Deployed:
    """What came of a deployment or a rollback.

    Attributes:
        verdict: ``promoted`` and ``rolled-back``: the version serves; ``undone``: it was tried, and what served before
            serves again; ``refused``: nothing was touched.
        model: The registered model's name.
        version: The version that was to serve.
        environment: Where.
        image: Its image by digest; empty where none is known.
        replaced: The version that served before; empty if none did.
        restored: The image that serves again; empty where nothing was undone, or there was nothing to go back to.
        reasons: Why it was undone or refused, or what else there is to know; a sentence each.
        seconds: How long it took.
    """

    verdict: DeploymentResult
    model: str
    version: str
    environment: str
    image: str
    replaced: str = ""
    restored: str = ""
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def live(self) -> bool:
        """Whether the version serves now."""
        return self.verdict in {"promoted", "rolled-back"}

    def check(self) -> None:
        """Does nothing if the version serves.

        Raises:
            ModelwayError: it does not; says why.
        """
        if not self.live:
            remedy = "correct what it names, and promote again; what served before serves on"
            raise RejectedError(self.sentence(), key="environment", value=self.environment, remedy=remedy)

    def sentence(self) -> str:
        """The verdict in one line."""
        headline = f"version {self.version} of {self.model} {_HEADLINES[self.verdict]} in {self.environment}"
        return ": ".join([headline, "; ".join(self.reasons)]) if self.reasons else headline

    def record(self, run: str) -> DeploymentRecord:
        """What is kept of it in the store."""
        return DeploymentRecord(
            run=run,
            model=self.model,
            version=self.version,
            environment=self.environment,
            verdict=self.verdict,
            image=self.image,
            restored=self.restored,
            reasons=self.reasons,
            sentence=self.sentence(),
        )

    def markdown(self) -> str:
        """What came of it, for people."""
        rows = {
            "Verdict": f"**{self.verdict}**",
            "Environment": self.environment,
            "Image": f"`{self.image}`" if self.image else "",
            "In place of": f"version {self.replaced}" if self.replaced else "",
            "Serving again": f"`{self.restored}`" if self.restored else "",
            "Took": f"{self.seconds:,.0f} s",
        }
        lines = "\n".join(f"| {key} | {value} |" for key, value in rows.items() if value)
        reasons = "".join(f"\n- {reason}" for reason in self.reasons)
        title = f"# Version {self.version} of {self.model} {_HEADLINES[self.verdict]} in {self.environment}"
        return f"{title}\n\n| | |\n| --- | --- |\n{lines}\n{reasons}\n".rstrip("\n") + "\n"
