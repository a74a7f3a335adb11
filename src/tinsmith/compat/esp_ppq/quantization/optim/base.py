"""Passes and pipelines: what a script lists step by step becomes one setting, and one quantization."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tinsmith.errors import RecipeError

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.api.setting import QuantizationSetting
    from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph


class QuantizationOptimizationPass:
    """A step. Those of esp-ppq say what they stand for in a setting; a script's own run after the quantization.

    Args:
        name: Shown by pipelines.
    """

    calibrates = False
    """Whether the graph is quantized once it is in a pipeline."""

    def __init__(self, name: str = "Default Quanzation Optim") -> None:
        self.name = name

    def choose(self, setting: QuantizationSetting) -> None:
        """Make the choices it stands for; none of its own."""

    def optimize(self, graph: BaseGraph, **options: Any) -> None:
        """What a pipeline of only this one does.

        Args:
            graph: Changed in place.
            **options: As of `QuantizationOptimizationPipeline.optimize`.
        """
        QuantizationOptimizationPipeline([self]).optimize(graph, verbose=False, **options)

    def __str__(self) -> str:
        return self.name


class QuantizationOptimizationPipeline:
    """Passes, in order. The order of those of esp-ppq makes no difference.

    Args:
        passes: The passes.

    Raises:
        RecipeError: One of them is none.
    """

    def __init__(self, passes: Sequence[QuantizationOptimizationPass]) -> None:
        self._pipeline = [_checked(one) for one in passes]

    def __len__(self) -> int:
        return len(self._pipeline)

    def __iter__(self) -> Iterator[QuantizationOptimizationPass]:
        return iter(self._pipeline)

    def __contains__(self, one: QuantizationOptimizationPass) -> bool:
        return one in self._pipeline

    def append_optimization_to_pipeline(
        self, optim_pass: QuantizationOptimizationPass, at_front: bool = False
    ) -> QuantizationOptimizationPipeline:
        """One more.

        Raises:
            RecipeError: It is no pass.
        """
        self._pipeline.insert(0 if at_front else len(self._pipeline), _checked(optim_pass))
        return self

    def report(self) -> str:
        """The passes by name."""
        return "".join(f"{one}\n" for one in self._pipeline)

    def optimize(
        self,
        graph: BaseGraph,
        verbose: bool = True,
        dataloader: Any = None,
        executor: Any = None,
        calib_steps: int = 32,
        collate_fn: Callable[[Any], Any] | None = None,
        **options: Any,
    ) -> None:
        """Quantize the graph with what all passes so far stand for; before one of them calibrates, remember them.

        Args:
            graph: Changed in place: afterwards it is a quantized one.
            verbose: Print what is noteworthy.
            dataloader: Batches of samples.
            executor: Runs the changed graph from then on.
            calib_steps: How many batches to use.
            collate_fn: Applied to each batch.
            **options: For passes of the script's own.

        Raises:
            RecipeError: A pass stands for something that cannot be had, or nobody has said for which chip.
            DataError: There are no data, or they do not fit.
        """
        from tinsmith.compat.esp_ppq.quantization.optim.running import run

        run(graph, self._pipeline, (dataloader, calib_steps, collate_fn), executor, verbose=verbose, options=options)


def _checked(one: Any) -> QuantizationOptimizationPass:
    if not isinstance(one, QuantizationOptimizationPass):
        hint = "Take passes from esp_ppq.quantization.optim."
        raise RecipeError(f"{one!r} is no pass.", subject="pipeline", hint=hint)
    return one
