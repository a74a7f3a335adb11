"""`report.json`: an `Insight` for scripts and CI."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from tinsmith.report.insight.schema import Insight

SCHEMA_VERSION = 1
"""Of the names in `tinsmith.report.insight.schema`: grows where one of them changes its meaning or goes."""


def to_json(insight: Insight) -> str:
    """The insight as JSON: the names of the schema, numbers that are infinite or undefined as null."""
    facts = {"schema": SCHEMA_VERSION, **asdict(insight)}
    return json.dumps(_finite(facts), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    match value:
        case dict():
            return {key: _finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
