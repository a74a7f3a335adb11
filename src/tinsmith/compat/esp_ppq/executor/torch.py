"""`TorchExecutor`: what the chip computes, as tensors of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinsmith.compat.esp_ppq.core.tensors import tensor
from tinsmith.compat.esp_ppq.executor.base import BaseGraphExecutor
from tinsmith.compat.esp_ppq.executor.engines import Engine, engine_of
from tinsmith.compat.esp_ppq.executor.handlers import OPERATION_FORWARD_TABLE
from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph, Operation
from tinsmith.errors import RecipeError


class TorchExecutor(BaseGraphExecutor):
    """Runs a quantized graph bit for bit as the chip would, and a float one with ONNX Runtime.

    Args:
        graph: From `espdl_quantize_onnx`, `load_onnx_graph` and their like.
        fp16_mode: Of no effect.
        device: Of no effect: the processor simulates.
    """

    def __init__(self, graph: BaseGraph, fp16_mode: bool = True, device: Any = "cpu") -> None:
        super().__init__(graph)

    def load_graph(self, graph: BaseGraph) -> None:
        """Run another graph from now on."""
        super().load_graph(graph)
        self._engines: dict[bool, Engine] = {}

    @property
    def _engine(self) -> Engine:
        float_one = self._graph.dequantized
        if float_one not in self._engines:
            self._engines[float_one] = engine_of(self._graph)
        return self._engines[float_one]

    def forward(self, inputs: Any, output_names: list[str] | None = None, hooks: Any = None) -> list[Any]:
        """Run a sample or a batch.

        Args:
            inputs: A tensor, a list of them in the order of the graph's inputs, or a dictionary by name; real numbers
                in the layout of the user's model.
            output_names: Which values to return, any of the graph's; its outputs by default.
            hooks: None: nothing runs in torch that a hook could change.

        Returns:
            A float tensor for each: the chip's integers times their scale, in the layout of the user's model.

        Raises:
            DataError: The inputs do not fit, or there is no such value.
            RecipeError: Hooks were given.
            MissingExtraError: torch is not installed.
        """
        if hooks:
            raise RecipeError("are not run: the chip's arithmetic has none.", subject="hooks", hint="Leave them out.")
        names = list(self._graph.outputs) if output_names is None else _names(output_names)
        return [tensor(array) for array in self._engine.run(self.prepare_input(inputs), names)]

    def forward_with_gradient(self, inputs: Any, output_names: list[str] | None = None, hooks: Any = None) -> list[Any]:
        """Refused: the chip's arithmetic has no gradients."""
        reason = "the chip's arithmetic has no gradients."
        raise RecipeError(reason, subject="forward_with_gradient", hint="Use forward.")

    def partial_graph_forward(
        self, operations: Sequence[Operation], feed_dict: Mapping[str, Any], output_names: list[str]
    ) -> list[Any]:
        """Run a part of the graph.

        Args:
            operations: Its operators; what the values wanted need is run.
            feed_dict: Real numbers for the values that it starts from.
            output_names: Which values to return.

        Returns:
            As `forward`.

        Raises:
            DataError: A value is missing, does not fit, or is none of the graph.
        """
        from tinsmith.compat.esp_ppq.executor.float_part import run_float_part
        from tinsmith.compat.esp_ppq.executor.partial import run_part

        model, names = self._graph.model, _names(output_names)
        if model is not None and (self._graph.program is None or self._graph.dequantized):
            return [tensor(array) for array in run_float_part(model, feed_dict, names)]
        return [tensor(array) for array in run_part(self._graph, feed_dict, names)]

    def tracing_operation_meta(self, inputs: Any, output_names: list[str] | None = None) -> None:
        """Note the shapes of values that the graph does not know yet.

        Args:
            inputs: As for `forward`.
            output_names: Of no effect.
        """
        unknown = [v for v in self._graph.variables.values() if v.shape is None and not v.is_parameter and v.source_op]
        if unknown:
            arrays = self._engine.run(self.prepare_input(inputs), [variable.name for variable in unknown])
            for variable, array in zip(unknown, arrays, strict=True):
                variable.shape, variable.dtype = list(array.shape), array.dtype

    def to(self, device: Any) -> TorchExecutor:
        """Of no effect."""
        return self

    def eval(self) -> TorchExecutor:
        """Of no effect."""
        return self


class TorchQuantizeDelegator:
    """Refused: how the chip rounds is not up for choice."""

    def __init__(self) -> None:
        raise RecipeError("cannot be replaced: it is the chip's.", subject="rounding", hint="Use TorchExecutor as is.")


def _names(names: Any) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


__all__ = ["OPERATION_FORWARD_TABLE", "TorchExecutor", "TorchQuantizeDelegator"]
