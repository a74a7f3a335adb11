"""`report.html` and `report.json` beside a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tinsmith.files import write_all
from tinsmith.report.html.page import page
from tinsmith.report.insight.json_text import to_json
from tinsmith.report.insight.schema import Insight


@dataclass(frozen=True, slots=True)
class SavedReport:
    """The files of a report."""

    html: Path
    json: Path


def report_name(model: str) -> str:
    """What the report of a model is called: ``report``; ``NAME-report`` beside files that got a name of their own."""
    return "report" if model == "model" else f"{model}-report"


def remove_report(folder: str | Path, name: str = "report") -> None:
    """Take away what `save_report` wrote there before; nothing where there is none.

    Raises:
        OSError: It cannot be removed.
    """
    for suffix in ("html", "json"):
        (Path(folder) / f"{name}.{suffix}").unlink(missing_ok=True)


def save_report(insight: Insight, folder: str | Path, name: str = "report") -> SavedReport:
    """Write ``name.html`` and ``name.json``.

    Args:
        insight: What they say.
        folder: Created if absent. Files of these names are replaced, each in one step, once both are complete.
        name: File name without suffix.

    Returns:
        The paths.

    Raises:
        TinsmithError: They cannot be written; what stood there is untouched.
    """
    base = Path(folder)
    saved = SavedReport(base / f"{name}.html", base / f"{name}.json")
    write_all({saved.html: page(insight).encode(), saved.json: to_json(insight).encode()})
    return saved
