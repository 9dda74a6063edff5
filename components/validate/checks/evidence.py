"""A line of the contract judged by what was seen when it was proposed: by a test, not by a share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from modelway.components.core.checks import Check, Evidence, OnInconclusive, Verdict, judged
from modelway.components.core.config.seen import SeenRows
from modelway.components.core.measures.bad_rows import certainly_more, commonest_p_value, detectable_share, p_value
from modelway.components.validate.checks.bad_rows import percentage

SURPRISE = 0.05  # lines that have seen bad rows warn of a number whose chance is no greater, and let others pass

LARGER = 10  # in batches of more than so many times the seen rows `most` holds although no bad row was seen
SOURCE_REMEDY = "correct the values at their source"


@dataclass(frozen=True)
class Batch:
    """What the lines are judged on.

    Attributes:
        rows: How many rows there are; groups, where rows of one group count as one.
        unit: ``rows`` or ``groups``.
        level: The chance that each line may have of failing although the rows are drawn like those that were seen.
        accept: The command that accepts what the rows show.
        is_part: Whether rows that were seen already are left out.
    """

    rows: int
    unit: str
    level: float
    accept: str
    is_part: bool = False

    def counted(self, bad: int, problem: str) -> str:
        """How many of the rows have a problem, in words."""
        if not self.rows:
            return f"no new {self.unit}"
        of_rows = f"{bad:,} of {self.rows:,}{' new' if self.is_part else ''}"
        return f"{of_rows} {problem}" if self.unit == "rows" else f"{of_rows} {self.unit} with {problem}"


@dataclass(frozen=True)
class ValueRows:
    """How often the values of a column occur.

    Attributes:
        known: How many rows each category has in seen rows and batch together.
        commonest: How many rows of the batch the commonest other value has.
        ties: How many other values have so many rows.
    """

    known: tuple[int, ...]
    commonest: int = 0
    ties: int = 1

    def values(self, rows: float) -> int:
        """How many values have at least so many rows, a new one that has them among them."""
        return sum(count >= rows for count in self.known) + (self.ties if rows <= self.commonest else 1)


@dataclass(frozen=True)
class LineRule:
    """When a line fails.

    Attributes:
        seen: The rows that it was proposed from.
        most: The share of bad rows, beyond those that were seen, that fails a line whatever was seen if there are
            certainly more; None: none does.
        value_rows: Of a rule on the rows of the commonest new value, how often each value occurs; None: the rule is on
            all bad rows.
        expects_some: Whether bad rows are expected, although none was seen: those of a new value where such come.
    """

    seen: SeenRows
    most: float | None = None
    value_rows: ValueRows | None = None
    expects_some: bool = False

    def p_value(self, bad: float, *, rows: int) -> float:
        """The chance of at least so many bad rows, if seen and new rows are drawn alike."""
        if self.value_rows is None:
            return p_value(self.seen, bad, rows=rows)
        return commonest_p_value(self.seen, int(bad), rows=rows, values=self.value_rows.values(bad))

    def most_share(self, *, rows: int, level: float) -> float | None:
        """The share of bad rows that may be, whatever was seen; None: what was seen decides alone.

        It is `most` beyond the upper limit of the seen share (Clopper and Pearson, 1934). Where no bad row was seen it
        is `most` itself, in a batch of more than ten times as many rows: few rows leave a share above it possible, so
        that in smaller batches clean ones would fail. By 100 seen rows and 100 new ones, one column in 130 would.
        """
        if self.most is None:
            return None
        if self.seen.bad <= 0:
            return self.most if rows > LARGER * self.seen.rows else None
        from scipy.special import betainccinv

        alike = max(1.0, self.seen.rows_as_one)
        seen_rows, seen_bad = self.seen.rows / alike, self.seen.bad / alike
        possible = float(betainccinv(seen_bad + 1, max(seen_rows - seen_bad, 1e-9), level))
        return min(1.0, self.most + possible)

    def exceeds_most(self, bad: float, *, rows: int, level: float) -> bool:
        """Whether certainly more of what the rows are drawn from is bad than may be."""
        share = self.most_share(rows=rows, level=level)
        return share is not None and certainly_more(
            bad, rows=rows, share=share, level=level, rows_as_one=self.seen.rows_as_one
        )

    def fails(self, bad: float, *, rows: int, level: float) -> bool:
        """Whether so many bad rows are certainly more than chance, or than `most`."""
        return bad > 0 and (self.p_value(bad, rows=rows) <= level or self.exceeds_most(bad, rows=rows, level=level))

    def verdict(self, bad: float, *, rows: int, level: float) -> Verdict:
        """Fails by what is certain; other bad rows are inconclusive, unless as many are expected by those seen."""
        if self.fails(bad, rows=rows, level=level):
            return Verdict.FAILED
        expects_some = self.seen.bad > 0 or self.expects_some
        is_expected = bad <= 0 or (expects_some and self.p_value(bad, rows=rows) > SURPRISE)
        return Verdict.PASSED if is_expected else Verdict.INCONCLUSIVE

    def line_evidence(self, bad: int, *, rows: int, level: float, unit: str = "rows") -> Evidence:
        """What was seen, what this batch has, and what would fail in it."""
        least, alike = least_failing(self, rows=rows, level=level), max(1.0, self.seen.rows_as_one)
        alike_least = None if least is None else -int(-least // alike)
        return Evidence(
            unit=unit,
            seen_rows=self.seen.rows,
            seen_bad=self.seen.bad,
            rows=rows,
            bad=bad,
            least=least,
            share=detectable_share(alike_least, rows=int(-(-rows // alike))),
        )


@lru_cache(maxsize=4096)
def least_failing(rule: LineRule, *, rows: int, level: float) -> int | None:
    """The fewest bad rows by which a rule fails a batch; None: not even all of them do."""
    low, high = 1, rows
    if high < low or not rule.fails(high, rows=rows, level=level):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if rule.fails(middle, rows=rows, level=level) else (middle + 1, high)
    return low


def judged_line(
    name: str,
    rule: LineRule,
    *,
    bad: int,
    batch: Batch,
    counted: str,
    remedy: str,
    unit: str | None = None,
    excess: str = "",
    observed: float | str | None = None,
    threshold: float | str | None = None,
) -> Check:
    """The check of a line. What is not certain warns, whatever the policy's `on_inconclusive` says of the gate.

    Args:
        name: The check's name.
        rule: When the line fails.
        bad: How many are bad.
        batch: What they are of.
        counted: What was counted, with the number and examples, in words.
        remedy: What to do about bad rows that are wrong.
        unit: What is counted; None: the batch's rows or groups.
        excess: Why it fails whatever the rule says; empty: it does not.
        observed: What the check shows as observed; None: how many are bad.
        threshold: What it shows as its threshold.
    """
    rows, level = batch.rows, batch.level
    verdict = Verdict.FAILED if excess else rule.verdict(bad, rows=rows, level=level)
    evidence = rule.line_evidence(bad, rows=rows, level=level, unit=unit or batch.unit)
    message = f"{counted} ({_seen_text(rule.seen, batch, unit=unit)})"
    if verdict is Verdict.FAILED:
        certainty = excess or _certainty(rule, bad, batch=batch, least=evidence.least)
        message += f": {certainty}; {remedy}; if they are right, accept them by {batch.accept}"
    elif verdict is Verdict.INCONCLUSIVE:
        enough = "no number of so few" if evidence.least is None else f"{evidence.least:,}"
        message += f": not certainly more than chance, as {enough} would be; look at them, and if they are right, "
        message += f"accept them by {batch.accept}"
    return judged(
        name,
        verdict,
        message=message,
        rule=OnInconclusive.WARN,
        observed=bad if observed is None else observed,
        threshold=threshold,
        evidence=evidence,
    )


def excess_text(share: float) -> str:
    """That there are more bad rows than may be, whatever was seen."""
    return f"certainly more than the {percentage(share)} that may be (`most`)"


def _seen_text(seen: SeenRows, batch: Batch, *, unit: str | None) -> str:
    if unit == "values":
        return f"{seen.bad:,} of the {seen.rows:,} {batch.unit} seen had a value of their own"
    return f"{seen.bad:,} of the {seen.rows:,} {batch.unit} seen"


def _certainty(rule: LineRule, bad: int, *, batch: Batch, least: int | None) -> str:
    if rule.p_value(bad, rows=batch.rows) <= batch.level:
        return f"certainly more than chance, of which {least:,} are enough"
    return excess_text(rule.most_share(rows=batch.rows, level=batch.level) or 0)
