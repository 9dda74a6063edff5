"""Checks whether columns are distributed alike in two tables.

A column fails where a distance exceeds its threshold and the difference is statistically significant. A large distance
that is not significant is inconclusive, and a small one passes however many rows there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelway.components.core.checks import Check, OnInconclusive, Verdict, inconclusive, judged
from modelway.components.core.config.data_policy import Distances, Drift, Skew
from modelway.components.core.measures.stability import excess_stability_index
from modelway.components.validate.distances import DISTANCES, chi_squared_p, fits, holm, kolmogorov_smirnov_p
from modelway.components.validate.distributions import TableStatistics

_NAMES = {
    "psi": "PSI",
    "jensen_shannon": "Jensen-Shannon",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov",
    "cramers_v": "Cramér's V",
}


@dataclass(frozen=True)
class Distance:
    """One distance of one column: its threshold, and the test of its significance."""

    measure: str
    effect: float
    threshold: float
    test: tuple[str, str]


@dataclass(frozen=True)
class Comparison:
    """Two tables to compare column by column, and what its checks say of them.

    Attributes:
        current: The rows in question.
        reference: The rows that they are compared with.
        policy: The least number of rows, and the chance of a false alarm.
        rule: What an inconclusive check does.
        rows: Both numbers of rows, in words.
        remedy: What to do where a column differs.
    """

    current: TableStatistics
    reference: TableStatistics
    policy: Drift | Skew
    rule: OnInconclusive
    rows: str
    remedy: str

    def too_few_rows(self, name: str) -> Check | None:
        """An inconclusive check where either side has too few rows to compare; None where both have enough."""
        rows, least = min(self.current.rows, self.reference.rows), self.policy.minimum_rows
        if rows >= least:
            return None
        message = f"{rows:,} rows on one side; the policy requires {least:,} to measure {name}; bring more rows"
        return inconclusive(name, message, rule=self.rule, observed=rows, threshold=least)

    def checks(self, thresholds: Mapping[str, Distances], names: Mapping[str, str]) -> list[Check]:
        """The checks of all columns, their p-values corrected together: each test of each column counts once.

        Args:
            thresholds: Those of each column.
            names: Each column's check's name.
        """
        distances = {column: self._distances(column, limits) for column, limits in thresholds.items()}
        tests = {distance.test: distance for of_column in distances.values() for distance in of_column}
        p_values = holm([self._p_value(distance) for distance in tests.values()])
        adjusted = dict(zip(tests, p_values, strict=True))
        return [
            self._check(names[column], of_column, p_values=adjusted)
            for column, of_column in distances.items()
            if of_column
        ]

    def _distances(self, column: str, limits: Distances) -> list[Distance]:
        distribution, distances = self.reference.columns[column], []
        shares = distribution.shares, self.current.columns[column].shares
        for measure in _NAMES:
            threshold = getattr(limits, measure)
            if threshold is None or not fits(measure, distribution.kind):
                continue
            if measure == "psi":
                rows, expected_rows = self.current.weight, self.reference.weight
                effect = excess_stability_index(*shares, expected_rows=expected_rows, rows=rows)
            else:
                effect = DISTANCES[measure](*shares)
            test = (column, "Kolmogorov-Smirnov" if measure == "kolmogorov_smirnov" else "chi-squared")
            distances.append(Distance(measure, effect, threshold, test))
        return distances

    def _p_value(self, distance: Distance) -> float:
        column, test = distance.test
        distribution = self.reference.columns[column]
        sides = (self.reference, self.current)
        reference, current = (np.array(side.columns[column].shares) * side.weight for side in sides)
        if test == "Kolmogorov-Smirnov":
            return kolmogorov_smirnov_p(distance.effect, reference[:-1].sum(), current=current[:-1].sum())
        if distribution.chosen_by:
            reference -= np.array(distribution.chosen_by) / self.reference.rows_per_group
        rest = None if distribution.kind == "numeric" else len(distribution.shares) - 2
        return chi_squared_p(reference, current, rest=rest)

    def _check(self, name: str, distances: Sequence[Distance], *, p_values: Mapping[tuple[str, str], float]) -> Check:
        alpha = self.policy.alpha
        above = [distance for distance in distances if distance.effect > distance.threshold]
        failed = [distance for distance in above if p_values[distance.test] < alpha]
        worst = max(failed or distances, key=lambda distance: distance.effect / distance.threshold)
        values = ", ".join(
            f"{_NAMES[distance.measure]} {distance.effect:.3f} (at most {distance.threshold:g})"
            for distance in distances
        )
        tests = dict.fromkeys(distance.test for distance in distances)
        significance = " and ".join(f"{_p_value_text(p_values[test])} by {test[1]}" for test in tests)
        message = f"{values}; p {significance} {self.rows}"
        if max(self.current.rows_per_group, self.reference.rows_per_group) > 1:
            message += " (rows of a group are alike and weigh less)"
        if failed:
            message += f"; {self.remedy}"
        elif above:
            message += f"; too few rows to distinguish a shift from chance (p must be below {alpha:g}): bring more"
        verdict = Verdict.FAILED if failed else Verdict.INCONCLUSIVE if above else Verdict.PASSED
        effect, limit = round(worst.effect, 6), worst.threshold
        return judged(name, verdict, message=message, rule=self.rule, observed=effect, threshold=limit)


def _p_value_text(p_value: float) -> str:
    return f"{p_value:.2g}" if p_value > 1e-300 else "under 1e-300"
