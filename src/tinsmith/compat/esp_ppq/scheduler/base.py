"""Dispatchers. On these chips everything runs in integers where there is a kernel, whatever the method is called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tinsmith.compat.esp_ppq.core.quant import TargetPlatform

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph


class GraphDispatcher:
    """Says where the operators of a graph run.

    Args:
        graph: The graph.
        verbose: Of no effect.
    """

    def __init__(self, graph: BaseGraph, verbose: bool = False) -> None:
        self.graph = graph

    def dispatch(
        self,
        quant_types: Iterable[str] = (),
        quant_platform: TargetPlatform = TargetPlatform.UNSPECIFIED,
        fp32_platform: TargetPlatform = TargetPlatform.FP32,
        SOI_platform: TargetPlatform = TargetPlatform.SOI,
        **options: Any,
    ) -> dict[str, TargetPlatform]:
        """The platform of each operator by name: the same for all, which the quantizer's own stands for.

        Args:
            quant_types: Of no effect, as all others but one.
            quant_platform: The platform.
            fp32_platform: Of no effect: what the chip has in float only runs in float by itself.
            SOI_platform: Of no effect: what shapes are computed with is constant.
            **options: Of no effect.
        """
        return dict.fromkeys(self.graph.operations, quant_platform)


class AllinDispatcher(GraphDispatcher):
    """``allin``."""


class ConservativeDispatcher(GraphDispatcher):
    """``conservative``."""


class AggresiveDispatcher(GraphDispatcher):
    """``aggresive``."""


class PointDispatcher(GraphDispatcher):
    """``pointwise``."""


class PPLNNDispatcher(GraphDispatcher):
    """``pplnn``."""


class Perseus(GraphDispatcher):
    """``perseus``."""


DISPATCHER_TABLE: dict[str, type[GraphDispatcher]] = {
    "conservative": ConservativeDispatcher,
    "pplnn": PPLNNDispatcher,
    "aggresive": AggresiveDispatcher,
    "pointwise": PointDispatcher,
    "allin": AllinDispatcher,
    "perseus": Perseus,
}
