"""The judge: what the chip computes, against the float network, on the same samples every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.walk import Exact, Samples
from tinsmith.cores import cores
from tinsmith.ops.floatnode import Array, Network, Operand
from tinsmith.quant.format import Formats
from tinsmith.simulator.legality import violations
from tinsmith.targets import Target


class Judge:
    """Measures how close the chip comes to the float network.

    Args:
        network: The float network, as the user's model has it.
        target: The chip.
        samples: `{input: array}` in ONNX order.

    Attributes:
        outputs: The float outputs, which are compared.
        wanted: Their values in the float network, by sample.
    """

    def __init__(self, network: Network, target: Target, samples: Samples) -> None:
        self.target = target
        self.samples = samples
        self.outputs = [operand for operand in network.outputs if operand.dtype.kind == "f"]
        self._threads = cores()
        run = FloatNodes(network.nodes, self.outputs)
        with ThreadPoolExecutor(self._threads) as pool:
            self.wanted: Sequence[Mapping[str, Array]] = list(pool.map(run, samples))

    def answers(self, network: Network, formats: Formats, bits: Mapping[str, int]) -> list[dict[str, Array]] | None:
        """What the chip computes for each sample, as real numbers; None where it would refuse the program."""
        exact = Exact(network, formats, bits, self.target, checked=True)
        if violations(exact.program, self.target):
            return None

        def one(sample: Mapping[str, Array]) -> dict[str, Array]:
            found = exact.run(sample)
            return {operand.name: _real(found[operand.name], formats, operand) for operand in self.outputs}

        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(one, self.samples))

    def noise(self, network: Network, formats: Formats, bits: Mapping[str, int]) -> float:
        """Squared error over squared signal, the mean over outputs; infinite where the chip would refuse it."""
        found = self.answers(network, formats, bits)
        return float("inf") if found is None else self.noise_of(found)

    def noise_of(self, found: Sequence[Mapping[str, Array]]) -> float:
        """The same of what `answers` gave."""
        return float(np.mean([self._of(operand.name, found) for operand in self.outputs] or [0.0]))

    def _of(self, name: str, found: Sequence[Mapping[str, Array]]) -> float:
        error = signal = 0.0
        for result, wanted in zip(found, self.wanted, strict=True):
            truth = wanted[name].astype(np.float64)
            error += float(np.square(result[name] - truth).sum())
            signal += float(np.square(truth).sum())
        return error / max(signal, 1e-30)


def _real(array: Array, formats: Formats, operand: Operand) -> Array:
    chosen = formats.values.get(operand.name)
    return chosen.dequantize(array) if chosen is not None and array.dtype.kind == "i" else array
