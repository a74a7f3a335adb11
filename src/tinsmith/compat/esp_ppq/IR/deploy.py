"""`RunnableGraph`."""

from __future__ import annotations

from typing import Any

from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph


class RunnableGraph:
    """A context in which a graph can be run; it can be everywhere.

    Args:
        graph: The graph.
        device: Of no effect: the processor runs it.
    """

    def __init__(self, graph: BaseGraph, device: Any = None) -> None:
        self.graph = graph

    def __enter__(self) -> RunnableGraph:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing."""
