"""`optimize_fp_model`: the float model as tinsmith quantizes it, with an open batch; and smaller helpers."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tinsmith.compat.v1.normalization import fuse_bn
from tinsmith.errors import ModelError

__all__ = [  # modules, too: scripts of the toolkit use them without importing them
    "TensorProto",
    "add_fused_gemm_name",
    "check_model_extension",
    "convert_model_batch_to_dynamic",
    "fuse_bn",
    "helper",
    "np",
    "numpy_helper",
    "onnx",
    "optimize_fp_model",
    "os",
    "rename_node",
]


def check_model_extension(model_path: str | Path) -> None:
    """Accepts paths of ONNX files that exist.

    Raises:
        ModelError: It is none.
    """
    path = Path(model_path)
    if path.suffix.lower() != ".onnx":
        raise ModelError("is no ONNX file.", subject=str(path), hint="Give the path of a file that ends in .onnx.")
    if not path.is_file():
        raise ModelError("there is no such file.", subject=str(path))


def optimize_fp_model(model_path: str | Path) -> str:
    """Writes the model in the form in which it is quantized: batch normalization folded, operators fused, batch open.

    Where the fused network takes one sample only (recurrent layers, attention), its batch stays 1, with a warning.

    Args:
        model_path: Of an ONNX file, which is not changed.

    Returns:
        The path of ``<name>_optimized.onnx`` beside it; what was there is replaced in one step.

    Raises:
        ModelError: The file cannot be read, or the model cannot be brought into that form.
    """
    import onnx_ir as ir

    from tinsmith import importers
    from tinsmith.compat.v1.batch import open_batch
    from tinsmith.files import write_all
    from tinsmith.graph.canonical import canonicalize

    check_model_extension(model_path)
    model = ir.to_proto(canonicalize(importers.load(model_path)))
    source = Path(model_path)
    destination = source.with_name(f"{source.stem}_optimized.onnx")
    write_all({destination: open_batch(model).SerializeToString()})
    return str(destination)


def convert_model_batch_to_dynamic(model: onnx.ModelProto) -> onnx.ModelProto:
    """Opens the first dimension of the first input, and of what is computed of it as far as shape inference says.

    Args:
        model: Changed: weights are no inputs any more, and the first dimension of the first input is named.

    Returns:
        The model with inferred shapes.

    Raises:
        ModelError: It has no input, or one without dimensions.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in [value for value in model.graph.input if value.name in weights]:
        model.graph.input.remove(value)
    if not model.graph.input or not model.graph.input[0].type.tensor_type.shape.dim:
        raise ModelError("has no input with a batch dimension.", subject=model.graph.name or "the model")
    first = model.graph.input[0].type.tensor_type.shape.dim[0]
    if not first.dim_param:
        first.dim_param = "N"
        for value in model.graph.output:
            if value.type.tensor_type.shape.dim:
                value.type.tensor_type.shape.dim[0].Clear()
    del model.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(model)


def add_fused_gemm_name(model_proto: onnx.ModelProto) -> None:
    """Names the Gemm nodes that have no name: ``fused_gemm_0`` and so on."""
    nameless = [node for node in model_proto.graph.node if node.op_type == "Gemm" and not node.name]
    for number, node in enumerate(nameless):
        node.name = f"fused_gemm_{number}"


def rename_node(model_proto: onnx.ModelProto) -> None:
    """Names every node after its operator, counted from 1: ``Conv_1`` and so on."""
    seen: Counter[str] = Counter()
    for node in model_proto.graph.node:
        seen[node.op_type] += 1
        node.name = f"{node.op_type}_{seen[node.op_type]}"
