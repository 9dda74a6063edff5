from __future__ import annotations

from pathlib import Path

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.locations import check_location, split_uri
from modelway.components.core.storage.uri import content_version, fetch, list_names, read_uri, write_uri
from modelway.components.core.surroundings.storage import source_in_folder, store_in_folder


@pytest.mark.parametrize(
    "location",
    ["", "claims.csv", "/data/a?b=c#d.csv", "/data/ada@corp/claims.csv", "s3://bucket", "s3://bucket/a@b:c/d.csv", "a/b://c"],
)  # fmt: skip
def test_paths_and_plain_addresses_are_taken(location: str) -> None:
    check_location(location)


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("s3://key:pw@bucket/a.csv", "has no keys in it"),
        ("s3://pw@bucket", "has no keys in it"),
        ("s3://bucket/a.csv?X-Amz-Signature=pw", "neither \\? nor #"),
        ("s3://bucket/a.csv#sig=pw", "neither \\? nor #"),
        ("https://host/a.csv?sig=pw", "https:// addresses are not read"),
        ("gs://bucket/a.csv", "gs:// addresses are not read"),
    ],
)
def test_other_addresses_are_refused_with_a_remedy(location: str, problem: str) -> None:
    with pytest.raises(ModelwayError, match=problem) as error:
        check_location(location, key="data.source")
    assert (error.value.key, "AWS_ACCESS_KEY_ID" in error.value.remedy) == ("data.source", True)
    assert "pw" not in f"{error.value}"
    if location.startswith("s3://"):
        with pytest.raises(ModelwayError, match=problem):
            split_uri(location)


def test_an_address_gives_bucket_and_key() -> None:
    assert split_uri("s3://bucket/a/b%20c@1.csv") == ("bucket", "a/b%20c@1.csv")


def test_an_address_is_not_taken_for_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    address = "https://ada:pw@host/store"
    for use in (
        lambda: write_uri(f"{address}/a", b""),
        lambda: read_uri(address),
        lambda: list_names(address),
        lambda: fetch(address, tmp_path),
        lambda: content_version(address),
        lambda: store_in_folder(address),
        lambda: source_in_folder(address),
    ):
        with pytest.raises(ModelwayError, match="https:// addresses are not read"):
            use()
    assert list(tmp_path.iterdir()) == []
