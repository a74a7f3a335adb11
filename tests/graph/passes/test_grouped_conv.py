from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graph.models import Array, check, histogram, model, node

RNG = np.random.default_rng(8)


def floats(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


def grouped(
    channels: int, group: int, each: int, *, op: str = "Conv", bias: bool = True, spatial: int = 2, **attributes: Any
) -> tuple[Any, dict[str, Array], dict[str, tuple[int, ...]]]:
    """A convolution of `group` groups with `each` filters: node, constants, inputs."""
    kernel = (3,) * spatial
    shape = (group * each, channels // group, *kernel) if op == "Conv" else (channels, each, *kernel)
    constants = {"w": floats(*shape)} | ({"b": floats(group * each)} if bias else {})
    layer = node(op, "x w b" if bias else "x w", "h", name="conv", group=group, **attributes)
    return layer, constants, {"x": (1, channels, *(7, 6)[:spatial])}


def network(nodes: list[Any], inputs: Any, outputs: str, constants: dict[str, Array]) -> Any:
    """A model with those of the constants that it uses."""
    read = {name for step in nodes for name in step.input}
    return model(nodes, inputs, outputs, {name: array for name, array in constants.items() if name in read})


def tail(channels: int) -> tuple[list[Any], dict[str, Array]]:
    """Something behind it that must keep the order of the channels."""
    return [node("Mul", "h s", "y")], {"s": floats(1, channels, 1, 1)}


@given(
    group=st.sampled_from([2, 3, 4, 8]), inside=st.integers(2, 4), each=st.integers(1, 9), bias=st.booleans(),
    op=st.sampled_from(["Conv", "ConvTranspose"]), spatial=st.integers(1, 2), stride=st.integers(1, 2),
)  # fmt: skip
def test_groups(group: int, inside: int, each: int, bias: bool, op: str, spatial: int, stride: int) -> None:
    layer, constants, inputs = grouped(
        group * inside, group, each, op=op, bias=bias, spatial=spatial, strides=[stride] * spatial
    )
    canonical = check(model([layer, node("Neg", "h", "y")], inputs, "y", constants))
    assert all(step.attributes["group"].as_int() == 1 for step in canonical.graph if step.op_type == op)


@pytest.mark.parametrize(
    ("channels", "group", "each", "convolutions"),
    [(32, 2, 16, 2), (32, 4, 8, 2), (64, 32, 2, 4), (32, 2, 3, 1), (8, 2, 32, 1), (18, 3, 7, 1), (36, 9, 6, 3)],
)
def test_how_many_convolutions(channels: int, group: int, each: int, convolutions: int) -> None:
    layer, constants, inputs = grouped(channels, group, each)
    found = histogram(check(model([layer, node("Sigmoid", "h", "y")], inputs, "y", constants)))
    moving = {"Split": 1, "Concat": 1} if convolutions > 1 else {}
    assert found == {"Conv": convolutions, "Sigmoid": 1, **moving}


def test_an_activation_goes_with_the_convolutions() -> None:
    layer, constants, inputs = grouped(32, 2, 16)
    found = check(model([layer, node("Relu", "h", "r"), node("Neg", "r", "y")], inputs, "y", constants))
    assert [step.op_type for step in found.graph] == ["Split", "Conv", "Conv", "Relu", "Relu", "Concat", "Neg"]
    layer, constants, inputs = grouped(32, 2, 16)
    found = check(model([layer, node("Relu", "h", "r")], inputs, "h r", constants))
    assert histogram(found)["Relu"] == 1


@given(
    multiplier=st.integers(2, 4), channels=st.sampled_from([3, 16, 17]), bias=st.booleans(), spatial=st.integers(1, 2)
)
def test_multipliers(multiplier: int, channels: int, bias: bool, spatial: int) -> None:
    layer, constants, inputs = grouped(
        channels, channels, multiplier, bias=bias, spatial=spatial, pads=[1, 0] * spatial
    )
    canonical = check(model([layer, node("Neg", "h", "y")], inputs, "y", constants))
    groups = [step.attributes["group"].as_int() for step in canonical.graph if step.op_type == "Conv"]
    assert groups == ([1] if channels < 16 else [channels] * multiplier)


def test_the_order_of_channels_goes_into_the_layers_behind() -> None:
    layer, constants, inputs = grouped(16, 16, 2, pads=[1, 1, 1, 1])
    constants |= {"dw": floats(32, 1, 3, 3), "db": floats(32), "pw": floats(5, 32, 1, 1), "g": floats(32 * 30, 4)}
    relu, pool = node("Relu", "h", "r"), node("MaxPool", "r", "m", kernel_shape=[2, 2], strides=[1, 1])
    behind = [node("Conv", "m dw db", "d", group=32, pads=[1, 1, 1, 1]), node("Conv", "d pw", "y")]
    found = histogram(check(network([layer, relu, pool, *behind], inputs, "y", constants)))
    assert found == {"Conv": 4, "Relu": 2, "Concat": 1, "MaxPool": 1}
    flat = [node("MaxPool", "h", "m", kernel_shape=[2, 2]), node("Flatten", "m", "f"), node("MatMul", "f g", "y")]
    found = histogram(check(network([layer, *flat], inputs, "y", constants)))
    assert found == {"Conv": 2, "Concat": 1, "MaxPool": 1, "Flatten": 1, "Gemm": 1}
    mean = [node("GlobalAveragePool", "h", "m"), node("Flatten", "m", "f"), node("Gemm", "f q", "y")]
    found = histogram(check(network([layer, *mean], inputs, "y", constants | {"q": floats(32, 4)})))
    assert found == {"Conv": 2, "Concat": 1, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1}
    two = [node("Conv", "h pw", "y"), node("ConvTranspose", "h pt", "z")]
    found = histogram(check(network([layer, *two], inputs, "y z", constants | {"pt": floats(32, 2, 2, 2)})))
    assert found == {"Conv": 3, "Concat": 1, "ConvTranspose": 1}


@pytest.mark.parametrize("outputs", ["y", "y h"])
def test_where_the_order_cannot_go_anywhere_it_is_restored(outputs: str) -> None:
    layer, constants, inputs = grouped(16, 16, 2)
    nodes, scale = tail(32)
    add = node("Add", "h y", "z")
    found = histogram(check(model([layer, *nodes, add], inputs, outputs + " z", constants | scale)))
    assert found == {"Conv": 2, "Concat": 1, "Reshape": 2, "Transpose": 1, "Mul": 1, "Add": 1}


def test_what_the_runtime_has_stays() -> None:
    for channels, group, each in ((16, 1, 5), (5, 5, 1)):
        layer, constants, inputs = grouped(channels, group, each)
        (step,) = check(model([layer], inputs, "h", constants), ["Conv"]).graph
        assert step.attributes["group"].as_int() == group
    layer, constants, inputs = grouped(5, 5, 1, op="ConvTranspose")
    check(model([layer], inputs, "h", constants), ["ConvTranspose"])


def test_weights_that_are_computed_stay() -> None:
    layer = node("Conv", "x w", "y", group=2)
    check(model([layer], {"x": (1, 4, 5, 5), "w": (4, 2, 3, 3)}, "y"), ["Conv"])
