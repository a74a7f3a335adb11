"""`TrainableGraph`: the weights of a graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph


class TrainableGraph:
    """Shows the float weights of a graph, to look at: what is changed in them does not reach the chip.

    Args:
        graph_or_processor: The graph, or something with one as its ``graph``.
    """

    def __init__(self, graph_or_processor: Any) -> None:
        self.graph: BaseGraph = getattr(graph_or_processor, "graph", graph_or_processor)

    def state_dict(self) -> dict[str, Any]:
        """The weights as tensors, by name."""
        return {
            name: variable.value
            for name, variable in self.graph.variables.items()
            if variable.is_parameter and variable.dtype == np.float32
        }

    def parameters(self) -> list[Any]:
        """The weights as tensors."""
        return list(self.state_dict().values())

    def zero_grad(self) -> None:
        """Nothing: there are no gradients."""
