"""What was seen of any value of a network, also of those that only move what layers have computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.calibrate.candidates import fit_exponent, fit_exponents
from tinsmith.ops import operators
from tinsmith.ops.floatnode import Array, FloatNode, Operand
from tinsmith.report.tensors import Seen, TensorStatistics, together

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized

Exponents = NDArray[np.int64]


class Views:
    """Looks at values, through the nodes that move them.

    Args:
        quantized: The network.
        statistics: Of what its layers compute.
    """

    def __init__(self, quantized: Quantized, statistics: TensorStatistics) -> None:
        self._statistics = statistics
        self._makers = {output.name: node for node in quantized.network.nodes for output in node.outputs}

    def sources(self, value: str) -> tuple[str, ...]:
        """The values that layers have computed, or the user gives, whose elements a value holds."""
        node = self._makers.get(value)
        if node is None or not _moves(node):
            return (value,)
        return tuple(dict.fromkeys(name for operand in _read(node) for name in self.sources(operand.name)))

    def axis(self, value: str) -> int:
        """The axis of a value's channels, ONNX order."""
        return self._statistics.axis(value)

    def seen(self, value: str) -> Seen | None:
        """What was seen of it, or of all that it is made of; None where some of that was not looked at."""
        found = [self._statistics.of(name) for name in self.sources(value)]
        return together([seen for seen in found if seen is not None]) if found and None not in found else None

    def own(self, operand: Operand, bits: int) -> Exponents | None:
        """The exponents that what a value is made of would have by itself, shaped to go with its elements."""
        return self._spread(operand, lambda seen: fit_exponent(seen.lowest, seen.highest, bits))

    def channels(self, operand: Operand, bits: int) -> Exponents | None:
        """The same with one for each channel of what it is made of."""
        return self._spread(operand, lambda seen: fit_exponents(-seen.largest, seen.largest, bits))

    def _spread(self, operand: Operand, choose: Callable[[Seen], int | Exponents]) -> Exponents | None:
        node = self._makers.get(operand.name)
        if node is not None and _moves(node):
            parts = {read.name: self._spread(read, choose) for read in _read(node)}
            known = {name: part for name, part in parts.items() if part is not None}
            return _moved(node, operand, known) if len(known) == len(parts) else None
        seen = self._statistics.of(operand.name)
        if seen is None:
            return None
        chosen = np.asarray(choose(seen), np.int64)
        shape, axis = [1] * operand.rank, self._statistics.axis(operand.name)
        if chosen.size > 1 and chosen.size != operand.shape[axis]:
            return None  # of such an axis a part was looked at
        if chosen.size > 1:
            shape[axis] = chosen.size
        return np.asarray(np.broadcast_to(chosen.reshape(shape), operand.shape))


def _moves(node: FloatNode) -> bool:
    return operators()[node.op_type].passive and bool(_read(node))


def _read(node: FloatNode) -> list[Operand]:
    return [i for i in node.inputs if i is not None and i.const is None and i.dtype.kind == "f"]


def _moved(node: FloatNode, operand: Operand, parts: Mapping[str, Array]) -> Exponents:
    """Exponents moved as the values are; small integers are exact in float32."""
    run = FloatNodes([node], [output for output in node.outputs if output.name == operand.name])
    found = run({name: np.asarray(part, np.float32) for name, part in parts.items()})[operand.name]
    return np.rint(found).astype(np.int64)
