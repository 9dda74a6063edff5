"""Names of the files of a version's evidence, among its artifacts in MLflow and in its release bundle."""

BASELINE_FILE = "baseline.json"
BLESSING_FILE = "blessing.json"
CARD_FILE, CARD_PAGE_FILE = "card.md", "card.html"
CONTRACT_FILE = "contract.json"
POLICY_FILE = "policy.json"
PROJECT_FILE = "project.json"
SAMPLE_FILE = "sample.parquet"
