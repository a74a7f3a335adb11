"""Windows that slide over a sequence, which converters write as ones over a picture of one row.

EXPAND_DIMS makes the row, RESHAPE or SQUEEZE takes it away. What is left are the operators in between, on three
dimensions: so the Transposes around it, of three dimensions too, meet those of its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tinsmith.importers.tflite.elements import integers_of
from tinsmith.importers.tflite.file import Graph, Operator

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_POOLS = ("MAX_POOL_2D", "AVERAGE_POOL_2D")


@dataclass(frozen=True, slots=True)
class _Flat:
    """The options of an operator over pictures, and which dimension of the picture there is not."""

    options: Any
    lost_axis: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self.options, name)

    def LostAxis(self) -> int:
        """1 for rows, 2 for columns."""
        return self.lost_axis


def flatten(graph: Graph) -> Graph:
    """Puts operators over sequences in the place of what converters wrote for them.

    Raises:
        ValueError: An operator has inputs that cannot be (or another of numpy's and Python's own errors).
    """
    readers = graph.readers()
    operators: list[Operator | None] = list(graph.operators)
    for first, operator in enumerate(graph.operators):
        if operator.kind == "EXPAND_DIMS":
            for place, flat in _flat(graph, readers, first).items():
                operators[place] = flat
    return replace(graph, operators=tuple(operator for operator in operators if operator is not None))


def _flat(graph: Graph, readers: dict[int, list[int]], first: int) -> dict[int, Operator | None]:
    """What the operators from EXPAND_DIMS to the way back become, by place; nothing where anything else is between."""
    start = graph.operators[first]
    axis = graph.tensors[start.inputs[1]]
    lost = int(integers_of(axis).reshape(-1)[0]) % 4 if axis.data is not None else 0
    if lost not in (1, 2):
        return {}
    found: dict[int, Operator | None] = {first: None}
    place, value = first, start.inputs[0]
    while True:
        operator = graph.operators[place]
        readings = readers.get(operator.outputs[0], []) if len(operator.outputs) == 1 else []
        if len(readings) != 1 or readings[0] < 0:
            return {}
        before, place = place, readings[0]
        operator = graph.operators[place]
        if operator.inputs[0] != graph.operators[before].outputs[0]:
            return {}
        if _slides_along(graph, operator, lost):
            found[place] = replace(
                operator, inputs=(value, *operator.inputs[1:]), options=_Flat(operator.options, lost)
            )
            value = operator.outputs[0]
            continue
        last = found[before]
        if last is None or not _takes_away(graph, operator, lost):
            return {}
        return found | {before: replace(last, outputs=operator.outputs), place: None}


def _slides_along(graph: Graph, operator: Operator, lost: int) -> bool:
    """Whether windows move along the sequence alone."""
    if operator.options is None:
        return False
    if operator.kind in _CONVOLUTIONS:
        shape = graph.tensors[operator.inputs[1]].shape
        return len(shape) == 4 and shape[lost] == 1
    if operator.kind in _POOLS:
        return bool((operator.options.FilterHeight() if lost == 1 else operator.options.FilterWidth()) == 1)
    return False


def _takes_away(graph: Graph, operator: Operator, lost: int) -> bool:
    """Whether an operator leaves out the dimension."""
    wide, result = graph.tensors[operator.inputs[0]].shape, graph.tensors[operator.outputs[0]].shape
    dropped = len(wide) == 4 and wide[lost] == 1 and result == wide[:lost] + wide[lost + 1 :]
    return operator.kind in ("RESHAPE", "SQUEEZE") and dropped
