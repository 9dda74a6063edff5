"""What a project's data sources are now."""

from __future__ import annotations

from modelway.components.core.config.project import Data
from modelway.components.core.storage.uri import content_version


def source_version(data: Data) -> str:
    """What the sources are now: a text that changes when their content does.

    Raises:
        ModelwayError: a source is not there or cannot be read.
    """
    return "+".join(map(content_version, data.locations))
