"""Programs and float networks around one node that may have several outputs, and what ONNX says it computes.

A DepthToSpace with blocks of 1 in front changes no element, but it leaves channels first in the compiled form, and
channels last in a lowered network: nodes behind it meet every order of dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.lower import lower
from tinsmith.lower.lowerer import Lowered
from tinsmith.ops.floatnode import FloatNode, Network, Operand
from tinsmith.program import DType, Node, Program, Tensor, Value
from tinsmith.quant.format import Format, Formats
from tinsmith.simulator.compiled import NodePart, compile_program
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import violations
from tinsmith.targets import Target

Array = NDArray[Any]


def program_of(
    op_type: str,
    inputs: Sequence[Array | None],
    attributes: Mapping[str, Any],
    *,
    outputs: int = 1,
    dtype: DType | None = None,
    exponents: tuple[int, int] = (0, 0),
    spatial: bool = False,
    computed: int = 1,
) -> Program:
    """A program of the node: the first ``computed`` inputs are fed, the others constant."""
    arrays = {f"x{index}": array for index, array in enumerate(inputs) if array is not None}
    names = [f"x{index}" if array is not None else "" for index, array in enumerate(inputs)]
    kind = dtype or DType.of(arrays["x0"].dtype)
    values = {n: Value(n, DType.of(a.dtype), a.shape, (exponents[0],)) for n, a in list(arrays.items())[:computed]}
    fed = tuple(values.values())
    constants = {n: Tensor(n, a, (exponents[0],)) for n, a in arrays.items() if n not in values}
    nodes = []
    if spatial:
        values["s"] = Value("s", fed[0].dtype, (), (exponents[0],))
        nodes.append(Node("DepthToSpace", "spatial", ("x0",), ("s",), {"blocksize": 1}))
        names[0] = "s"
    results = tuple(Value(f"y{index}", kind, (), (exponents[1],)) for index in range(outputs))
    values.update((value.name, value) for value in results)
    nodes.append(Node(op_type, "node", tuple(names), tuple(v.name for v in results), attributes))
    return Program(tuple(nodes), fed, results, values, constants)


def run(program: Program, target: Target, feeds: Mapping[str, Array], *, whole: bool = True) -> list[Array]:
    """The definition's outputs, which the compiled form must give as well (in one graph, where ``whole``)."""
    expected = interpret(program, feeds, target)
    form = compile_program(program, target)
    if whole:
        assert [part.reason for part in form.parts if isinstance(part, NodePart)] == []
    found = form.run(feeds)
    for value in program.outputs:
        assert found[value.name].dtype == expected[value.name].dtype
        np.testing.assert_array_equal(found[value.name], expected[value.name])
    return [expected[value.name] for value in program.outputs]


def onnx_says(
    op_type: str, inputs: Sequence[Array | None], attributes: Mapping[str, Any], outputs: int = 1
) -> list[Array]:
    """What ONNX Runtime computes for the node alone."""
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper

    names = [f"x{index}" if array is not None else "" for index, array in enumerate(inputs)]
    results = [f"y{index}" for index in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(op_type, names, results, **attributes)],
        "reference",
        [],
        [helper.make_value_info(name, onnx.TypeProto()) for name in results],
        [numpy_helper.from_array(a, f"x{i}") for i, a in enumerate(inputs) if a is not None],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])
    model.ir_version = 10
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(array) for array in session.run(None, {})]


def lowered_around(
    op_type: str,
    inputs: Sequence[Array | None],
    attributes: Mapping[str, Any],
    target: Target,
    *,
    results: Sequence[Array],
    bits: int = 8,
    exponents: Mapping[str, int] | None = None,
    computed: int = 1,
) -> Lowered:
    """A float network: DepthToSpace for inputs of four dimensions, then the node; lowered.

    ``exponents`` of x0, y0 … (default 0); the first ``computed`` inputs are computed, others constants.
    """
    operands: list[Operand | None] = []
    nodes: list[FloatNode] = []
    fed: list[Operand] = []
    for index, array in enumerate(inputs):
        if array is None:
            operands.append(None)
        elif index >= computed:
            operands.append(Operand(f"x{index}", array.shape, array.dtype, array))
        else:
            source = Operand(f"x{index}", array.shape, np.dtype(np.float32))
            fed.append(source)
            if array.ndim == 4:
                moved = Operand(f"s{index}", array.shape, np.dtype(np.float32))
                nodes.append(FloatNode("DepthToSpace", f"spatial{index}", (source,), (moved,), {"blocksize": 1}))
                source = moved
            operands.append(source)
    outputs = tuple(Operand(f"y{i}", r.shape, np.dtype(np.float32)) for i, r in enumerate(results))
    nodes.append(FloatNode(op_type, "node", tuple(operands), outputs, dict(attributes)))
    names = [o.name for o in fed] + [o.name for n in nodes for o in n.outputs]
    names += [o.name for o in operands if o is not None and o.const is not None and o.dtype == np.float32]
    chosen = {name: Format(bits, ((exponents or {}).get(name, 0),)) for name in names}
    network = Network(tuple(nodes), tuple(fed), outputs)
    return lower(network, Formats(chosen), {n.name: bits for n in nodes}, target)


def simulated(lowered: Lowered, target: Target, feeds: Mapping[str, Array]) -> list[Array]:
    """Outputs of a lowered network in the ONNX order, for inputs in the ONNX order; legal, and compiled alike."""
    program = lowered.program
    assert violations(program, target) == []
    laid_out = {name: np.ascontiguousarray(array.transpose(lowered.perms[name])) for name, array in feeds.items()}
    expected = interpret(program, laid_out, target)
    found = compile_program(program, target).run(laid_out)
    outputs = []
    for value in program.outputs:
        assert expected[value.name].size == int(np.prod(value.shape))
        np.testing.assert_array_equal(found[value.name], expected[value.name])
        perm = lowered.perms[value.name]
        shaped = expected[value.name].reshape(value.shape)
        outputs.append(shaped.transpose(np.argsort(perm)) if perm else shaped)
    return outputs


def same_as_onnx(
    op_type: str,
    inputs: Sequence[Array | None],
    attributes: Mapping[str, Any],
    target: Target,
    *,
    outputs: int = 1,
    bits: int = 8,
    computed: int = 1,
) -> Lowered:
    """Assert that the lowered network moves integers as ONNX moves the same numbers; returns it.

    Args:
        op_type: The operator.
        inputs: float32 arrays of whole numbers, int64 arrays, None where absent.
        attributes: ONNX attributes.
        target: The chip.
        outputs: Number of outputs.
        bits: Width.
        computed: How many of the inputs are computed, not constant.
    """
    expected = onnx_says(op_type, inputs, attributes, outputs)
    lowered = lowered_around(op_type, inputs, attributes, target, results=expected, bits=bits, computed=computed)
    integer = np.int8 if bits == 8 else np.int16
    feeds = {f"x{i}": a.astype(integer) for i, a in enumerate(inputs[:computed]) if a is not None}
    for found, wanted in zip(simulated(lowered, target, feeds), expected, strict=True):
        assert found.shape == wanted.shape
        assert found.tolist() == wanted.tolist()
    return lowered


def types_of(lowered: Lowered) -> list[str]:
    """The program's operators, the DepthToSpace in front left out."""
    return [node.op_type for node in lowered.program.nodes if node.op_type != "DepthToSpace"]
