from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.linear_cases import TARGETS, both, conv, convolved, integers, kernel_case, shifted
from tests.shared import shared_files
from tinsmith.errors import ProgramError
from tinsmith.program import DType, Value
from tinsmith.simulator.compiled import GraphPart, NodePart, compile_program
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import violations
from tinsmith.targets import Target, find

KERNELS = [p for p in shared_files("golden/kernels/*/*.npz") if str(np.load(p)["op"]) in ("conv", "gemm")]


@pytest.mark.skipif(not KERNELS, reason="needs the reference files (set TINSMITH_SHARED)")
@pytest.mark.parametrize("path", KERNELS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_kernel(path: Path) -> None:
    program, x, expected, target = kernel_case(path)
    observed: dict[str, dict[str, int]] = {}
    found = interpret(program, {"x": x}, target, observe=observed)["y"]
    assert found.dtype == expected.dtype
    assert found.tolist() == expected.tolist()
    assert observed["node"].get("saturations", 0) == int(np.load(path)["acc_sat"])
    assert both(program, {"x": x}, target).tolist() == expected.tolist()


@st.composite
def walks(draw: st.DrawFn, flat: bool) -> dict[str, Any]:
    count = 1 if flat else 2
    return {
        "kernel": tuple(draw(st.integers(1, 3)) for _ in range(count)),
        "strides": tuple(draw(st.integers(1, 2)) for _ in range(count)),
        "dilations": tuple(draw(st.integers(1, 2)) for _ in range(count)),
        "pads": tuple(draw(st.integers(0, 2)) for _ in range(2 * count)),
    }


@given(
    st.data(),
    st.sampled_from(TARGETS),
    st.sampled_from([8, 16]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from(["Linear", "Relu"]),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_random_convolutions(
    data: st.DataObject,
    name: str,
    bits: int,
    flat: bool,
    depthwise: bool,
    channels: int,
    filters: int,
    activation: str,
    biased: bool,
    seed: int,
) -> None:
    target, rng = find(name), np.random.default_rng(seed)
    walk = data.draw(walks(flat))
    kernel = walk.pop("kernel")
    lengths = [d * (k - 1) + int(rng.integers(1, 5)) for k, d in zip(kernel, walk["dilations"], strict=True)]
    x = integers(rng, (1, *lengths, channels), bits)
    filters = channels if depthwise and channels > 1 else filters
    group = channels if depthwise and channels > 1 else 1
    weights = integers(rng, (filters, channels // group, *kernel), bits, scale=0.2)
    bias = rng.integers(-(2**18), 2**18, filters).astype(np.int32 if bits == 8 else np.int64) if biased else None
    shift = int(rng.integers(0, 8 if bits == 8 else 16))
    per_channel = tuple(int(e) for e in rng.integers(-3, 1, filters)) if target.per_channel else (0,)
    program = conv(
        x,
        weights,
        bias,
        target=target,
        bits=bits,
        group=group,
        shift=shift,
        weight_exponents=per_channel,
        activation=activation,
        **walk,
    )
    assert violations(program, target) == [] or "pad explicitly" in violations(program, target)[0]
    found = both(program, {"x": x}, target)
    if flat:
        walk = {"strides": (1, *walk["strides"]), "dilations": (1, *walk["dilations"]), "pads": _flat(walk["pads"])}
        total = convolved(x, weights[:, :, None], bias, group=group, **walk)
    else:
        total = convolved(x[0], weights, bias, group=group, **walk)
    expected = shifted(total, shift - np.asarray(per_channel), target, bits, relu=activation == "Relu")
    assert found.reshape(total.shape).tolist() == expected.tolist()


def _flat(pads: tuple[int, ...]) -> tuple[int, ...]:
    return (0, pads[0], 0, pads[1])


@given(st.sampled_from([8, 16]), st.booleans(), st.integers(0, 2**32), st.sampled_from(TARGETS))
def test_sums_near_and_beyond_what_float32_holds(bits: int, depthwise: bool, seed: int, name: str) -> None:
    target, rng = find(name), np.random.default_rng(seed)
    channels = 20 if depthwise else 900
    group = channels if depthwise else 1
    x = np.where(rng.random((1, 3, 3, channels)) < 0.9, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1).astype(f"int{bits}")
    weights = np.where(rng.random((20, channels // group, 2, 2)) < 0.9, -(2 ** (bits - 1)), 1).astype(f"int{bits}")
    bias = None
    if name != "esp32s3":
        bias = rng.integers(-(2**30), 2**30, 20).astype(np.int32 if bits == 8 else np.int64)
    shift = int(rng.integers(12, 20)) + (bits - 8)
    program = conv(x, weights, bias, target=target, bits=bits, group=group, shift=shift, strides=(2, 1))
    found = both(program, {"x": x}, target)
    exact = {"esp32s3": 0, "esp32p4": 16 if bits == 16 and group == 1 else 20, "c": 20}[name]
    total = convolved(x[0], weights, bias, group=group, strides=(2, 1))[..., :exact]
    assert found[0, ..., :exact].tolist() == shifted(total, shift, target, bits).tolist()


def test_lanes_saturate_and_the_compiled_form_notices() -> None:
    target = find("esp32s3")
    x = np.full((1, 1, 1, 64), 127, np.int8)
    x[..., 40:] = -128
    weights = np.full((17, 64, 1, 1), 127, np.int8)
    program = conv(x, weights, None, target=target, bits=8, shift=12)
    exact = 40 * 127 * 127 - 24 * 128 * 127
    clipped = 2**19 - 1 - 24 * 128 * 127
    found = both(program, {"x": x}, target)[0, 0, 0]
    assert found[:16].tolist() == [(clipped + 2**11) >> 12] * 16
    assert found[16] == (exact + 2**11) >> 12
    unchecked = compile_program(program, target, checked=False).run({"x": x})["y"][0, 0, 0]
    assert unchecked.tolist() == [(exact + 2**11) >> 12] * 17


def test_guards_only_where_nothing_is_proved(rng: np.random.Generator) -> None:
    target = find("esp32s3")
    x = integers(rng, (1, 2, 2, 64), 8)
    light, heavy = integers(rng, (16, 64, 1, 1), 8, 0.2), integers(rng, (16, 64, 1, 1), 8)

    def guards(weights: np.ndarray[Any, Any], where: Target = target, checked: bool = True) -> int:
        program = conv(x, weights, None, target=where, bits=8)
        (part,) = compile_program(program, where, checked=checked).parts
        assert isinstance(part, GraphPart)
        return len(part.guards)

    assert guards(light) == 0
    assert guards(heavy) == 1
    assert guards(heavy, checked=False) == 0
    assert guards(heavy, find("esp32p4")) == 0


def test_illegal_shifts_run_and_are_told(rng: np.random.Generator) -> None:
    target = find("esp32p4")
    x, weights = integers(rng, (1, 2, 2, 3), 8, 0.02), integers(rng, (4, 3, 1, 1), 8, 0.02)
    for shift, exponents in ((-3, (0,)), (0, (1, 0, 0, -32))):
        program = conv(x, weights, None, target=target, bits=8, shift=shift, weight_exponents=exponents)
        observed: dict[str, dict[str, int]] = {}
        found = interpret(program, {"x": x}, target, observe=observed)["y"]
        assert observed["node"]["illegal_shift"] == (1 if len(exponents) == 1 else 2)
        assert np.array_equal(both(program, {"x": x}, target), found)
        (message,) = violations(program, target)
        assert "the chip can shift right by 0 … 31" in message
    assert found[..., 3].tolist() == np.zeros((1, 2, 2)).tolist()


def test_bias_beyond_the_lane_is_told(rng: np.random.Generator) -> None:
    target = find("esp32s3")
    x, weights = integers(rng, (1, 2, 2, 3), 8), integers(rng, (16, 3, 1, 1), 8)
    bias = np.zeros(16, np.int32)
    bias[3] = 2**19
    (message,) = violations(conv(x, weights, bias, target=target, bits=8), target)
    assert "bias reaches 524288, the accumulator holds 20 bits" in message
    bias[3] -= 1
    assert violations(conv(x, weights, bias, target=target, bits=8), target) == []


def test_sums_that_could_wrap_are_told(rng: np.random.Generator) -> None:
    target = find("esp32p4")
    x, weights = integers(rng, (1, 2, 2, 3), 8), np.full((17, 3, 1, 1), 100, np.int8)
    bias = np.full(17, 2**31 - 1, np.int32)
    bias[:16] -= 3 * 100 * 128
    assert violations(conv(x, weights, bias, target=target, bits=8), target) == []
    bias[3] += 1
    (message,) = violations(conv(x, weights, bias, target=target, bits=8), target)
    assert "sums of channel 3 can reach 2147483648 and wrap around its accumulator of 32 bits" in message


def test_files_the_runtime_cannot_run(rng: np.random.Generator) -> None:
    target = find("esp32p4")
    x = integers(rng, (1, 4, 4, 4), 8)
    good = conv(x, integers(rng, (4, 4, 1, 1), 8), None, target=target, bits=8)

    def error(program: Any, message: str) -> None:
        with pytest.raises(ProgramError, match=message):
            interpret(program, {"x": x}, target)

    node = good.nodes[0]

    def changed(**attributes: Any) -> Any:
        return replace(good, nodes=(replace(node, attributes={**node.attributes, **attributes}),))

    error(changed(group=2), "depthwise kernel over weights")
    error(changed(activation="Gelu"), "unknown activation 'Gelu'")
    error(changed(pads=(0, 0, 0, -1)), "cannot be computed")
    error(conv(x, integers(rng, (4, 3, 1, 1), 8), None, target=target, bits=8), "4 input channels do not fit")
    error(conv(x, integers(rng, (4, 4, 1), 8), None, target=target, bits=8), "one- and two-dimensional")
    error(conv(x, integers(rng, (4, 4, 1, 1), 8), np.zeros(3, np.int32), target=target, bits=8), "bias has 3 elements")
    values = {**good.values, "y": Value("y", DType.FLOAT, ())}
    error(replace(good, values=values), "only int8 and int16")
    batch = integers(rng, (2, 4, 4, 4), 8)
    with pytest.raises(ProgramError, match="one sample"):
        interpret(conv(batch, integers(rng, (4, 4, 1, 1), 8), None, target=target, bits=8), {"x": batch}, target)


def test_computed_weights_stay_in_the_interpreter(rng: np.random.Generator) -> None:
    target = find("c")
    x = integers(rng, (1, 2, 2, 3), 8)
    good = conv(x, integers(rng, (4, 3, 1, 1), 8), None, target=target, bits=8)
    weights = Value("w", DType.INT8, good.constants["w"].shape, (0,))
    program = replace(good, constants={}, values={**good.values, "w": weights}, inputs=(*good.inputs, weights))
    inputs = {"x": x, "w": good.constants["w"].data}
    compiled = compile_program(program, target)
    assert [type(part) for part in compiled.parts] == [NodePart]
    assert compiled.run(inputs)["y"].tolist() == interpret(good, {"x": x}, target)["y"].tolist()
