"""Reports for people: small, self-contained HTML from templates, which fetches nothing when opened."""

from __future__ import annotations

from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

from modelway.components.core.addresses import without_secrets
from modelway.components.core.checks import Gate, Verdict
from modelway.components.core.report.text import printable

WORST_FIRST = {Verdict.FAILED: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASSED: 2}
MOST_WARNINGS = 10
MOST_CHECKS = 300  # keeps the page of a table with thousands of columns small enough to open


def render_template(package: str, template: str, **values: Any) -> str:
    """Renders a stage's own template, which may extend ``report.html.j2`` of `core.report` and use its charts."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name, "") for name in (package, "modelway.components.core.report")]),
        autoescape=select_autoescape(("html.j2",), ("md.j2",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters |= {"number": format_number, "cell": markdown_cell, "short": shorten}
    return environment.get_template(template).render(**values)


def render_gate(package: str, template: str, *, gate: Gate, title: str, **values: Any) -> str:
    """Renders a gate's report: its checks worst first, cut to the first few hundred, and what the stage adds."""
    worst_first = sorted(gate.checks, key=lambda check: (not check.blocks, WORST_FIRST[check.verdict]))
    warnings = [check for check in worst_first if not check.blocks and check.verdict is not Verdict.PASSED]
    return render_template(
        package,
        template,
        title=title,
        gate=gate,
        warnings=warnings[:MOST_WARNINGS],
        checks=worst_first[:MOST_CHECKS],
        left_out=max(0, len(worst_first) - MOST_CHECKS),
        **values,
    )


def markdown_cell(value: object) -> str:
    """A value as the text of a Markdown table's cell, or of a list's item."""
    return " ".join(without_secrets(str(value)).split()).replace("|", "\\|").replace("<", "&lt;")


def shorten(text: str, letters: int = 32) -> str:
    """A name with its middle left out where it is long: names that are alike differ at their ends."""
    half = letters // 2
    return text if len(text) <= letters else f"{text[: half - 1]}…{text[-half:]}"


def format_number(value: object) -> str:
    """A number as people write it: four significant digits, thousands separated; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    if isinstance(value, int) or (1000 <= abs(value) < float("inf") and value == round(value)):
        return f"{value:,.0f}"
    return f"{value:.4g}"
