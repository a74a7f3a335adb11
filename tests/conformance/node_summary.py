"""Counts of ONNX's single-operator cases at the end of a run."""

from __future__ import annotations

from collections import Counter
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Adds up what the tests recorded, from all workers."""
    totals: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, counts in report.user_properties:
                if name.startswith("node cases "):
                    totals.setdefault(name, Counter()).update(counts)
    for name, counts in sorted(totals.items()):
        terminalreporter.section(name)
        for label, count in sorted(counts.items(), key=lambda item: (item[0].startswith("refused"), -item[1])):
            terminalreporter.write_line(f"{count:5}  {label}")
