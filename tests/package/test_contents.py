"""What goes into a bundle is the blessed model with its own evidence, or nothing is packaged."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.package.stage import Packaged


def test_a_model_that_does_not_convert_needs_its_libraries_in_the_base(
    run: Callable[..., Packaged], register: Callable[..., Any], model: Path, tmp_path: Path
) -> None:
    empty = io.BytesIO()
    pl.DataFrame({"income": pl.Series([], dtype=pl.Float64)}).write_parquet(empty)
    version = register(model, evidence={"sample.parquet": empty.getvalue()})
    with pytest.raises(
        ModelwayError, match=r"is served by its pipeline, which needs pandas .* the base lacks it"
    ) as error:
        run(version)
    assert "--target pipeline" in error.value.remedy
    assert not (tmp_path / "images").exists()


def test_a_version_that_is_not_blessed_or_not_there_is_refused(
    run: Callable[..., Packaged], register: Callable[..., Any], registered: Any, model: Path
) -> None:
    with pytest.raises(ModelwayError, match="is not blessed"):
        run(register(model, blessed=False))
    with pytest.raises(ModelwayError, match="has no version 99"):
        run(dataclasses.replace(registered, version="99"))


def test_a_model_that_was_changed_after_its_blessing_is_refused(
    run: Callable[..., Packaged], register: Callable[..., Any], model: Path, tmp_path: Path
) -> None:
    version = register(model)
    with (version.model / "model.skops").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelwayError, match="is not the one that was blessed"):
        run(version)
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize("file", ["blessing.json", "policy.json"])
def test_evidence_that_was_changed_is_refused(
    run: Callable[..., Packaged], register: Callable[..., Any], model: Path, file: str
) -> None:
    with pytest.raises(ModelwayError, match=r"another (blessing|policy)"):
        run(register(model, replaced={file: b'{"model": {"metrics": {}}}'}))
