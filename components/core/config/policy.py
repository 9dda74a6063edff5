"""``policy.yaml``: when a model may ship. Every threshold there is stands here, and every gate reads it."""

from __future__ import annotations

from typing import ClassVar, Self, get_args

from pydantic import AliasChoices, Field, model_validator
from pydantic.fields import FieldInfo

from modelway.components.core.checks import OnInconclusive
from modelway.components.core.config.data_policy import DataPolicy
from modelway.components.core.config.deploy_policy import DEFAULT_ENVIRONMENTS, Deployment, Environments
from modelway.components.core.config.document import Document, Section
from modelway.components.core.config.model_policy import ModelPolicy
from modelway.components.core.config.serving_policy import Serving
from modelway.components.core.config.thresholds import Stricter, check_bounds, check_loss
from modelway.components.core.config.waivers import Waiver


class Registration(Section):
    """What becomes of a blessed model."""

    alias: str = Field(
        "champion",
        pattern=r"^[a-z][a-z0-9_-]*$",
        description="The registry alias a blessed version gets. Once production serves one, that is the champion, "
        "and a blessed one gets `challenger` instead.",
    )


class Policy(Document):
    """When a model may ship."""

    title: ClassVar[str] = "policy file"

    data: DataPolicy = DataPolicy()
    model: ModelPolicy
    serving: Serving = Serving()
    registration: Registration = Registration()
    deployment: Deployment = Deployment()
    environments: Environments = DEFAULT_ENVIRONMENTS
    on_policy_weakened: OnInconclusive = Field(
        OnInconclusive.BLOCK,
        validation_alias=AliasChoices("on_policy_weakened", "on_weaker_policy"),  # the latter in policies before 0.2
        description="What to do where this policy asks less than the champion's did.",
    )
    waivers: tuple[Waiver, ...] = ()

    @model_validator(mode="after")
    def _thresholds_can_pass_and_fail(self) -> Self:
        by_key = self.model.thresholds()
        if self.model.fairness is not None:
            by_key["model.fairness.metrics"] = dict(self.model.fairness.metrics.items())
        for place, thresholds in by_key.items():
            for name, threshold in thresholds.items():
                check_bounds(threshold, (*place.split("."), name), metric=name)
        for name, key, greatest in self.model.losses():
            check_loss(greatest, ("model", *key), metric=name)
        return self

    @classmethod
    def remedy(cls, field: FieldInfo | None) -> str:
        """What to do about a key that breaks the schema; a threshold that may be null is not checked then."""
        remedy = super().remedy(field)
        if field is None or set(get_args(field.annotation)) != {float, type(None)}:
            return remedy
        is_bounded = len(field.metadata) > 1 and any(isinstance(mark, Stricter) for mark in field.metadata)
        return remedy.replace("correct it", "correct it, or write null to check nothing", 1) if is_bounded else remedy

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Every scikit-learn metric that something is asked of, each once."""
        model = self.model
        names = dict.fromkeys(model.metrics)
        names |= dict.fromkeys(section.metric for section in (model.no_regression, model.robustness) if section)
        for thresholds in model.thresholds().values():
            names |= dict.fromkeys(thresholds)
        names |= dict.fromkeys(model.slices.max_gap if model.slices is not None else ())
        return tuple(names)
