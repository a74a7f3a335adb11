from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.linear_cases import (
    TARGETS,
    both,
    integers,
    lowered,
    operand,
    refusals,
    run_lowered,
    shifted,
    single,
)
from tinsmith.errors import ProgramError
from tinsmith.ops import operators
from tinsmith.ops.convtranspose import begin_and_end
from tinsmith.ops.floatnode import FloatNode
from tinsmith.quant.format import Format
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import violations
from tinsmith.targets import find


def float_transpose(x: tuple[int, ...], weights: np.ndarray[Any, Any], **attributes: Any) -> FloatNode:
    """A float ConvTranspose; the output's shape by ONNX's rule."""
    count = len(x) - 2
    ones, zeros = (1,) * count, (0,) * count
    strides, dilations = attributes.get("strides", ones), attributes.get("dilations", ones)
    pads, added = attributes.get("pads", zeros * 2), attributes.get("output_padding", zeros)
    reach = [d * (k - 1) + 1 for k, d in zip(weights.shape[2:], dilations, strict=True)]
    spatial = [strides[i] * (x[2 + i] - 1) + added[i] + reach[i] - pads[i] - pads[i + count] for i in range(count)]
    spatial = attributes.get("output_shape", spatial)
    group = attributes.get("group", 1)
    output = operand("y", (1, weights.shape[1] * group, *spatial))
    return FloatNode(
        "ConvTranspose", "up", (operand("x", x), operand("w", weights.shape, weights)), (output,), attributes
    )


def scattered(
    x: Any, weights: Any, out: tuple[int, ...], *, strides: Any, dilations: Any, begin: Any, group: int
) -> Any:
    """ONNX's definition: every input element adds its weighted kernel to the output; (N, H, W) from (C, H, W)."""
    filters = weights.shape[1] * group
    total = np.zeros((filters, *out), np.int64)
    for c, i, j in np.ndindex(*x.shape):
        for n in range(filters) if group == 1 else [c]:
            for r, s in np.ndindex(*weights.shape[2:]):
                row, column = i * strides[0] + r * dilations[0] - begin[0], j * strides[1] + s * dilations[1] - begin[1]
                if 0 <= row < out[0] and 0 <= column < out[1]:
                    total[n, row, column] += int(x[c, i, j]) * int(weights[c, n if group == 1 else 0, r, s])
    return total


@given(st.data(), st.sampled_from(TARGETS), st.sampled_from([8, 16]), st.booleans(), st.integers(0, 2**32))
def test_lowered(data: st.DataObject, name: str, bits: int, depthwise: bool, seed: int) -> None:
    target, rng = find(name), np.random.default_rng(seed)
    channels, filters = int(rng.integers(2, 5)), int(rng.integers(1, 19))
    group, filters = (channels, channels) if depthwise else (1, filters)
    kernel, dilations, strides = (data.draw(st.tuples(*[st.integers(1, 3)] * 2)) for _ in range(3))
    added = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(strides, dilations, strict=True))
    pads = tuple(data.draw(st.integers(0, d * (k - 1))) for k, d in zip(kernel * 2, dilations * 2, strict=True))
    x = integers(rng, (1, channels, 3, 2), bits)
    per_group = 1 if depthwise else filters
    integer_weights = integers(rng, (channels, per_group, *kernel), bits, scale=0.3)
    attributes = {"strides": strides, "dilations": dilations, "pads": pads, "output_padding": added, "group": group}
    node = float_transpose(x.shape, integer_weights, **attributes)
    out = node.outputs[0].shape[2:]
    if min(out) < 1:
        return
    assert refusals(node, target) == []
    port = operators()["ConvTranspose"].ports(node, target).inputs[1]
    assert port.axis == (0 if depthwise else 1)
    exponents = tuple(int(e) for e in rng.integers(-2, 1, filters)) if target.per_channel else (0,)
    axis = port.axis if target.per_channel else None
    per_filter = np.asarray(exponents, np.int32).reshape((-1, 1, 1, 1) if depthwise else (-1, 1, 1))
    real = np.ldexp(integer_weights.astype(np.float64), per_filter)
    node = float_transpose(x.shape, real, **attributes)
    found = lowered(node, target, bits, {"x": 0, "y": 3}, Format(bits, exponents, axis))
    inserts = any(s > 1 for s in strides) or any(added)
    steps = [n.op_type for n in found.program.nodes if n.op_type != "Transpose"]
    assert [step for step in steps if step != "Pad"] == ["InsertZeros"] * inserts + ["Conv"]
    total = scattered(x[0], integer_weights, out, strides=strides, dilations=dilations, begin=pads[:2], group=group)
    shift = (3 - np.asarray(exponents)).reshape(-1, 1, 1)
    assert run_lowered(found, {"x": x}, target)[0].tolist() == shifted(total, shift, target, bits).tolist()


def test_one_dimension(rng: np.random.Generator) -> None:
    target = find("esp32s3")
    x, weights = integers(rng, (1, 3, 6), 8), integers(rng, (3, 17, 4), 8, 0.3)
    node = float_transpose(x.shape, weights, strides=(3,), pads=(2, 1), output_padding=(2,))
    found = lowered(node, target, 8, {"x": 0, "y": 6}, Format(8, (0,)))
    insert, conv = (n for n in found.program.nodes if n.op_type != "Transpose")
    assert insert.attributes == {"output_padding": (2,), "quant_type": "S8", "stride": (3,)}
    assert (conv.name, conv.attributes["pads"], conv.attributes["strides"]) == ("up", (1, 2), (1,))
    total = scattered(
        x[0][:, None],
        weights[:, :, None],
        (1, node.outputs[0].shape[2]),
        strides=(1, 3),
        dilations=(1, 1),
        begin=(0, 2),
        group=1,
    )
    assert run_lowered(found, {"x": x}, target)[0].tolist() == shifted(total[:, 0], 6, target, 8).tolist()


@pytest.mark.parametrize(
    ("attributes", "begin", "end"),
    [
        ({"output_shape": (10,)}, 1, 0),
        ({"output_shape": (10,), "auto_pad": "SAME_UPPER"}, 0, 1),
        ({"output_shape": (10,), "auto_pad": "SAME_LOWER"}, 1, 0),
        ({"pads": (1, 0)}, 1, 0),
    ],
)
def test_output_shape_and_auto_pad(attributes: dict[str, Any], begin: int, end: int) -> None:
    node = float_transpose((1, 1, 5), np.ones((1, 1, 3)), strides=(2,), **attributes)
    assert begin_and_end(node) == ((begin,), (end,), (0,))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=2), st.sampled_from([8, 16]), st.integers(0, 2**32))
def test_insert_zeros(lengths: list[int], bits: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    strides = tuple(int(n) for n in rng.integers(1, 4, len(lengths)))
    added = tuple(int(n) for n in rng.integers(0, 4, len(lengths)))
    x = integers(rng, (1, *lengths, 3), bits)
    program = single("InsertZeros", x, {}, bits, (0, 0), {"stride": strides, "output_padding": added})
    found = both(program, {"x": x}, find("c"))[0]
    assert found.shape == (*(s * (n - 1) + 1 + a for n, s, a in zip(lengths, strides, added, strict=True)), 3)
    expected = np.zeros_like(found)
    for index in np.ndindex(*lengths):
        expected[tuple(i * s for i, s in zip(index, strides, strict=True))] = x[0][index]
    assert found.tolist() == expected.tolist()
    assert violations(program, find("c")) == []
    moved = single("InsertZeros", x, {}, bits, (0, 1), {"stride": strides, "output_padding": added})
    assert "bytes move unchanged" in violations(moved, find("c"))[0]


def test_files_the_runtime_cannot_run(rng: np.random.Generator) -> None:
    x = integers(rng, (1, 2, 2, 2, 3), 8)
    with pytest.raises(ProgramError, match="neither NWC nor NHWC"):
        interpret(single("InsertZeros", x, {}, 8, (0, 0), {}), {"x": x}, find("c"))
    with pytest.raises(ProgramError, match="files hold InsertZeros and Conv"):
        interpret(single("ConvTranspose", x, {}, 8, (0, 0), {}), {"x": x}, find("c"))


def test_constraints_and_cost() -> None:
    target = find("esp32s3")
    grouped = float_transpose((1, 4, 3, 3), np.ones((4, 2, 2, 2)), group=2)
    assert "several ConvTranspose" in " ".join(refusals(grouped, target))
    cut = float_transpose((1, 1, 3, 3), np.ones((1, 1, 2, 2)), pads=(2, 0, 0, 0))
    assert "dilation · (kernel - 1)" in " ".join(refusals(cut, target))
    node = float_transpose((1, 4, 3, 3), np.ones((4, 5, 2, 2)))
    assert operators()["ConvTranspose"].cost(node).macs == 4 * 4 * 5 * 4 * 4
    assert not operators()["InsertZeros"].importable
