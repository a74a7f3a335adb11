"""What a comparison found, frozen."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from tinsmith.report.json_values import finite


@dataclass(frozen=True, slots=True)
class TensorRow:
    """One tensor, over all elements of all samples.

    Attributes:
        name: In the first.
        other: In the second.
        node: Name of the node that computes it; empty for inputs, and where only tensors are known.
        operator: Of that node.
        first: Its form in the first, such as ``int8 · 2^-5``.
        second: Its form in the second.
        shape: Of one sample in the first.
        elements: Compared in all.
        mismatches: Elements further apart than the tolerance; without one, than a step.
        largest: Largest difference, in real units.
        steps: The same in steps (`tinsmith.report.compare.tally`): an int where both hold integers of one exponent.
        at: Index of the element that differs most, in the first's order of axes; None where none differs.
        cosine: Of the angle between them.
        snr_db: Signal to noise, the second being the signal, in dB; infinite where all elements are equal.
        loss_db: How much lower that is than the lowest of the tensors it was computed from, where no Clip behind it
            makes good for it; 0 where it is not lower.
        diverged: Whether it differs by more than the tolerance; None where there is none.
        origin: Whether it diverged although everything compared before it on its way did not.
        notes: What was done to compare them.
    """

    name: str
    other: str
    node: str
    operator: str
    first: str
    second: str
    shape: tuple[int, ...]
    elements: int
    mismatches: int
    largest: float
    steps: float
    at: tuple[int, ...] | None
    cosine: float
    snr_db: float
    loss_db: float
    diverged: bool | None
    origin: bool
    notes: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Mismatches over elements."""
        return self.mismatches / self.elements if self.elements else 0.0

    @property
    def equal(self) -> bool:
        """Whether no element differs at all."""
        return self.at is None

    @property
    def layer(self) -> str:
        """The tensor and what computes it, as messages name them."""
        return f"tensor {self.name!r} of {self.operator} {self.node!r}" if self.node else f"tensor {self.name!r}"


@dataclass(frozen=True, slots=True)
class ConstantRow:
    """A constant that differs between two programs.

    Attributes:
        name: In the first.
        other: In the second.
        nodes: Names of the nodes that read it, with their operators, as ``Conv 'stem'``.
        elements: How many it has in the first.
        mismatches: Elements that differ; all where forms differ.
        largest: Largest difference of the integers; 0 where forms differ.
        at: Index of the first that differs, in the file's order; None where forms differ.
        forms: What differs besides elements, such as ``exponents [-7] → [-6]``; empty where nothing does.
    """

    name: str
    other: str
    nodes: tuple[str, ...]
    elements: int
    mismatches: int
    largest: float
    at: tuple[int, ...] | None
    forms: str = ""

    @property
    def text(self) -> str:
        """A sentence about it."""
        readers = ", ".join(self.nodes) or "no node"
        if self.forms:
            return f"constant {self.name!r}, read by {readers}: {self.forms}"
        amount = f"{self.mismatches} of {self.elements} elements differ, by at most {self.largest:g}"
        return f"constant {self.name!r}, read by {readers}: {amount}, the first at {list(self.at or ())}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs of a network side by side.

    Attributes:
        labels: What the two are.
        inputs: What they were run on.
        samples: How many.
        tolerance: In steps; None where none was given.
        rows: Tensors that both have, in the order in which they are computed.
        only_first: Tensors that only the first has.
        only_second: Tensors that only the second has.
        constants: Constants that differ, where both are programs.
        compared_constants: How many constants were compared.
        notes: What a reader should know.
    """

    labels: tuple[str, str]
    inputs: str
    samples: int
    tolerance: float | None
    rows: tuple[TensorRow, ...]
    only_first: tuple[str, ...] = ()
    only_second: tuple[str, ...] = ()
    constants: tuple[ConstantRow, ...] = ()
    compared_constants: int = 0
    notes: tuple[str, ...] = ()

    @property
    def diverged(self) -> bool:
        """Whether anything differs by more than is allowed.

        Constants count where nothing is tolerated and their forms are the same: such files are not the same model, even
        if these inputs do not show it.
        """
        strict = not self.tolerance and any(not row.forms for row in self.constants)
        return any(row.diverged for row in self.rows) or strict

    @property
    def judged(self) -> bool:
        """Whether there is any tensor that a tolerance applies to."""
        return any(row.diverged is not None for row in self.rows)

    @property
    def first(self) -> TensorRow | None:
        """The first tensor, in order of execution, that diverged; None where none did."""
        return next((row for row in self.rows if row.diverged), None)

    @property
    def origins(self) -> tuple[TensorRow, ...]:
        """Every place where a divergence begins."""
        return tuple(row for row in self.rows if row.origin)

    @property
    def worst(self) -> TensorRow | None:
        """The tensor that lost most signal to noise against what it was computed from; None where none lost any."""
        losing = [row for row in self.rows if row.loss_db > 0]
        return max(losing, key=lambda row: row.loss_db, default=None)

    def to_json(self) -> str:
        """All of it as JSON; figures that are infinite or undefined are null."""
        places = {
            "first": None if self.first is None else self.first.name,
            "worst": None if self.worst is None else self.worst.name,
            "origins": [row.name for row in self.origins],
        }
        facts = {"diverged": self.diverged, **places, **asdict(self)}
        return json.dumps(finite(facts), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
