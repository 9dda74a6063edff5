"""A model that ends its process."""

from __future__ import annotations

import os
from typing import Any

import pandas as pd


class CrashesOnNull:
    def predict(self, rows: pd.DataFrame) -> Any:
        if rows["region"].isna().any():
            os._exit(77)
        return rows["income"].to_numpy() * 2
