"""``policy.yaml``: when a model may ship. Every threshold there is stands here, and every gate reads it."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import AliasChoices, Field, model_validator

from modelway.components.core.checks import OnInconclusive
from modelway.components.core.config.data_policy import DataPolicy
from modelway.components.core.config.deploy_policy import DEFAULT_ENVIRONMENTS, Deployment, Environments
from modelway.components.core.config.document import Document, Section
from modelway.components.core.config.model_policy import ModelPolicy
from modelway.components.core.config.serving_policy import Serving
from modelway.components.core.config.thresholds import metric_range
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
    def _thresholds_are_possible(self) -> Self:
        for place, thresholds in self.model.thresholds().items():
            for name, threshold in thresholds.items():
                low, high = metric_range(name)
                if threshold.min is not None and threshold.min > high:
                    raise ValueError(f"{place}.{name}.min is {threshold.min}, but {name} is at most {high:g}")
                if threshold.max is not None and threshold.max < low:
                    raise ValueError(f"{place}.{name}.max is {threshold.max}, but {name} is at least {low:g}")
        return self

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
