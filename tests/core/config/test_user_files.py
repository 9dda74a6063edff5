"""The three files are read together, and kept in the store by their content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.errors import ModelwayError

LONGEST_PARAMETER = 9_999  # bytes, by KFP's API server


@pytest.fixture
def texts(small: Path) -> dict[str, str]:
    return {name: (small / f"{name}.yaml").read_text(encoding="utf-8") for name in ("project", "contract", "policy")}


def test_equal_content_has_one_place_and_other_content_another(texts: dict[str, str], tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    first = UserFiles.load(**texts).keep(store)
    assert UserFiles.load(**{name: f"# a comment\n{text}" for name, text in texts.items()}).keep(store) == first
    texts["policy"] = texts["policy"].replace("100", "101")
    assert {name for name, uri in UserFiles.load(**texts).keep(store).items() if uri != first[name]} == {"policy"}


def test_settings_have_no_part_in_what_stages_are_given(texts: dict[str, str], tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    first = UserFiles.load(**texts).keep(store)
    texts["project"] += "\nlabels: {team: risk}\nresources: {default: {cpu: 2, spot: true}}\n"
    files = UserFiles.load(**texts)
    assert files.project.resources
    assert files.keep(store) == first
    assert UserFiles.load(**first).project.resources == {}


def test_what_was_kept_is_read_back(texts: dict[str, str], tmp_path: Path) -> None:
    files = UserFiles.load(**texts)
    assert UserFiles.load(**files.keep(str(tmp_path))) == files


def test_a_wide_table_fits_into_a_parameter(
    texts: dict[str, str], tmp_path: Path, edit: Callable[..., None], small: Path
) -> None:
    columns = {f"measurement_{number:04}": {"type": "number", "minimum": 0} for number in range(1000)}
    edit(small / "contract.yaml", {f"columns.{name}": column for name, column in columns.items()})
    files = UserFiles.load(**(texts | {"contract": str(small / "contract.yaml")}))
    assert len(files.contract.canonical().encode()) > LONGEST_PARAMETER
    assert all(len(uri.encode()) <= LONGEST_PARAMETER for uri in files.keep(str(tmp_path)).values())


def test_a_malformed_file_is_named(texts: dict[str, str]) -> None:
    with pytest.raises(ModelwayError, match="policy") as error:
        UserFiles.load(**(texts | {"policy": "model: 3"}))
    assert error.value.key == "model"
