"""BatchNormalization, and Mul, Div, Add, Sub with constants: into layers behind and before them, or on their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graph.models import Array, check, model, node, op_types

RNG = np.random.default_rng(1)


def random(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


def norm(channels: int, prefix: str = "") -> dict[str, Array]:
    return {
        f"{prefix}g": random(channels) + 1, f"{prefix}b": random(channels), f"{prefix}m": random(channels),
        f"{prefix}v": RNG.uniform(0.5, 2, channels).astype(np.float32),
    }  # fmt: skip


BN = "g b m v"

LINEAR: dict[str, tuple[Any, dict[str, Array], tuple[int, ...], int]] = {
    "Conv": (node("Conv", "x w", "h"), {"w": random(6, 4, 3, 3)}, (1, 4, 8, 8), 6),
    "Conv with bias": (node("Conv", "x w c", "h"), {"w": random(6, 4, 3, 3), "c": random(6)}, (1, 4, 8, 8), 6),
    "Conv 1-d": (node("Conv", "x w c", "h"), {"w": random(6, 4, 3), "c": random(6)}, (1, 4, 8), 6),
    "depthwise": (node("Conv", "x w", "h", group=4), {"w": random(8, 1, 3, 3)}, (1, 4, 8, 8), 8),
    "grouped": (node("Conv", "x w", "h", group=2), {"w": random(6, 2, 3, 3)}, (1, 4, 8, 8), 6),
    "ConvTranspose": (node("ConvTranspose", "x w c", "h"), {"w": random(4, 6, 2, 2), "c": random(6)}, (1, 4, 5, 5), 6),
    "grouped ConvTranspose": (node("ConvTranspose", "x w", "h", group=2), {"w": random(4, 3, 2, 2)}, (1, 4, 5, 5), 6),
    "Gemm": (node("Gemm", "x w c", "h", transB=1), {"w": random(6, 4), "c": random(6)}, (3, 4), 6),
    "MatMul": (node("MatMul", "x w", "h"), {"w": random(4, 6)}, (3, 4), 6),
}  # fmt: skip


@pytest.mark.parametrize("kind", LINEAR)
def test_batch_normalization_behind(kind: str) -> None:
    layer, constants, shape, channels = LINEAR[kind]
    nodes = [layer, node("BatchNormalization", f"h {BN}", "y")]
    canonical = check(model(nodes, {"x": shape}, "y", {**constants, **norm(channels)}))
    assert len(canonical.graph) == 1
    assert canonical.graph.outputs[0].name == "y"


@pytest.mark.parametrize("kind", LINEAR)
@pytest.mark.parametrize("spelling", ["Mul Add", "Sub Div", "Add Mul Sub", "scalar", "from the left"])
def test_spelled_behind(kind: str, spelling: str) -> None:
    layer, constants, shape, channels = LINEAR[kind]
    tail = (1,) * (len(shape) - 2)
    c = {"p": random(channels, *tail), "q": random(1, channels, *tail) + 3, "s": 2.5}
    nodes = {
        "Mul Add": [node("Mul", "h p", "i"), node("Add", "i q", "y")],
        "Sub Div": [node("Sub", "h p", "i"), node("Div", "i q", "y")],
        "Add Mul Sub": [node("Add", "p h", "i"), node("Mul", "q i", "j"), node("Sub", "j s", "y")],
        "scalar": [node("Mul", "h s", "i"), node("Add", "s i", "y")],
        "from the left": [node("Sub", "p h", "i"), node("Neg", "i", "y")],
    }[spelling]
    canonical = check(model([layer, *nodes], {"x": shape}, "y", {**constants, **c}))
    assert len(canonical.graph) == 1


BEFORE = {name: case for name, case in LINEAR.items() if "Transpose" not in name}


@pytest.mark.parametrize("kind", BEFORE)
def test_folds_into_the_layer_behind(kind: str) -> None:
    layer, constants, shape, _ = BEFORE[kind]
    tail = (1,) * (len(shape) - 2)
    inner = type(layer)()
    inner.CopyFrom(layer)
    inner.input[0], inner.output[0] = "n", "y"
    c = {"mean": random(1, 4, *tail), "std": random(4, *tail) + 3}
    nodes = [node("Sub", "x mean", "i"), node("Div", "i std", "n"), inner]
    canonical = check(model(nodes, {"x": shape}, "y", {**constants, **c}))
    assert len(canonical.graph) == 1


def test_a_shift_does_not_pass_padding() -> None:
    nodes = [
        node("Sub", "x mean", "i"), node("Div", "i std", "n"), node("Conv", "n w", "y", pads=[1, 1, 1, 1]),
    ]  # fmt: skip
    constants = {"mean": random(1, 3, 1, 1), "std": random(3, 1, 1) + 3, "w": random(4, 3, 3, 3)}
    check(model(nodes, {"x": (1, 3, 6, 6)}, "y", constants), ["Add", "Conv"])


def test_a_scale_passes_padding() -> None:
    nodes = [node("Div", "x c", "n"), node("Conv", "n w", "y", pads=[1, 1, 1, 1])]
    check(model(nodes, {"x": (1, 3, 6, 6)}, "y", {"c": 255.0, "w": random(4, 3, 3, 3)}), ["Conv"])


def test_a_shift_stays_before_a_transposed_convolution() -> None:
    nodes = [node("Mul", "x s", "i"), node("Add", "i t", "n"), node("ConvTranspose", "n w", "y", strides=[2, 2])]
    constants = {"s": random(4, 1, 1), "t": random(4, 1, 1), "w": random(4, 3, 2, 2)}
    check(model(nodes, {"x": (1, 4, 5, 5)}, "y", constants), ["Conv", "ConvTranspose"])


def test_what_others_see_is_not_folded() -> None:
    nodes = [node("Conv", "x w", "h"), node("BatchNormalization", f"h {BN}", "y"), node("Relu", "h", "z")]
    canonical = check(model(nodes, {"x": (1, 3, 6, 6)}, "y z", {"w": random(4, 3, 3, 3), **norm(4)}))
    assert op_types(canonical) == ["Conv", "Conv", "Relu"]


def test_an_output_between_keeps_its_value() -> None:
    nodes = [node("Conv", "x w", "h"), node("Mul", "h s", "y")]
    check(model(nodes, {"x": (1, 3, 6, 6)}, "h y", {"w": random(4, 3, 3, 3), "s": 2.0}), ["Conv", "Mul"])


def test_shared_weights_are_scaled_once_each() -> None:
    nodes = [
        node("Conv", "x w", "h"), node("BatchNormalization", f"h {BN}", "a"), node("Conv", "a w", "i"),
        node("BatchNormalization", "i zg zb zm zv", "y"),
    ]  # fmt: skip
    canonical = check(
        model(nodes, {"x": (1, 4, 9, 9)}, "y", {"w": random(4, 4, 3, 3), **norm(4), **norm(4, "z")}), ["Conv", "Conv"]
    )
    assert len({step.inputs[1].name for step in canonical.graph if step.inputs[1] is not None}) == 2


@pytest.mark.parametrize(
    ("shape", "ops"),
    [((1, 5, 6, 6), ["Conv"]), ((1, 5, 6), ["Conv"]), ((2, 5), ["Mul", "Add"]), ((1, 5, 2, 3, 2), ["Mul", "Add"])],
)
def test_batch_normalization_alone(shape: tuple[int, ...], ops: list[str]) -> None:
    nodes = [node("Relu", "x", "h"), node("BatchNormalization", f"h {BN}", "k", epsilon=0.01), node("Tanh", "k", "y")]
    canonical = check(model(nodes, {"x": shape}, "y", norm(5)), ["Relu", *ops, "Tanh"])
    if ops == ["Conv"]:
        assert canonical.graph[1].attributes["group"].value == 5


def test_before_an_activation_before_a_layer() -> None:
    nodes = [
        node("BatchNormalization", f"x {BN}", "h"), node("Relu", "h", "r"), node("Conv", "r w", "k", pads=[1] * 4),
        node("BatchNormalization", "k zg zb zm zv", "y"),
    ]  # fmt: skip
    constants = {**norm(3), **norm(6, "z"), "w": random(6, 3, 3, 3)}
    check(model(nodes, {"x": (1, 3, 6, 6)}, "y", constants), ["Conv", "Relu", "Conv"])


@pytest.mark.parametrize(
    ("shape", "steps", "ops"),
    [
        ((1, 4, 5, 5), "x*p+q", ["Conv"]),
        ((1, 4, 5, 5), "x*s+s", ["Conv"]),
        ((1, 4, 5, 5), "x*s*s", ["Mul"]),
        ((1, 4, 5, 5), "x+p+q", ["Add"]),
        ((1, 4, 5), "x*p+q", ["Conv"]),
        ((1, 4, 5), "x*s+s", ["Mul", "Add"]),
        ((3, 4), "x*p+q", ["Mul", "Add"]),
        ((1, 4, 5, 5), "x-p", ["Add"]),
        ((1, 4, 5, 5), "x/q", ["Mul"]),
    ],
)
def test_alone(shape: tuple[int, ...], steps: str, ops: list[str]) -> None:
    tail = (1,) * (len(shape) - 2)
    constants = {"p": random(4, *tail), "q": random(1, 4, *tail) + 3, "s": 1.5}
    names = {"*": "Mul", "+": "Add", "-": "Sub", "/": "Div"}
    nodes = [
        node(
            names[steps[i]], f"{'x' if i == 1 else f'h{i - 2}'} {steps[i + 1]}", "y" if i + 2 == len(steps) else f"h{i}"
        )
        for i in range(1, len(steps), 2)
    ]
    check(model(nodes, {"x": shape}, "y", constants), ops)


@pytest.mark.parametrize("constant", [(6, 6), (1, 4, 6, 6), (6, 1), (2, 4, 1, 1)])
def test_numbers_that_are_not_per_channel_stay(constant: tuple[int, ...]) -> None:
    nodes = [node("Conv", "x w", "h"), node("Mul", "h c", "y")]
    check(model(nodes, {"x": (1, 3, 6, 6)}, "y", {"w": random(4, 3, 1, 1), "c": random(*constant)}), ["Conv", "Mul"])


def test_a_sequence_as_long_as_its_features_is_not_a_map() -> None:
    nodes = [node("MatMul", "x w", "h"), node("Mul", "h p", "i"), node("Add", "i q", "y")]
    constants = {"w": random(4, 4), "p": random(4), "q": random(4)}
    check(model(nodes, {"x": (1, 4, 4)}, "y", constants), ["Reshape", "Gemm", "Reshape"])


@given(
    kind=st.sampled_from([*LINEAR]),
    before=st.lists(st.sampled_from(["Mul", "Add", "Sub", "Div"]), max_size=2),
    behind=st.lists(st.sampled_from(["Mul", "Add", "Sub", "Div", "Relu"]), max_size=3),
    padded=st.booleans(), left=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_any_chain_around_a_layer(
    kind: str, before: list[str], behind: list[str], padded: bool, left: bool, seed: int
) -> None:
    layer, constants, shape, channels = LINEAR[kind]
    rng, tail = np.random.default_rng(seed), (1,) * (len(shape) - 2)
    inner = type(layer)()
    inner.CopyFrom(layer)
    if padded and layer.op_type == "Conv":
        inner.attribute.append(node("Conv", "x", "y", pads=[1] * (2 * len(tail))).attribute[0])
    steps = [*before, inner, *behind, "Identity"]
    nodes, current, extra = [], "x", {}
    for index, step in enumerate(steps):
        result = "y" if index + 1 == len(steps) else f"h{index}"
        if not isinstance(step, str):
            step.input[0], step.output[0] = current, result
            nodes.append(step)
        elif step in ("Relu", "Identity"):
            nodes.append(node(step, current, result))
        else:
            size = () if rng.integers(3) == 0 else (4 if index < len(before) else channels, *tail)
            extra[f"c{index}"] = (rng.uniform(0.5, 2, size) * rng.choice([-1, 1])).astype(np.float32)
            swapped = left and step in ("Mul", "Add", "Sub")
            nodes.append(node(step, f"c{index} {current}" if swapped else f"{current} c{index}", result))
        current = result
    check(model(nodes, {"x": shape}, "y", {**constants, **extra}))
