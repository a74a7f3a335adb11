"""What executors have in common."""

from __future__ import annotations

from typing import Any

from tinsmith.compat.esp_ppq.executor.handlers import OPERATION_FORWARD_TABLE, register_operation_handler
from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph
from tinsmith.compat.esp_ppq.samples import feeds


class BaseGraphExecutor:
    """Runs a graph.

    Args:
        graph: The graph.
    """

    _device = "cpu"

    def __init__(self, graph: BaseGraph) -> None:
        self.load_graph(graph)

    def load_graph(self, graph: BaseGraph) -> None:
        """Run another graph from now on."""
        self._graph = graph

    def prepare_input(self, inputs: Any) -> dict[str, Any]:
        """Inputs by name, as arrays."""
        return feeds(inputs, list(self._graph.inputs))

    def forward(self, inputs: Any, output_names: list[str] | None = None, hooks: Any = None) -> list[Any]:
        """Run the graph."""
        raise NotImplementedError

    def __call__(self, inputs: Any, output_names: list[str] | None = None) -> list[Any]:
        """Run the graph."""
        return self.forward(inputs, output_names)


__all__ = ["OPERATION_FORWARD_TABLE", "BaseGraphExecutor", "register_operation_handler"]
