from __future__ import annotations

from modelway.components.core.evidence import files


def test_versions_that_are_registered_keep_their_evidence_by_these_names() -> None:
    names = {name: value for name, value in vars(files).items() if name.endswith("_FILE")}
    assert names == {
        "BASELINE_FILE": "baseline.json",
        "BLESSING_FILE": "blessing.json",
        "CARD_FILE": "card.md",
        "CARD_PAGE_FILE": "card.html",
        "CONTRACT_FILE": "contract.json",
        "POLICY_FILE": "policy.json",
        "PROJECT_FILE": "project.json",
        "ROWS_FILE": "rows.parquet",
        "SAMPLE_FILE": "sample.parquet",
    }
