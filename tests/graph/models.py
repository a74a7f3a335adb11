"""Small ONNX models, and the check that every canonical form must pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import helper

from tinsmith.graph import Runner, canonicalize, passes
from tinsmith.graph.edit import shape_of
from tinsmith.graph.shapes import infer
from tinsmith.importers import load

Array = NDArray[Any]
TOLERANCE = 1e-5
"""Largest difference allowed, as a part of the largest value."""


def node(op_type: str, inputs: str, outputs: str, name: str = "", **attributes: Any) -> onnx.NodeProto:
    """A node; names of inputs and outputs separated by spaces, ``_`` for one that is left out."""
    names = [["" if part == "_" else part for part in text.split()] for text in (inputs, outputs)]
    return helper.make_node(op_type, *names, name=name, **attributes)


def value(name: str, shape: Sequence[int | str | None] | None, dtype: Any = np.float32) -> onnx.ValueInfoProto:
    """The declaration of an input or output."""
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str | None]] | Sequence[onnx.ValueInfoProto],
    outputs: str | Sequence[onnx.ValueInfoProto],
    constants: Mapping[str, Any] | None = None,
    *,
    opset: int = 24,
    ir_version: int = 10,
    domains: Sequence[str] = (),
) -> onnx.ModelProto:
    """A model; constants that are Python numbers become float32 or int64."""
    graph = helper.make_graph(
        nodes,
        "test",
        [value(name, shape) for name, shape in inputs.items()] if isinstance(inputs, Mapping) else list(inputs),
        [value(name, None) for name in outputs.split()] if isinstance(outputs, str) else list(outputs),
        [onnx.numpy_helper.from_array(array_of(data), name) for name, data in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def array_of(data: Any) -> Array:
    """Python numbers as ONNX has them."""
    array = np.asarray(data)
    if isinstance(data, np.ndarray):
        return array
    return array.astype(np.int64 if array.dtype.kind == "i" else np.float32)


def feeds_for(canonical: ir.Model, seed: int = 0) -> dict[str, Array]:
    """Random inputs of a canonical model: normal floats, small integers."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for source in canonical.graph.inputs:
        assert source.name is not None
        assert source.dtype is not None
        dtype = source.dtype.numpy()
        values = np.asarray(rng.normal(size=shape_of(source)) * 2)
        feeds[source.name] = values.astype(dtype) if dtype.kind == "f" else (values > 0).astype(dtype)
    return feeds


def check(
    original: onnx.ModelProto | ir.Model,
    ops: Sequence[str] | None = None,
    *,
    tolerance: float = TOLERANCE,
    **options: Any,
) -> ir.Model:
    """Canonicalizes a model and asserts what holds for every canonical form.

    Args:
        original: The model.
        ops: The operator types expected, in the order of the graph; not looked at where None.
        tolerance: Largest difference from the original, as a part of the largest value.
        options: Arguments of `canonicalize`.

    Returns:
        The canonical model.
    """
    source = load(original)
    before = ir.to_proto(source).SerializeToString() if isinstance(original, ir.Model) else original.SerializeToString()
    canonical = canonicalize(source, **options)
    after = ir.to_proto(source).SerializeToString() if isinstance(original, ir.Model) else original.SerializeToString()
    assert before == after
    if ops is not None:
        assert op_types(canonical) == list(ops)
    assert_well_formed(canonical)
    if "outputs" not in options:
        assert [out.name for out in canonical.graph.outputs] == [out.name for out in source.graph.outputs]
    assert_same_results(source, canonical, tolerance)
    assert op_types(canonicalize(canonical)) == op_types(canonical)
    assert not passes.run(canonical.clone().graph)  # no two rewrites undo each other
    return canonical


def op_types(canonical: ir.Model) -> list[str]:
    """Operators in the order of the graph."""
    return [step.op_type for step in canonical.graph]


def histogram(canonical: ir.Model) -> dict[str, int]:
    """How often each operator occurs."""
    return dict(Counter(op_types(canonical)))


def assert_well_formed(canonical: ir.Model) -> None:
    """Opset, unique names, known shapes that agree with ONNX's inference, constants that are used."""
    assert canonical.opset_imports == {"": 24}
    graph = canonical.graph
    names = [step.name for step in graph]
    assert len(set(names)) == len(names)
    assert all(names)
    values = [*graph.inputs, *graph.initializers.values(), *(out for step in graph for out in step.outputs)]
    labels = [item.name for item in values]
    assert len(set(labels)) == len(labels)
    assert all(labels)
    assert all(item.dtype is not None for item in values)
    shapes = {item.name: shape_of(item) for item in values}
    assert all(initializer.uses() for initializer in graph.initializers.values())
    copy = canonical.clone()
    infer(copy)
    for step in copy.graph:
        for out in step.outputs:
            assert shape_of(out) == shapes[out.name], out.name


def assert_same_results(source: ir.Model, canonical: ir.Model, tolerance: float = TOLERANCE) -> None:
    """ONNX Runtime computes the same with both, for the outputs of the canonical model."""
    feeds = feeds_for(canonical)
    for item in source.graph.inputs:
        if item.name in feeds and item.dtype is not None and item.dtype.numpy().kind != "f":
            feeds[item.name] = np.abs(np.round(feeds[item.name]))
    names = [out.name or "" for out in canonical.graph.outputs]
    reference = Runner(source, names)
    types = {item.name: item.dtype.numpy() for item in source.graph.inputs if item.dtype is not None}
    unused = {item.name or "": item.shape or () for item in source.graph.inputs if item.name not in feeds}
    feeds |= {name: np.zeros([int(dim) for dim in shape], np.float32) for name, shape in unused.items()}
    expected = reference({name: feeds[name].astype(types[name]) for name in reference.inputs})
    runner = Runner(canonical)
    actual = runner({name: feeds[name] for name in runner.inputs})
    for name in names:
        wanted, found = expected[name], actual[name]
        assert found.shape == wanted.shape
        largest = np.abs(wanted.astype(np.float64)).max(initial=0)
        assert np.abs(found.astype(np.float64) - wanted.astype(np.float64)).max(initial=0) <= tolerance * largest
