"""Whether a policy is weaker than the champion's was.

Numbers, and switches that permit something, are marked with the direction in which they are stricter
(`thresholds.Stricter`); nothing else is known here about the sections. What cannot be ordered, such as another metric
in place of the champion's, counts as weaker: what the champion was judged by is no longer required.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from modelway.components.core.checks import Check, Mode, OnInconclusive, Verdict, passed_or_failed
from modelway.components.core.config.document import Section
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.thresholds import HIGHER, LOWER, Stricter, Threshold

_ABSENT, _GIVEN = "absent", "given"
# Weaker first.
_ORDERS = (tuple(Mode)[::-1], ("warn", "block"), ("allow", "block"), ("smoke", "live"))
# Where and how things are done: these make no policy stricter or weaker.
_NO_DEMANDS = {"namespace", "register_new_baseline", "registration", "steps", "strategy", "target", "waivers"}
_HIGHER_BY_NAME = {"minimum_rows", "confidence"}
# A condition on which rows a rule is about: the rule asks most without one.
_NARROWS = "where"


@dataclass(frozen=True)
class _Weakening:
    """A requirement of the champion's policy, and what replaced it."""

    place: str
    before: object
    now: object


def weaker_checks(before: Policy | None, now: Policy) -> list[Check]:
    """A check for each point in which a policy is weaker than the champion's, or one check that passes.

    Weaker are: a number in the less strict direction, a switch turned off, a mode or `on_inconclusive` that blocks
    less, and a threshold, section, column or rule that is gone. Columns without thresholds of their own have the
    general ones. A section that was disabled required nothing.

    Args:
        before: The champion's policy; None if there is no champion.
        now: The run's.

    Returns:
        Checks named by the key, ``policy[model.metrics.roc_auc.min]``; they fail if either policy has
        ``on_policy_weakened: block``, else are inconclusive and do not block. Empty without a champion.
    """
    if before is None:
        return []
    blocks = OnInconclusive.BLOCK in {before.on_policy_weakened, now.on_policy_weakened}
    weakenings = list(_section(before, now, place="", kind=Policy))
    if not weakenings:
        return [passed_or_failed("policy", True, message="this policy asks no less than the champion's did")]
    return [_check(weakening, blocks) for weakening in weakenings]


def _check(weakening: _Weakening, blocks: bool) -> Check:
    name, was, became = f"policy[{weakening.place}]", _display(weakening.before), _display(weakening.now)
    change = "is no longer asked for" if became == _ABSENT else f"is {became} now"
    difference = "which the champion's policy had" if was == _GIVEN else f"where the champion's policy had {was}"
    remedy = "put it back" if was == _GIVEN else f"put {was} back"
    if was == _ABSENT:
        change, difference, remedy = "is allowed now", "which the champion's policy did not allow", "take it out"
    return Check(
        name=name,
        verdict=Verdict.FAILED if blocks else Verdict.INCONCLUSIVE,
        observed=became,
        threshold=was,
        message=(
            f"{weakening.place} {change}, {difference}, so this one asks less; {remedy}, "
            f"or waive `{name}` with a name and a reason"
        ),
        blocks=blocks,
    )


def _display(value: object) -> float | int | str:
    if value is None:
        return _ABSENT
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return value
    if isinstance(value, Threshold):
        return str(value) or _GIVEN
    return _GIVEN if isinstance(value, BaseModel) else str(value)


def _section(
    before: BaseModel,
    now: BaseModel,
    *,
    place: str,
    kind: type[BaseModel],
    rules: tuple[OnInconclusive | None, OnInconclusive | None] = (None, None),
) -> Iterator[_Weakening]:
    """What is weaker in the fields of one section; `kind` says which, since a general section stands for its parts.

    The rules are the enclosing sections' `on_inconclusive`, which hold unless this section has its own.
    """
    if getattr(before, "mode", None) is Mode.DISABLED:
        return
    rules = (getattr(before, "on_inconclusive", None) or rules[0], getattr(now, "on_inconclusive", None) or rules[1])
    for name, field in kind.model_fields.items():
        if name in _NO_DEMANDS:
            continue
        key = f"{place}.{name}".removeprefix(".")
        old, new = getattr(before, name), getattr(now, name)
        general = _overridden(field.annotation, kind)
        if general is not None:
            old_parts, new_parts = _keyed(old, key), _keyed(new, key)
            for part in dict.fromkeys((*old_parts, *new_parts)):  # which have thresholds of their own in either policy
                part_before, part_now = old_parts.get(part, before), new_parts.get(part, now)
                yield from _section(part_before, part_now, place=part, kind=general)
            continue
        if name == "on_inconclusive":
            if old is None and new is None:
                continue
            old, new = rules
        if name == _NARROWS:
            if new is None:
                continue
            old = "every row" if old is None else old
        direction = HIGHER if name in _HIGHER_BY_NAME else _direction([*field.metadata, field.annotation])
        yield from _value(old, new, place=key, direction=direction, rules=rules)


def _value(
    old: Any,
    new: Any,
    *,
    place: str,
    direction: Stricter | None,
    rules: tuple[OnInconclusive | None, OnInconclusive | None],
) -> Iterator[_Weakening]:
    if isinstance(old, BaseModel) and new is not None:
        yield from _section(old, new, place=place, kind=type(old), rules=rules)
    elif isinstance(old, tuple) and direction == LOWER:  # a list of what is allowed
        if new is None:
            yield _Weakening(place, ", ".join(map(str, old)), None)
        yield from (_Weakening(f"{place}.{name}", None, str(name)) for name in new or () if name not in old)
    elif isinstance(old, Mapping | tuple):
        old_parts, new_parts = _keyed(old, place), _keyed(new, place)
        for key, value in old_parts.items():
            if key in new_parts:
                yield from _value(value, new_parts[key], place=key, direction=direction, rules=rules)
            else:
                yield _Weakening(key, value, None)
    elif _asks_less(old, new, direction=direction):
        yield _Weakening(place, old, new)


def _asks_less(old: Any, new: Any, *, direction: Stricter | None) -> bool:
    if old is None or old == new:
        return False
    if isinstance(old, bool):
        return bool(new) if direction == LOWER else old
    if isinstance(old, int | float):
        if direction is None:
            return False
        return new is None or (new < old if direction.when == "higher" else new > old)
    for order in _ORDERS:
        if old in order and new in order:
            return order.index(new) < order.index(old)
    return True


def _keyed(value: Any, place: str) -> dict[str, Any]:
    """The parts of a mapping or a list by their keys; of a list each part's name, or itself."""
    if value is None:
        return {}
    if isinstance(value, BaseModel):
        return {place: value}
    if isinstance(value, Mapping):
        return {f"{place}.{key}": part for key, part in value.items()}
    parts: dict[str, Any] = {}
    repeats: Counter[str] = Counter()
    for part in value:
        key = f"{place}.{getattr(part, 'name', part)}"
        repeats[key] += 1
        parts[f"{key}#{repeats[key]}" if repeats[key] > 1 else key] = part
    return parts


def _overridden(annotation: Any, kind: type[BaseModel]) -> type[BaseModel] | None:
    """The section that a field's values override, where they are of a kind that the field's own section is of too."""
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and part is not Section and issubclass(part, Section) and issubclass(kind, part):
            return part
    return None


def _direction(parts: list[Any]) -> Stricter | None:
    """The direction that a field's metadata, or the types inside its own, are marked with."""
    for part in parts:
        inside = [*get_args(part), *getattr(part, "__metadata__", ())]
        direction = part if isinstance(part, Stricter) else _direction(inside)
        if direction is not None:
            return direction
    return None
