"""``python -m modelway.components.core.surroundings --store s3://bucket/prefix``, in a pod."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from modelway.components.core.addresses import hide_secrets_in_output
from modelway.components.core.surroundings.findings import as_json, as_text
from modelway.components.core.surroundings.services import inspect_surroundings


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints how each part is; returns 0 if all that a run needs is there, 2 if not."""
    parser = argparse.ArgumentParser(prog="python -m modelway.components.core.surroundings", description=main.__doc__)
    parser.add_argument("--store", required=True, help="where decisions and reports are kept: a folder or s3://")
    parser.add_argument("--source", action="append", default=[], help="a data source; may be given several times")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    findings = inspect_surroundings(store=options.store, sources=options.source)
    text = json.dumps(as_json(findings), indent=2, ensure_ascii=False) if options.json else as_text(findings)
    sys.stdout.write(f"{text}\n")
    return 2 if any(finding.status.blocks for finding in findings) else 0


if __name__ == "__main__":
    hide_secrets_in_output()
    sys.exit(main())
