"""A part of a float graph, run from values inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from tinsmith.calibrate.inputs import as_array
from tinsmith.compat.esp_ppq.IR.base.graph import Array
from tinsmith.errors import DataError
from tinsmith.graph.execute import Runner


def run_float_part(model: ir.Model, feed_dict: Mapping[str, Any], names: Sequence[str]) -> list[Array]:
    """Run the nodes of a float model that lead from some values to others.

    Args:
        model: The model; not modified.
        feed_dict: Values by name.
        names: The values wanted.

    Raises:
        DataError: A value is none of the model, or is needed and not fed.
        ModelError: ONNX Runtime cannot run it on these.
    """
    part = model.clone()
    values = dict(ir.convenience.create_value_mapping(part.graph))
    for name in (*feed_dict, *names):
        if name not in values:
            raise DataError("the graph has no such value.", subject=f"value {name!r}")
    arrays = {name: np.asarray(as_array(array, f"value {name!r}"), order="C") for name, array in feed_dict.items()}
    part.graph.outputs.clear()
    for name, array in arrays.items():
        values[name] = _fed(values[name], array)
    part.graph.inputs[:] = [values[name] for name in arrays]
    part.graph.outputs.extend(values[name] for name in names if name not in arrays)
    RemoveUnusedNodesPass()(part)
    _refuse_missing(part.graph, arrays)
    found = {**arrays, **(Runner(part)(arrays) if part.graph.outputs else {})}
    return [found[name] for name in names]


def _fed(old: ir.Value, array: Array) -> ir.Value:
    """An input in the place of a value."""
    name = old.name
    old.name = f"{name}.computed"
    dtype = old.dtype if old.dtype is not None else ir.DataType.from_numpy(array.dtype)
    new = ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(array.shape))
    ir.convenience.replace_all_uses_with(old, new)
    return new


def _refuse_missing(graph: ir.Graph, fed: Mapping[str, Array]) -> None:
    for node in graph:
        for value in node.inputs:
            known = value is None or value.producer() is not None or value.is_initializer()
            if not known and value is not None and value.name not in fed:
                raise DataError("is needed, and not in feed_dict.", subject=f"value {value.name!r}")
