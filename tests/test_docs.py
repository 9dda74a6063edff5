"""The documents name files that exist, their links lead somewhere, and the pictures show what the code says."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "manifests" / "README.md"]
PICTURES = sorted((ROOT / "docs" / "architecture").glob("*.svg"))
_FOLDERS = ("benchmarks", "components", "docs", "examples", "manifests", "pipelines", "tests")
_TEXT = "{http://www.w3.org/2000/svg}text"


def _anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _texts(svg: str) -> list[tuple[ElementTree.Element, list[str]]]:
    """The texts of a picture, each with its words."""
    root = ElementTree.parse(ROOT / "docs" / "architecture" / svg).getroot()  # noqa: S314 - a file of this repository
    return [(text, re.split(r"[\s,/]+", "".join(text.itertext()))) for text in root.iter(_TEXT)]


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text(encoding="utf-8"))
    targets = [(link, path.parent / link.partition("#")[0] if link[0] != "#" else path) for link in links]
    assert [link for link, target in targets if not target.exists()] == []
    anchored = [(link.partition("#")[2], target) for link, target in targets if "#" in link]
    assert [anchor for anchor, target in anchored if anchor not in _anchors(target)] == []


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_named_files_exist(name: str) -> None:
    words = re.findall(r"`([^`\s]+)`", (ROOT / name).read_text(encoding="utf-8"))
    paths = [word for word in words if word.partition("/")[0] in _FOLDERS and "/" in word]
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("svg", PICTURES, ids=lambda svg: svg.name)
def test_a_picture_loads_nothing(svg: Path) -> None:
    content = svg.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "").replace("url(#tip)", "")
    assert not re.search(r"<script|<image|href=|@import|@font-face|url\(|https?:", content)


def test_the_picture_of_the_layers_shows_them_in_the_order_of_the_import_rules() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    stages, core = (
        contract["layers"] for contract in configuration["tool"]["importlinter"]["contracts"] if "layers" in contract
    )
    titles = [(text, words) for text, words in _texts("layers.svg") if text.get("class") in {"name", "room"}]
    places = {word: float(text.attrib["y"]) for text, words in titles for word in words}
    rows = [[module.strip().rpartition(".")[2] for module in row.split("|")] for row in (*stages, *core)]
    heights = [{places[room] for room in row} for row in rows]
    assert all(max(above) < min(below) for above, below in pairwise(heights))
    assert all(len(height) == 1 for height in heights[-len(core) :])


def test_the_picture_of_the_cluster_names_what_tasks_and_manifests_name() -> None:
    sources = [*(ROOT / "manifests").rglob("*.yaml"), *(ROOT / "components" / "core").glob("*.py")]
    sources += [ROOT / "pipelines" / "cluster_settings.py", ROOT / "components" / "__init__.py"]
    known = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    words = {word.strip(":;") for _, words in _texts("cluster.svg") for word in words}
    names = {word for word in words if re.fullmatch(r"[a-z]+_[a-z]+|(modelway|mlpipeline)-[a-z-]+", word)}
    assert len(names) > 20
    assert {name for name in names if not re.search(rf"\b{name}\b", known)} == set()
