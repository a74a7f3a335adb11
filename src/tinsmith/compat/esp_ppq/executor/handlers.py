"""`OPERATION_FORWARD_TABLE` and `register_operation_handler`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np

from tinsmith.compat.esp_ppq.core.quant import TargetPlatform
from tinsmith.compat.esp_ppq.core.tensors import tensor
from tinsmith.compat.esp_ppq.IR.base.graph import Operation
from tinsmith.compat.esp_ppq.platforms import known
from tinsmith.errors import ModelError, RecipeError

Handler = Callable[..., Any]
OPSET = 24


class Handlers(MutableMapping[str, Handler]):
    """Float functions by operator: ONNX's own definitions, and what a script has put in."""

    def __init__(self) -> None:
        self._own: dict[str, Handler] = {}

    def __getitem__(self, optype: str) -> Handler:
        if optype in self._own:
            return self._own[optype]
        if optype not in _operators():
            raise KeyError(optype)
        return forward

    def __setitem__(self, optype: str, handler: Handler) -> None:
        if not callable(handler):
            raise RecipeError(f"{handler!r} cannot be called.", subject=f"handler of {optype!r}")
        warnings.warn(
            f"handler of {optype!r}: is kept, and not called. Executors compute what the chip computes; an operator "
            "that the chip has not is refused when the model is quantized.",
            stacklevel=3,
        )
        self._own[optype] = handler

    def __delitem__(self, optype: str) -> None:
        del self._own[optype]

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(_operators()), **self._own})

    def __len__(self) -> int:
        return len({*_operators(), *self._own})


OPERATION_FORWARD_TABLE: Mapping[TargetPlatform, Handlers] = {platform: Handlers() for platform in TargetPlatform}
"""By platform; all have the same functions, in float. What the chip computes is not here: see `TorchExecutor`."""


def register_operation_handler(handler: Handler, operation_type: str, platform: TargetPlatform | int) -> None:
    """Keep a function for an operator, with a warning that nothing calls it.

    Args:
        handler: ``handler(op, values, ctx=None, **options)``.
        operation_type: Of ONNX.
        platform: Of esp-ppq.

    Raises:
        RecipeError: There is no such platform, or the handler cannot be called.
    """
    OPERATION_FORWARD_TABLE[known(platform)][operation_type] = handler


def forward(op: Operation, values: list[Any], ctx: Any = None, **options: Any) -> Any:
    """What an operator means, in float, computed by ONNX Runtime.

    Args:
        op: Its type and attributes.
        values: Tensors of its inputs; None for absent ones.
        ctx: Of no effect.
        **options: Of no effect.

    Returns:
        A tensor, or a list of several.

    Raises:
        ModelError: ONNX Runtime does not compute it so.
    """
    arrays = [None if value is None else np.asarray(value.detach().cpu().numpy()) for value in values]
    found = _run(op, arrays)
    return tensor(found[0]) if len(found) == 1 else [tensor(array) for array in found]


def _run(op: Operation, arrays: list[Any]) -> list[np.ndarray[Any, Any]]:
    import onnx
    import onnxruntime
    from onnx import helper

    names = [f"x{index}" if array is not None else "" for index, array in enumerate(arrays)]
    feeds = {name: array for name, array in zip(names, arrays, strict=True) if array is not None}
    outputs = [f"y{index}" for index in range(max(len(op.outputs), 1))]
    node = helper.make_node(op.type, names, outputs, op.name, **op.attributes)
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in feeds.items()
    ]
    graph = helper.make_graph([node], "one", inputs, [onnx.ValueInfoProto(name=name) for name in outputs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            onnx.shape_inference.infer_shapes(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return [np.asarray(array) for array in session.run(None, feeds)]
    except Exception as error:  # ONNX Runtime and onnx raise their own types, few of them public
        raise ModelError(f"cannot be computed so: {error}", subject=str(op)) from error


def _operators() -> set[str]:
    """ONNX's operators of the default domain."""
    import onnx

    return {schema.name for schema in onnx.defs.get_all_schemas()}
