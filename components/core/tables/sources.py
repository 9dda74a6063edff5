"""The version of a project's data sources."""

from __future__ import annotations

from modelway.components.core.config.project import Data
from modelway.components.core.storage.uri import content_version


def source_version(data: Data) -> str:
    """A text that changes when the content of a source does.

    Raises:
        ModelwayError: a source is not there or cannot be read.
    """
    return "+".join(map(content_version, data.locations))
