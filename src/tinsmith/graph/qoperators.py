"""Operators on integers (QLinearConv, MatMulInteger…) become float operators between Quantize and DequantizeLinear.

- A QLinear operator dequantizes its operands, computes, and quantizes the result: written so.
- What DynamicQuantizeLinear feeds, ConvInteger and MatMulInteger multiply: `(x / s) · w`, scaled by s afterwards. With
  s = 1 that is `x · w`: the node gives its input, scale 1 and zero point 0. Such models bring no ranges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

from tinsmith.errors import ModelError, UnsupportedError
from tinsmith.graph.edit import Array, add_constant, constant, discard, fresh, get_int, graph_of, input_of, replace

DOMAINS = ("", "ai.onnx", "com.microsoft")


@dataclass(frozen=True, slots=True)
class _Form:
    """How a QLinear operator lists its inputs.

    Attributes:
        op_type: The float operator.
        operands: Index of each operand; its scale and zero point follow.
        result: Index of the result's scale; the zero point follows.
        bias: Index of the int32 bias, whose scale is the product of the operands'.
    """

    op_type: str
    operands: tuple[int, ...]
    result: int
    bias: int | None = None


_FORMS: Mapping[str, _Form] = MappingProxyType(
    {
        "QLinearConv": _Form("Conv", (0, 3), 6, bias=8),
        "QLinearMatMul": _Form("MatMul", (0, 3), 6),
        "QGemm": _Form("Gemm", (0, 3), 7, bias=6),
        "QLinearAdd": _Form("Add", (0, 3), 6),
        "QLinearMul": _Form("Mul", (0, 3), 6),
        "QLinearSigmoid": _Form("Sigmoid", (0,), 3),
        "QLinearLeakyRelu": _Form("LeakyRelu", (0,), 3),
        "QLinearSoftmax": _Form("Softmax", (0,), 3),
        "QLinearGlobalAveragePool": _Form("GlobalAveragePool", (0,), 3),
        "QLinearAveragePool": _Form("AveragePool", (0,), 3),
    }
)
_OWN_ATTRIBUTES = ("channels_last", "opset")


def expand(graph: ir.Graph) -> bool:
    """Rewrites every such operator; tells whether there was one.

    Raises:
        UnsupportedError: One is used in a way that has no float counterpart here.
    """
    changed = False
    for node in tuple(graph):
        if node.domain not in DOMAINS or node.graph is not graph:
            continue
        with fitting(node):
            changed |= _expanded(node)
    return changed


def _expanded(node: ir.Node) -> bool:
    if node.op_type in _FORMS:
        _expand(node, _FORMS[node.op_type])
    elif node.op_type == "QLinearConcat":
        _concat(node)
    elif node.op_type == "DynamicQuantizeLinear":
        _dynamic(node)
    elif node.op_type in ("ConvInteger", "MatMulInteger"):
        _integer(node)
    else:
        return False
    return True


@contextmanager
def fitting(node: ir.Node) -> Iterator[None]:
    """Within it, scales and zero points that do not fit their data are an error that names the node."""
    try:
        yield
    except (ValueError, IndexError, TypeError, AssertionError, ArithmeticError) as error:
        raise ModelError(
            f"its scales, zero points and data do not fit together: {error}.", subject=f"{node.op_type} {node.name!r}"
        ) from error


def _new(before: ir.Node, op_type: str, inputs: list[ir.Value | None], name: str, output: str = "") -> ir.Node:
    graph = graph_of(before)
    node = ir.Node("", op_type, inputs, name=fresh(graph, name))
    node.outputs[0].name = output or fresh(graph, f"{name}_output")
    graph.insert_before(before, node)
    return node


def _expand(node: ir.Node, form: _Form) -> None:
    if get_int(node, "channels_last", 0):
        raise UnsupportedError(
            "it computes with channels last.", subject=f"{node.op_type} {node.name!r}", hint="Export in QDQ format."
        )
    sources: list[ir.Value | None] = []
    for index in form.operands:
        parts = [input_of(node, index + offset) for offset in range(3)]
        sources.append(_new(node, "DequantizeLinear", parts, f"{node.name}_operand").outputs[0])
    if form.op_type == "Conv" or get_int(node, "transB", 0):
        # Such weights have their channels first, where DequantizeLinear's axis is 1 by default.
        source = sources[1]
        assert source is not None
        weights = source.producer()
        assert weights is not None
        weights.attributes.add(ir.AttrInt64("axis", 0))
    if form.bias is not None and input_of(node, form.bias) is not None:
        sources.append(_bias(node, form))
    result = _new(node, form.op_type, sources, node.name or form.op_type)
    for attribute in node.attributes.values():
        if attribute.name not in _OWN_ATTRIBUTES:
            result.attributes.add(attribute)
    _finish(node, result.outputs[0], form.result)


def _bias(node: ir.Node, form: _Form) -> ir.Value:
    """The bias as real numbers."""
    assert form.bias is not None
    bias, first, second = (constant(input_of(node, index)) for index in (form.bias, 1, 4))
    if bias is None or first is None or second is None:
        raise _not_constant(node)
    scale = first.astype(np.float64) * second.astype(np.float64)
    real = (bias.astype(np.float64) * scale.reshape(-1) * _alpha(node)).astype(np.float32)
    source = input_of(node, form.bias)
    return add_constant(graph_of(node), real, ((source.name if source else "") or "bias").removesuffix("_quantized"))


def _alpha(node: ir.Node) -> float:
    """The factor of a QGemm's product, which its bias shares."""
    attribute = node.attributes.get("alpha")
    return 1.0 if attribute is None else attribute.as_float()


def _finish(node: ir.Node, real: ir.Value, index: int) -> None:
    """Quantizes the result, or leaves it as it is where the operator gives floats."""
    scale, zero = input_of(node, index), input_of(node, index + 1)
    if scale is not None:
        real = _new(node, "QuantizeLinear", [real, scale, zero], f"{node.name}_quantize").outputs[0]
    replace(node.outputs[0], real)


def _concat(node: ir.Node) -> None:
    count = (len(node.inputs) - 2) // 3
    parts = [[input_of(node, 2 + 3 * index + offset) for offset in range(3)] for index in range(count)]
    sources: list[ir.Value | None] = [
        _new(node, "DequantizeLinear", part, f"{node.name}_operand").outputs[0] for part in parts
    ]
    result = _new(node, "Concat", sources, node.name or "Concat")
    result.attributes.update(node.attributes)
    _finish(node, result.outputs[0], 0)


def _dynamic(node: ir.Node) -> None:
    """Scale 1, zero point 0, and the input itself in place of its integers."""
    graph, source = graph_of(node), input_of(node, 0)
    assert source is not None
    new: list[ir.Value] = [source, add_constant(graph, np.array(1, np.float32), f"{node.name}_scale")]
    new.append(add_constant(graph, np.array(0, np.float32), f"{node.name}_zero"))
    for old, value in zip(node.outputs, new, strict=False):
        if old.is_graph_output():
            raise UnsupportedError("its integers are an output.", subject=f"{node.op_type} {node.name!r}")
        old.replace_all_uses_with(value)
    discard(node)


def _integer(node: ir.Node) -> None:
    """The products of what the integers stand for; both scales are applied by whoever reads them."""
    graph = graph_of(node)
    sources: list[ir.Value | None] = []
    for index, zero in ((0, 2), (1, 3)):
        value = input_of(node, index)
        array, offset = constant(value), constant(input_of(node, zero))
        if array is not None and (offset is not None or input_of(node, zero) is None):
            moved = array.astype(np.float64) - (0 if offset is None else _shaped(offset, array, node.op_type))
            name = ((value.name if value else "") or "weights").removesuffix("_quantized")
            sources.append(add_constant(graph, moved.astype(np.float32), name))
        else:
            sources.append(value)
    if any(value is not None and value.dtype is not None and value.dtype.is_integer() for value in sources):
        raise UnsupportedError(
            "it multiplies integers that DynamicQuantizeLinear did not make.",
            subject=f"{node.op_type} {node.name!r}",
            hint="Export the float model, or quantize it in QDQ format.",
        )
    result = _new(node, node.op_type.removesuffix("Integer"), sources, node.name or node.op_type)
    result.attributes.update(node.attributes)
    replace(node.outputs[0], result.outputs[0])


def _shaped(offset: Array, array: Array, op_type: str) -> Array:
    """Zero points per column of a matrix, or per output channel of a convolution."""
    wide = offset.astype(np.float64)
    if op_type == "ConvInteger" and wide.size > 1:
        return wide.reshape(-1, *(1,) * (array.ndim - 1))
    return wide.reshape(()) if wide.size == 1 else wide


def _not_constant(node: ir.Node) -> UnsupportedError:
    return UnsupportedError(
        "its scales or its bias are not constant.",
        subject=f"{node.op_type} {node.name!r}",
        hint="Export the float model, or quantize it in QDQ format with static scales.",
    )
