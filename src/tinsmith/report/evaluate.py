"""`evaluate`: how well a program answers, and how close it stays to the float model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.program import Program
from tinsmith.report.floats import FloatModel, as_onnx
from tinsmith.report.labels import check_count, labels_for
from tinsmith.report.tally import Evaluation, Tally
from tinsmith.simulator.inputs import layouts_of
from tinsmith.simulator.run import Simulator, dequantize, target_of
from tinsmith.targets import Target

if TYPE_CHECKING:
    from tinsmith.calibrate import InputSpec

Array = NDArray[Any]
Sample = Mapping[str, Array]
Progress = Callable[[int, int | None], None]

BATCH = 16


def evaluate(
    program: Program,
    data: Any,
    labels: Any = None,
    float_model: Any = None,
    target: str | Target | None = None,
    *,
    assume_no_saturation: bool = False,
    progress: Progress | None = None,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    size: int | Sequence[int] | None = None,
    color: str | None = None,
    layout: str | None = None,
    samples: int | None = None,
    example_input: Any = None,
) -> Evaluation:
    """Run a program over samples, as the chip would, and count what it gets right. Memory does not grow with them.

    Args:
        program: From `tinsmith.read` or a quantized model's `.program`.
        data: Samples in the float model's layout, as `tinsmith.quantize` takes them.
        labels: Class indices; see `tinsmith.report.labels.read_labels`.
        float_model: The model the program was made from: a path, or a model in memory.
        target: The chip, for files that do not name theirs.
        assume_no_saturation: Skip the check of the ESP32-S3's saturating accumulators.
        progress: Called with samples done and in all (None where unknown).
        mean: As the next four, see `tinsmith.recipe.Preprocessing`.
        std: Likewise.
        size: Likewise.
        color: Likewise.
        layout: Likewise.
        samples: Use at most so many samples.
        example_input: What ``float_model`` is called with, where the program's input shapes do not say it.

    Returns:
        The figures.

    Raises:
        DataError: Data or labels cannot be read or do not fit.
        ModelError: The float model cannot be run, or is another one.
        RecipeError: The target is unknown or not recorded, or options contradict each other.
    """
    from tinsmith.calibrate import open_data

    chip = target_of(program, target)
    floats = None if float_model is None else FloatModel(as_onnx(float_model, program, example_input), program)
    described = program if floats is None else floats.described(program)
    source = open_data(
        data, inputs_of(described), mean=mean, std=std, size=size, color=color, layout=layout, limit=samples
    )
    known = None if labels is None else labels_for(labels, data)
    check_count(known, source.length, samples)
    simulator = Simulator(described, chip, assume_no_saturation=assume_no_saturation)
    tally = Tally(described, known)
    with ThreadPoolExecutor() as pool:
        for batch in _batches(source):
            answers = _run(simulator, batch)
            references = [None] * len(batch) if floats is None else floats.run_all(batch, pool)
            for answer, reference in zip(answers, references, strict=True):
                tally.add(answer, reference)
            if progress is not None:
                progress(tally.samples, source.length)
    tally.check_all_used(samples)
    return tally.result(chip.name, simulator.observed, assume_no_saturation)


def inputs_of(program: Program) -> list[InputSpec]:
    """What the float model takes, as far as the program tells: original shapes where recorded, else the file's."""
    from tinsmith.calibrate import InputSpec

    originals = layouts_of(program)
    return [
        InputSpec(
            value.name,
            originals[value.name].shape if value.name in originals else value.shape,
            np.dtype(np.float32) if value.dtype.quantized else value.dtype.numpy,
        )
        for value in program.inputs
    ]


def _batches(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    iterator = iter(samples)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _run(simulator: Simulator, batch: Sequence[Sample]) -> list[dict[str, Array]]:
    """Real numbers of the outputs of each sample, in the original layout."""
    stacked = {name: np.stack([sample[name] for sample in batch]) for name in batch[0]}
    joined = simulator.run_independent(stacked)
    apart = {name: np.split(array, len(batch)) if len(batch) > 1 else [array] for name, array in joined.items()}
    return [
        dequantize(simulator.program, {name: parts[index] for name, parts in apart.items()})
        for index in range(len(batch))
    ]
