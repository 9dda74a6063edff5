"""What a page of ours must be to be read in the dashboard's panel: by its text, and as a browser lays it out."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.checks import Check, Gate, Verdict

PANEL = 400  # CSS pixels: the width of the dashboard's panel
LONG = "member_household_annual_out_of_pocket_expenditure_in_dollars"  # 60 letters and no place to break it
_WIDEST = 360
_PIXELS = {"px": 1.0, "rem": 16.0, "em": 16.0, "ch": 8.0, "vw": PANEL / 100}
_TABLES = {"folds", "facts", "figures", "matrix"}
_LOADS = re.compile(r"<script|<link|<img|<iframe|<object|@import|url\(|\ssrc=|\shref=|https?:", re.IGNORECASE)
_WIDTH = re.compile(r"(?<![\w-])(?:min-)?width:\s*([\d.]+)(px|rem|em|ch|vw)|minmax\(([\d.]+)(px|rem|em|ch|vw)")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_MEASURE = """
const measures = {};
for (const frame of document.querySelectorAll("iframe")) {
  const root = frame.contentDocument.documentElement, wide = [];
  for (const element of root.querySelectorAll("body *")) {
    const style = frame.contentWindow.getComputedStyle(element), box = element.getBoundingClientRect();
    const scrolls = ["auto", "scroll"].includes(style.overflowX) && element.scrollWidth > element.clientWidth + 1;
    const hides = style.overflowX === "hidden" && element.scrollWidth > element.clientWidth + 1;
    if (box.right > root.clientWidth + 0.5 || box.left < -0.5 || scrolls || hides)
      wide.push(`${element.tagName} ${element.className} ${element.textContent.slice(0, 40)}`);
  }
  measures[frame.name] = {width: root.scrollWidth, wide: wide.slice(0, 5)};
}
document.body.textContent = JSON.stringify(measures);
"""


def crowded(name: str, kinds: Sequence[str], facts: Mapping[str, str | int | None]) -> Gate:
    """A gate that fails in many ways, at length, and about columns with long names."""
    message = f"{LONG} of '{'x' * 200}' is not what was asked for, in 12,345 of 1,234,567 rows; look at its source; "
    checks = [
        Check(
            name=f"{kind}[{LONG}_{number}]{suffix}",
            verdict=verdict,
            observed=-1234567.123456 if number % 2 else f"{LONG}={'y' * 64}",
            interval=(-12345678.123456, 12345678.123456) if number % 2 else None,
            threshold=1234567 if number % 2 else f"{LONG}_{number} <= {LONG}",
            message=message * 2,
            blocks=verdict is Verdict.FAILED,
            waiver="waived by ada@example.org until 2026-06-30: " + LONG if number == 3 else None,
        )
        for kind, _, suffix in (kind.partition("]") for kind in kinds)
        for number, verdict in enumerate([*Verdict, *Verdict])
    ]
    return Gate(name=name, checks=tuple(checks), facts={LONG: "f" * 64, **facts})


@dataclass
class _Outline(HTMLParser):
    """The parts of a page that the rules are about."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def shortcomings(page: str) -> list[str]:
    """What keeps a page from being read in a narrow panel without network or scripts, by its text alone."""
    outline = _Outline()
    outline.feed(page)
    tags = outline.tags
    problems = [f"loads or links something: {match}" for match in _LOADS.findall(page)]
    viewport = [
        values.get("content") or "" for tag, values in tags if tag == "meta" and values.get("name") == "viewport"
    ]
    if not viewport or "width=device-width" not in viewport[0]:
        problems.append("no viewport of the device's width")
    if not any(tag == "html" and values.get("lang") for tag, values in tags):
        problems.append("no language")
    for tag, values in tags:
        classes = (values.get("class") or "").split()
        if tag == "table" and not _TABLES & set(classes):
            problems.append(f"a table of no class that fits a panel: {classes}")
        if tag == "th" and values.get("scope") not in {"col", "row"}:
            problems.append("a header cell without a scope")
        if tag == "svg" and (values.get("role") != "img" or not values.get("aria-label") or not values.get("viewbox")):
            problems.append(f"a chart without a name or a viewBox: {values}")
        if tag in {"table", "td", "th", "svg"} and "width" in values:
            problems.append(f"a {tag} with a width of its own")
    problems += [f"wider than the panel: {''.join(match)}" for match in _WIDTH.findall(_narrow(page)) if _wide(match)]
    if not re.search(r"body \{[^}]*overflow-wrap: anywhere", page):
        problems.append("long words do not break")
    if not re.search(r"color-scheme: light;", page) or not re.search(r"body \{[^}]*background: #fff", page):
        problems.append("not dark on white")
    return problems


def _narrow(page: str) -> str:
    """A page without the rules that are for wide windows only."""
    return re.sub(r"@media \(min-width: [^)]*\) \{(?:[^{}]*\{[^}]*\})*[^{}]*\}", "", page)


def _wide(match: tuple[str, ...]) -> bool:
    number, unit = match[:2] if match[0] else match[2:]
    return float(number) * _PIXELS[unit] > _WIDEST


def browser() -> str:
    """The browser on this machine; skips the test where there is none."""
    command = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if command is None:
        pytest.skip(f"no browser to lay pages out with: none of {', '.join(_BROWSERS)}")
    return command


def assert_readable(pages: Mapping[str, str], folder: Path) -> None:
    """Fails where a page sticks out of the dashboard's panel, or of a wide window."""
    for width in (PANEL, 1200):
        for name, measure in laid_out(pages, folder, width).items():
            assert measure == {"width": width, "wide": []}, f"{name} at {width} px"


def laid_out(pages: Mapping[str, str], folder: Path, width: int = PANEL) -> dict[str, dict[str, Any]]:
    """Each page in a frame without scripts, as the dashboard opens it: how wide it becomes, and what sticks out.

    Args:
        pages: Their text, by a name.
        folder: Where the frames' page is written.
        width: Of the frame, in CSS pixels.
    """
    frames = "".join(
        f'<iframe name="{name}" sandbox="allow-same-origin" style="border: 0; width: {width}px; height: 600px" '
        f'srcdoc="{html.escape(page)}"></iframe>'
        for name, page in pages.items()
    )
    host = folder / "frames.html"
    host.write_text(
        f'<!doctype html><meta charset="utf-8"><body>{frames}'
        f"<script>window.onload = () => {{{_MEASURE}}};</script></body>",
        encoding="utf-8",
    )
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    output = subprocess.run(
        [browser(), *options, f"--user-data-dir={folder / 'browser'}", "--dump-dom", host.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    body = re.search(r"<body>(.*)</body>", output, re.DOTALL)
    assert body is not None, output[:500]
    measures: dict[str, dict[str, Any]] = json.loads(html.unescape(body.group(1)))
    return measures
