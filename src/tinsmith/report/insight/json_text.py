"""`report.json`: an `Insight` for scripts and CI."""

from __future__ import annotations

import json
from dataclasses import asdict

from tinsmith.report.insight.schema import Insight
from tinsmith.report.json_values import finite

SCHEMA_VERSION = 1
"""Of the names in `tinsmith.report.insight.schema`: grows where one of them changes its meaning or goes."""


def to_json(insight: Insight) -> str:
    """The insight as JSON: the names of the schema, numbers that are infinite or undefined as null."""
    facts = {"schema": SCHEMA_VERSION, **asdict(insight)}
    return json.dumps(finite(facts), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
