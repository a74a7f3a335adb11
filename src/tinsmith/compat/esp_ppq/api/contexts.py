"""Contexts of scripts: with or without a graphics card, and in float."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph


class ENABLE_CUDA_KERNEL:
    """A context that changes nothing: the processor simulates."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class DISABLE_CUDA_KERNEL(ENABLE_CUDA_KERNEL):
    """A context that changes nothing."""


class DEQUANTIZE_GRAPH:
    """A context within which executors run a quantized graph's float network.

    Args:
        graph: The graph.
    """

    def __init__(self, graph: BaseGraph) -> None:
        self._graph = graph
        self._before = graph.dequantized

    def __enter__(self) -> None:
        self._before = self._graph.dequantized
        self._graph.dequantized = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._graph.dequantized = self._before
