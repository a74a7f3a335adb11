"""One pass of the float model over the data: what every value looked like."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from operator import length_hint
from typing import Any

import numpy as np
import onnx_ir as ir

from tinsmith.calibrate.observer import ValueObserver
from tinsmith.calibrate.per_sample import RECORDED, Share
from tinsmith.calibrate.session import Probe, Sample
from tinsmith.calibrate.stats import Stats
from tinsmith.errors import DataError
from tinsmith.quant.rounding import Rounding

Progress = Callable[[int, int | None], None]


def observe(
    model: ir.Model,
    values: Sequence[str],
    data: Iterable[Sample],
    *,
    rounding: Rounding,
    bits: Sequence[int] = (8, 16),
    threads: int = 2,
    progress: Progress | None = None,
    histograms: bool = False,
    exact: bool = False,
    limits: Mapping[str, tuple[float, float]] | None = None,
    shares: dict[str, Sequence[Share]] | None = None,
) -> Stats:
    """Run a float model over samples and observe the wanted values. Memory does not grow with the number of samples.

    Extremes and means are over all elements. The squared errors of the candidate exponents take all elements of small
    tensors and, of large ones, all large elements plus a fixed subset of the others (``calibrate.strata``). The result
    depends on the data and its order alone, not on ``threads``.

    Args:
        model: Canonical float model: static shapes, batch 1. It is not modified.
        values: Names of the values to observe: graph inputs and results of nodes, float.
        data: Samples: every graph input by name, with batch 1 and in the input's dtype (``calibrate.open_data``).
        rounding: The target's.
        bits: Widths whose candidate errors are wanted.
        threads: Processor cores to use.
        progress: Called with samples done and in all (None where unknown), in the caller's thread.
        histograms: Also count magnitudes, for percentile and KL.
        exact: The definition: every element, quantized by ``rounding``, in float64. Slow; the quick form is tested
            against it.
        limits: Ranges beyond which values count as saturated there: those that a quantized model brings.
        shares: Filled with what each of the first `RECORDED` samples contributed to each value that has elements.

    Returns:
        The observations of each value.

    Raises:
        DataError: No samples, a sample the model cannot take, or one on which it computes NaN or infinity.
        ModelError: A value does not exist or is not float, or ONNX Runtime refuses the model.
    """
    names = list(dict.fromkeys(values))
    recorded = 0 if shares is None else RECORDED
    observers = {name: ValueObserver(name, rounding, bits, histograms, exact, recorded) for name in names}
    known = length_hint(data, -1)
    total = known if known >= 0 else None
    digest = hashlib.sha256()
    done = 0
    with Probe(model, names, threads) as probe, closing(probe.run_all(_checked(data, probe.inputs))) as runs:
        for sample, slot in runs:
            for name, observer in observers.items():
                array = slot.value(name)
                observer.update(np.clip(array, *limits[name]) if limits and name in limits else array)
            _digest(digest, sample)
            done += 1
            if progress is not None:
                progress(done, total)
    if not done:
        raise DataError("there are no samples.", subject="calibration data", hint="Give at least one sample.")
    if shares is not None:
        shares.update({name: observer.shares for name, observer in observers.items()})
    return Stats({name: observer.result() for name, observer in observers.items()}, done, digest.hexdigest())


def _checked(data: Iterable[Sample], inputs: Sequence[str]) -> Iterator[Sample]:
    for index, sample in enumerate(data):
        if set(sample) != set(inputs):
            raise DataError(f"has inputs {sorted(sample)}, the model {sorted(inputs)}.", subject=f"sample {index}")
        yield sample


def _digest(digest: Any, sample: Sample) -> None:
    for name in sorted(sample):
        array = sample[name]
        digest.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.tobytes())
