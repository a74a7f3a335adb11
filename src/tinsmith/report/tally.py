"""`Evaluation`, and the counting behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.errors import DataError, ModelError
from tinsmith.ops.layouts import channels_last, inverse
from tinsmith.program import Program
from tinsmith.report.fidelity import Fidelity, Sums
from tinsmith.report.labels import Labels
from tinsmith.simulator.inputs import layouts_of

Array = NDArray[Any]
Sample = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a program achieves on a set of samples. Shares are from 0 to 1; None where what they need was not given.

    The first output with more than one element is what answers: its largest element is the class; of equal ones, the
    first.

    Attributes:
        target: Name of the chip.
        samples: How many were run.
        top1: Share of samples whose largest element is at the label. Needs labels.
        top5: Share of samples with the label among the five largest elements. Needs labels and more than five classes.
        float_top1: The float model's top1.
        float_top5: The float model's top5.
        agreement: Share of samples on which chip and float model answer the same: where the first output whose elements
            all lie along one axis is largest. None where no output is such.
        net_flips: Samples only the float model has right, less those only the chip has right.
        outputs: Closeness to the float model, by output; empty without one.
        saturated: Sums that saturated an accumulator, by node, over all samples.
        assumed_no_saturation: Whether accumulators were taken on trust not to saturate.
    """

    target: str
    samples: int
    top1: float | None = None
    top5: float | None = None
    float_top1: float | None = None
    float_top5: float | None = None
    agreement: float | None = None
    net_flips: int | None = None
    outputs: Mapping[str, Fidelity] = field(default_factory=dict)
    saturated: Mapping[str, int] = field(default_factory=dict)
    assumed_no_saturation: bool = False


class Tally:
    """Counts, one sample at a time.

    Args:
        program: Its outputs, in order.
        labels: The class of each sample, where there are any.
    """

    def __init__(self, program: Program, labels: Labels | None) -> None:
        self.samples = 0
        self._labels = labels
        self._names = [value.name for value in program.outputs]
        self._recorded = layouts_of(program).keys()
        self._classes = 0
        self._chip = _Score()
        self._float = _Score()
        self._agreed = 0
        self._sums: dict[str, Sums] = {}

    def add(self, chip: Sample, reference: Sample | None) -> None:
        """Take in the outputs of the next sample, by name: the chip's, and the float model's where there is one.

        Raises:
            DataError: There is no label for it, or none that is a class.
            ModelError: The float model's output has another shape.
        """
        answering = next((name for name in self._names if _has_classes(chip[name])), None)
        label = self._label(None if answering is None else chip[answering].size)
        if reference is not None:
            chip = {name: self._aligned(name, array, reference[name]) for name, array in chip.items()}
            for name, array in chip.items():
                self._sums.setdefault(name, Sums()).add(array, reference[name])
        if answering is not None:
            first = self._chip.add(chip[answering], label)
            if reference is not None:
                self._agreed += first == self._float.add(reference[answering], label)
        self.samples += 1

    def _aligned(self, name: str, chip: Array, reference: Array) -> Array:
        """The chip's output in the float output's shape; where no layout is recorded, channels-last if that fits."""
        turned = chip if name in self._recorded else chip.transpose(inverse(channels_last(chip.ndim)))
        for array in (turned, chip):
            if array.shape == reference.shape:
                return array
        if chip.size == reference.size and {1} >= set(chip.shape) ^ set(reference.shape):
            return chip.reshape(reference.shape)
        raise ModelError(
            f"has shape {reference.shape} in the float model and {chip.shape} on the chip.",
            subject=f"output {name!r}",
            hint="Give the model the program was made from.",
        )

    def _label(self, classes: int | None) -> int | None:
        if self._labels is None:
            return None
        if classes is None:
            raise DataError(
                "no output has more than one element, all along one axis: there are no classes.", subject="labels"
            )
        self._classes = classes
        if self.samples >= len(self._labels):
            raise DataError(f"{len(self._labels)} labels were given for more samples.", subject="labels")
        label = int(self._labels[self.samples])
        if label >= classes:
            raise DataError(f"the label of sample {self.samples} is {label}, of {classes} classes.", subject="labels")
        return label

    def check_all_used(self, limit: int | None) -> None:
        """Refuse labels left over where no limit explains them.

        Raises:
            DataError: There are more labels than samples were.
        """
        if self._labels is not None and limit is None and len(self._labels) > self.samples:
            raise DataError(f"{len(self._labels)} labels were given for {self.samples} samples.", subject="labels")

    def result(self, target: str, observed: Mapping[str, Mapping[str, int]], assumed: bool) -> Evaluation:
        """The figures."""
        labelled, compared = self._labels is not None, bool(self._sums)
        answers = compared and self._chip.samples > 0
        five = labelled and self._classes > 5
        return Evaluation(
            target=target,
            samples=self.samples,
            top1=self._chip.first / self.samples if labelled else None,
            top5=self._chip.five / self.samples if five else None,
            float_top1=self._float.first / self.samples if labelled and compared else None,
            float_top5=self._float.five / self.samples if five and compared else None,
            agreement=self._agreed / self.samples if answers else None,
            net_flips=self._float.first - self._chip.first if labelled and compared else None,
            outputs={name: self._sums[name].result() for name in self._names if name in self._sums},
            saturated={node: facts["saturated"] for node, facts in observed.items() if facts.get("saturated")},
            assumed_no_saturation=assumed,
        )


def _has_classes(array: Array) -> bool:
    """Whether an output of one sample is a score for each class; the maps of a detector are not."""
    return bool(1 < array.size == max(array.shape))


@dataclass(slots=True)
class _Score:
    """Answers and right answers of one side."""

    samples: int = 0
    first: int = 0
    five: int = 0

    def add(self, scores: Array, label: int | None) -> int:
        """Take in one sample's class scores; the answer."""
        flat = scores.ravel()
        answer = int(np.argmax(flat))
        self.samples += 1
        if label is not None:
            self.first += answer == label
            self.five += label in np.argsort(-flat.astype(np.float64), kind="stable")[:5]
        return answer
