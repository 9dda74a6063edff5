"""``resources`` of ``project.yaml``: what a stage's pod requests, may use, and where on a cluster it runs.

Everything that Kubernetes or KFP would refuse only once the run is under way is refused here: their own patterns and
rules are what is checked.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from modelway.components.core.config.document import Section

_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_DOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_SCALES: dict[str, float] = {"": 1, "m": 1e-3} | {
    f"{letter}{binary}": (1024 if binary else 1000) ** power
    for power, letter in enumerate("KMGTPE", start=1)
    for binary in ("", "i")
}
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_LONGEST = 2**31 - 1  # of a pod's activeDeadlineSeconds


def _text(value: object) -> object:
    """Refuses what YAML read as something else than text."""
    if isinstance(value, int | float):
        text = str(value).lower() if isinstance(value, bool) else value
        raise ValueError(f'write "{text}", in quotes: YAML reads it as no text')  # noqa: TRY004 - pydantic's own
    return value


def _label_key(key: str) -> str:
    domain, slash, name = key.rpartition("/")
    if not re.fullmatch(_NAME, name) or (slash and not (len(domain) <= 253 and re.fullmatch(_DOMAIN, domain))):
        raise ValueError(
            f"{key!r} is not a label's name; write up to 63 letters, digits, '-', '_' and '.', "
            "with a domain and '/' before them or not"
        )
    return key


def _label_value(value: str) -> str:
    if value and not re.fullmatch(_NAME, value):
        raise ValueError(f"{value!r} is not a label's value; write up to 63 letters, digits, '-', '_' and '.'")
    return value


LabelKey = Annotated[str, AfterValidator(_label_key)]
LabelValue = Annotated[str, BeforeValidator(_text), AfterValidator(_label_value)]


def size(quantity: str) -> float:
    """A Kubernetes quantity as a number: CPUs or bytes.

    Args:
        quantity: As `Cpu` or `Memory` hold it.
    """
    digits = quantity.rstrip("EPTGMKim")
    return float(digits) * _SCALES[quantity.removeprefix(digits)]


def _cpu(value: object) -> str:
    text = str(value)
    if not re.fullmatch(r"([0-9]*\.)?[0-9]+|[0-9]+m", text):
        raise ValueError(f"{text!r} is not an amount of CPU; write a number of CPUs, such as 2 or 0.5, or 500m")
    if size(text) < 1e-3:
        raise ValueError("an amount of CPU is at least 1m")
    return text


def _memory(value: object) -> str:
    text = str(value)
    # KFP takes K too and Kubernetes k, each of which the other refuses.
    if not re.fullmatch(r"[0-9]+([EPTGM]i?|Ki)?", text):
        raise ValueError(
            f"{text!r} is not an amount of memory; write a whole number and Ki, Mi, Gi, Ti, M, G or T, such as 1536Mi"
        )
    if not size(text):
        raise ValueError("the amount of memory must be positive")
    return text


_CpuQuantity = Annotated[str, BeforeValidator(_cpu, json_schema_input_type=float | str)]
_MemoryQuantity = Annotated[str, BeforeValidator(_memory, json_schema_input_type=int | str)]


class Amount(Section):
    """How much of a resource: what a node must have free, and what the container may use at most."""

    request: str | None
    limit: str | None

    @model_validator(mode="after")
    def _request_within_limit(self) -> Self:
        if self.request is None and self.limit is None:
            raise ValueError("give at least one of `request` and `limit`")
        if self.request is not None and self.limit is not None and size(self.request) > size(self.limit):
            raise ValueError(f"the request {self.request} is more than the limit {self.limit}; raise the limit")
        return self


class Cpu(Amount):
    """CPUs, such as ``2``, ``0.5`` or ``500m``."""

    request: _CpuQuantity | None = Field(None, description="What a node must have free.")
    limit: _CpuQuantity | None = Field(None, description="What the container is slowed down to.")


class Memory(Amount):
    """Memory, such as ``4Gi``."""

    request: _MemoryQuantity | None = Field(None, description="What a node must have free.")
    limit: _MemoryQuantity | None = Field(None, description="The container is killed beyond it.")


def _alike(value: object) -> object:
    """One quantity is request and limit alike."""
    return {"request": value, "limit": value} if isinstance(value, int | float | str) else value


def _extended_resource(name: str) -> str:
    domain, _, resource = name.partition("/")
    extended = len(domain) <= 253 and re.fullmatch(_DOMAIN, domain) and re.fullmatch(_NAME, resource)
    if not extended or f".{domain}".endswith(".kubernetes.io") or domain.startswith("requests."):
        raise ValueError(
            f"{name!r} is not the name of a resource that nodes offer; name the resource, such as nvidia.com/gpu, "
            "and choose the model of GPU by `node_selector`"
        )
    return name


class Gpu(Section):
    """Accelerators, which a node offers as an extended resource."""

    type: Annotated[str, AfterValidator(_extended_resource)] = Field(
        "nvidia.com/gpu", description="The extended resource's name; the model is chosen by `node_selector`."
    )
    count: int = Field(1, ge=1, le=1000)


class Toleration(Section):
    """A taint that the pod tolerates."""

    key: LabelKey | None = Field(None, description="The taint's key. None: every taint, with operator Exists.")
    operator: Literal["Equal", "Exists"] = "Equal"
    value: LabelValue | None = Field(None, description="The taint's value, with operator Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="Every effect unless given."
    )
    seconds: int | None = Field(
        None, ge=0, le=_LONGEST, description="NoExecute only: for how long; for good unless given."
    )

    @model_validator(mode="after")
    def _as_kubernetes_has_it(self) -> Self:
        if self.operator == "Exists" and self.value:
            raise ValueError("operator Exists has no `value`; leave one of the two out")
        if self.key is None and self.operator != "Exists":
            raise ValueError("name the taint's `key`, or tolerate every taint by `operator: Exists`")
        if self.seconds is not None and self.effect != "NoExecute":
            raise ValueError("`seconds` is for `effect: NoExecute` only")
        return self


def _duration(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?", value):
        raise ValueError(f"{value!r} is not a duration; write numbers and their units, such as 30s, 90m or 1h30m")
    if not 1 <= in_seconds(value) <= _LONGEST:
        raise ValueError(f"a timeout is from 1s to {_LONGEST}s")
    return value


def in_seconds(duration: str) -> int:
    """A duration such as ``90m`` or ``1h30m`` in seconds."""
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"([0-9]+)([hms])", duration))


def _pinned(image: str) -> str:
    if not re.fullmatch(r"[^\s@]+@sha256:[0-9a-f]{64}", image):
        raise ValueError(
            f"{image!r} is not pinned; write the image by its digest, repository@sha256:…, "
            "which `docker buildx imagetools inspect` and `crane digest` print"
        )
    return image


class StageResources(Section):
    """What a stage's pod requests, may use, and where it runs. A key that is not here has the stage's default."""

    cpu: Annotated[Cpu, BeforeValidator(_alike, json_schema_input_type=float | str | Cpu)] | None = Field(
        None, description="A quantity, such as 2 or 500m, or request and limit."
    )
    memory: Annotated[Memory, BeforeValidator(_alike, json_schema_input_type=int | str | Memory)] | None = Field(
        None, description="A quantity, such as 4Gi, or request and limit."
    )
    gpu: Gpu | None = None
    node_selector: dict[LabelKey, LabelValue] | None = Field(None, description="The labels that a node must have.")
    tolerations: tuple[Toleration, ...] | None = None
    spot: bool | None = Field(None, description="Run on spot capacity only, with GKE, EKS, Karpenter or AKS.")
    timeout: Annotated[str, BeforeValidator(_duration)] | None = Field(
        None, description="For how long its pod may run, such as 30s, 90m or 1h30m."
    )
    image: Annotated[str, AfterValidator(_pinned)] | None = Field(
        None, description="The image that it runs in, by digest."
    )

    def over(self, defaults: StageResources) -> StageResources:
        """These keys, and the others' where these have none; a null takes the others' away."""
        return defaults.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})
