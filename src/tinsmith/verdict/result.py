"""`Verdict`: what becomes of every node of a model, and why a model does not deploy."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Literal

Outcome = Literal["int8", "int16", "float32", "constant", "removed", "refused", "unknown"]
OUTCOMES: tuple[Outcome, ...] = ("int8", "int16", "float32", "constant", "removed", "refused", "unknown")


@dataclass(frozen=True, slots=True)
class Row:
    """A node of the user's graph.

    Attributes:
        node: Its name.
        operator: Its ONNX operator in the user's graph.
        outcome: The precision it runs in; ``constant`` where it is computed beforehand; ``removed`` where the results
            are the same without it; ``refused``; ``unknown`` behind a node that could not be read.
        change: What it is rewritten as or becomes part of; empty where it runs as it is.
        into: Names of the nodes of the rewritten network that do its work.
        why: Why it runs in this precision, where that is not what was asked for as such.
        reasons: Why it is refused, each with the way out. Empty for a node that is refused as part of another.
    """

    node: str
    operator: str
    outcome: Outcome
    change: str = ""
    into: tuple[str, ...] = ()
    why: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether there is nothing to say about it: it runs as it is, in the precision asked for."""
        return self.outcome in ("int8", "int16", "float32") and not (self.change or self.why)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a model deploys, found without calibration data.

    Attributes:
        model: The file, or the graph's name.
        target: The chip.
        esp_dl: Version of the runtime that is meant.
        rows: The nodes of the user's graph, cut and with functions inlined, in order.
        problems: What is wrong beyond single nodes, each with the way out.
        notes: What is worth knowing: changed precisions, findings of the trial with random input.
    """

    model: str
    target: str
    esp_dl: str
    rows: tuple[Row, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def deployable(self) -> bool:
        """Whether nothing is refused."""
        return not self.problems and not any(row.outcome in ("refused", "unknown") for row in self.rows)

    @property
    def refused(self) -> tuple[Row, ...]:
        """The nodes with reasons of their own why they cannot run."""
        return tuple(row for row in self.rows if row.outcome == "refused" and row.reasons)

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many nodes have each outcome; outcomes that none has are left out."""
        found = Counter(row.outcome for row in self.rows)
        return {outcome: found[outcome] for outcome in OUTCOMES if found[outcome]}

    def to_json(self) -> str:
        """All of it as JSON."""
        facts = {"deployable": self.deployable, "counts": self.counts}
        return json.dumps({**facts, **asdict(self)}, indent=2, ensure_ascii=False) + "\n"
