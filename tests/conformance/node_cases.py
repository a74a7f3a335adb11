"""ONNX's own single-operator cases, and the forms in which a user would bring them.

A case is one node (or its expansion by ONNX's function body), inputs, and the outputs expected. Everything the node
reads is a graph input there, parameters too. So each case has several forms, tried in order until one is accepted:

- *as it is*;
- *parameters constant*: inputs that are no floats (axes, shapes, indices, conditions) are initializers;
- *weights constant*: all inputs but the first float one are initializers;
- *first input only*: all inputs but the first are initializers, where that one is no float (integers, conditions).
  Integers of quantized models are then given and expected as the real numbers they stand for: that is what such a
  model is read as;
- *first output*: the same, cut at the first output, where the case has several (indices, masks, statistics);
- *first sample*: the same, with the first sample only, where the refusal speaks of the batch. The outputs expected are
  then those of ONNX Runtime, or of ONNX's own slow runtime where the operator is too new for it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx.reference
from numpy.typing import NDArray
from onnx import numpy_helper

Array = NDArray[Any]
Arrays = Mapping[str, Array]

# Where recurrent layers have the batch, by input (all of them in front where `layout` is 1).
_BATCH_AXES = {"X": 1, "initial_h": 1, "initial_c": 1, "sequence_lens": 0}
_BATCH_IN_FRONT = ("past_state",)
_RECURRENT = ("GRU", "LSTM", "RNN")
# Integers that stand for real numbers, with their scale and zero point, by input and output index.
_MEANT = {
    "QuantizeLinear": ({}, {0: (1, 2)}),
    "DequantizeLinear": ({0: (1, 2)}, {}),
    "QLinearMatMul": ({0: (1, 2)}, {0: (6, 7)}),
    "QLinearConv": ({0: (1, 2)}, {0: (6, 7)}),
}
_FLOATS = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
)


@dataclass(frozen=True)
class Case:
    """A case in one of its forms.

    Attributes:
        name: Without ``test_``.
        operator: Of the node; with a star where the node is expanded.
        model: The float model.
        feeds: Its inputs; empty where they are no tensors.
        expected: Its outputs, in order; empty where they are no tensors.
        form: How it differs from the original.
    """

    name: str
    operator: str
    model: onnx.ModelProto
    feeds: Arrays
    expected: Arrays
    form: str = "as it is"


@cache
def cases() -> tuple[Case, ...]:
    """All of them, in ONNX's order (the same in every run: each is made from a seed of its own)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        collected = collect_testcases(None)
    operators = {case.name: case.model.graph.node[0].op_type for case in collected}
    found = []
    for case in collected:
        base, expanded, _ = case.name.partition("_expanded")
        operator = f"{operators[base]}*" if expanded and base in operators else operators[case.name]
        inputs, outputs = case.data_sets[0]
        feeds = _tensors([value.name for value in case.model.graph.input], inputs)
        expected = _tensors([value.name for value in case.model.graph.output], outputs)
        found.append(Case(case.name.removeprefix("test_"), operator, case.model, feeds, expected))
    return tuple(found)


def _tensors(names: list[str], values: Any) -> dict[str, Array]:
    arrays = {}
    for name, value in zip(names, values, strict=False):
        array = numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
        if isinstance(array, (np.ndarray, np.generic)):
            # Types that numpy has from an extension (bfloat16, float8 …) are floats to whoever has the data.
            arrays[name] = np.asarray(array, np.float32) if array.dtype.kind == "V" else np.asarray(array)
    return arrays


def forms(case: Case) -> Iterator[Case]:
    """The case as it is, then with constants."""
    yield case
    types = {value.name: value.type.tensor_type.elem_type for value in case.model.graph.input}
    everything = list(case.feeds)
    floats = [name for name in everything if types[name] in _FLOATS]
    seen = [everything, []]
    for kept, form in (
        (floats, "parameters constant"),
        (floats[:1], "weights constant"),
        (everything[:1], "first input only"),
    ):
        if kept not in seen:
            seen.append(kept)
            yield _meant(_frozen(case, kept, form), case.feeds)


def _frozen(case: Case, kept: list[str], form: str) -> Case:
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    for name, array in case.feeds.items():
        if name not in kept:
            model.graph.initializer.append(onnx.helper.make_tensor(name, types[name], array.shape, array.reshape(-1)))
    inputs = [value for value in model.graph.input if value.name in kept or value.name not in case.feeds]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    return replace(case, model=model, feeds={name: case.feeds[name] for name in kept}, form=form)


def _meant(case: Case, constants: Arrays) -> Case:
    """The case with real numbers in the place of the integers that stand for them."""
    node = case.model.graph.node[0]
    feeds, expected = dict(case.feeds), dict(case.expected)
    for indices, names, arrays in zip(
        _MEANT.get(node.op_type, ()), (node.input, node.output), (feeds, expected), strict=False
    ):
        for index, (scale, zero) in indices.items():
            if names[index] in arrays:
                numbers = [constants.get(node.input[i]) if i < len(node.input) else None for i in (scale, zero)]
                arrays[names[index]] = _reals(arrays[names[index]], numbers[0], numbers[1], node)
    return replace(case, feeds=feeds, expected=expected)


def _reals(integers: Array, scale: Array | None, zero: Array | None, node: onnx.NodeProto) -> Array:
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    axis, block = attributes.get("axis", 1) % max(integers.ndim, 1), attributes.get("block_size", 0)

    def spread(numbers: Array) -> Array:
        if numbers.size == 1:
            return numbers.reshape(())
        if block:
            return numbers.repeat(block, axis).take(range(integers.shape[axis]), axis)
        return numbers.reshape([-1 if i == axis else 1 for i in range(integers.ndim)])

    shifted = integers.astype(np.float64) - (0 if zero is None else spread(zero.astype(np.float64)))
    return np.asarray(shifted * (1 if scale is None else spread(scale.astype(np.float64))), np.float32)


def first_output(case: Case) -> Case | None:
    """The case cut at its first output, None where it has no other."""
    if len(case.model.graph.output) < 2:
        return None
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    del model.graph.output[1:]
    expected = {name: case.expected[name] for name in list(case.expected)[:1]}
    return replace(case, model=model, expected=expected, form=f"{case.form}, first output")


def first_sample(case: Case) -> Case | None:
    """The case with a batch of one, None where it has no larger one or cannot be cut so."""
    first = next(iter(case.feeds.values()), None)
    node = case.model.graph.node[0]
    roles = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c") if node.op_type in _RECURRENT else ()
    in_front = any(attribute.name == "layout" and attribute.i for attribute in node.attribute)
    axes = {
        name: 0 if in_front and role in _BATCH_AXES else _BATCH_AXES.get(role)
        for name, role in zip(node.input, roles, strict=False)
    }
    axis = axes.get(node.input[0], 0) if node.input else 0
    if first is None or first.ndim <= (axis or 0) or first.shape[axis or 0] < 2:
        return None
    batch = first.shape[axis or 0]
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    feeds = {
        name: array.take([0], along) if (along := _along(name, axes, array, batch)) is not None else array
        for name, array in case.feeds.items()
    }
    for value in model.graph.input:
        tensor = onnx.helper.np_dtype_to_tensor_dtype(feeds[value.name].dtype)
        del value.type.tensor_type.shape.dim[:]
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, tensor, feeds[value.name].shape))
    for tensor in model.graph.initializer:
        along = 0 if tensor.name in _BATCH_IN_FRONT else axes.get(tensor.name)
        if along is not None:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).take([0], along), tensor.name))
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    expected = _computed(model, feeds)
    return expected and replace(case, model=model, feeds=feeds, expected=expected, form=f"{case.form}, first sample")


def _along(name: str, axes: Mapping[str, int | None], array: Array, batch: int) -> int | None:
    if axes:
        return axes.get(name)
    return 0 if array.ndim and array.shape[0] == batch else None


def _computed(model: onnx.ModelProto, feeds: Arrays) -> dict[str, Array] | None:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        results = session.run(None, dict(feeds))
    except Exception:  # whatever it raises, it does not know the operator
        try:
            results = onnx.reference.ReferenceEvaluator(model).run(None, dict(feeds))
        except Exception:  # nor can the case be cut
            return None
    return dict(zip([value.name for value in model.graph.output], map(np.asarray, results), strict=True))
