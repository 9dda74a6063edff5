"""One MLflow database for the session: creating its tables takes seconds."""

from __future__ import annotations

import pytest

from modelway.components.core.tracking import Tracking


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    """MLflow on a sqlite file that the folders of tests share."""
    file = tmp_path_factory.getbasetemp() / "shared" / "mlflow.db"
    file.parent.mkdir(exist_ok=True)
    made = Tracking(f"sqlite:///{file}")
    made.prepare()
    return made
