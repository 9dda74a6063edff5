from __future__ import annotations

from pathlib import Path

from modelway.components.core.config.project import Data
from modelway.components.core.storage.uri import content_version
from modelway.components.core.tables.sources import source_version


def test_the_version_is_that_of_all_sources(tmp_path: Path) -> None:
    for name in ("train", "serving"):
        (tmp_path / f"{name}.csv").write_text(name, encoding="utf-8")
    train, serving = (str(tmp_path / f"{name}.csv") for name in ("train", "serving"))
    assert source_version(Data(source=train)) == content_version(train)
    before = source_version(Data(source=train, serving=serving))
    assert before == f"{content_version(train)}+{content_version(serving)}"
    (tmp_path / "serving.csv").write_text("other", encoding="utf-8")
    assert source_version(Data(source=train, serving=serving)) != before
