"""Ten small networks that are easily computed wrongly, silently: on every family of chips, in both widths.

Inputs, weights, biases and other constants are multiples of a power of two that their formats hold exactly. So all the
error there is comes from rounding results, and each network states how much that can be, in steps of the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest

import tinsmith
from tests.e2e.nets.build import Array, Net
from tests.e2e.test_small_models import floats
from tinsmith.espdl import decode, encode
from tinsmith.quantized import Quantized

TARGETS = ("esp32s3", "esp32p4", "c")


def grid(*shape: int, step: float = 2.0**-7, most: int = 127, seed: int = 0) -> Array:
    """Multiples of a step, up to 127 of them: int8 holds them exactly."""
    return (np.random.default_rng(seed).integers(-most, most + 1, shape) * step).astype(np.float32)


def samples(model: onnx.ModelProto, count: int = 6) -> dict[str, Array]:
    """Inputs on the grid of exponent -5, the extremes included."""
    found = {}
    for index, source in enumerate(model.graph.input):
        shape = [dim.dim_value for dim in source.type.tensor_type.shape.dim]
        data = grid(count, *shape[1:], step=2.0**-5, seed=10 + index)
        data.reshape(count, -1)[:, :2] = (-127 / 32, 127 / 32)
        found[source.name] = data
    return found


def step_of(quantized: Quantized, name: str) -> float:
    """The real number that one step of a value is."""
    return float(2.0 ** quantized.program.values[name].exponent)


def run(model: onnx.ModelProto, target: str, bits: int) -> tuple[Quantized, dict[str, Array]]:
    """The quantized network, and |chip - float| for each output; file, definition and compiled form agree."""
    data = samples(model)
    quantized = tinsmith.quantize(model, data, target, bits=bits, calibration="minmax")
    program = quantized.program
    assert decode(encode(program)) == program
    found = tinsmith.simulate(program, data)
    defined = tinsmith.simulate(program, {name: array[:2] for name, array in data.items()}, compiled=False)
    for name, array in defined.items():
        np.testing.assert_array_equal(found[name][:2], array)
    expected, real = floats(model, data), tinsmith.dequantize(program, found)
    return quantized, {name: np.abs(real[name].astype(np.float64) - array) for name, array in expected.items()}


Bound = Callable[[Quantized], float]


@dataclass(frozen=True)
class Trap:
    """A network, and the largest error rounding can make in its first output, in real numbers.

    `holds` names the node that makes it a trap, where a rewrite could remove it.
    """

    model: onnx.ModelProto
    bound: Bound
    holds: str = ""

    @classmethod
    def steps(cls, model: onnx.ModelProto, count: float) -> Trap:
        """An error of so many steps of the output."""
        name = model.graph.output[0].name
        return cls(model, lambda quantized: count * step_of(quantized, name))


def conv(n: Net, x: str, channels: int, filters: int, kernel: int = 3, **attributes: Any) -> str:
    """A convolution on the grid."""
    group = attributes.get("group", 1)
    w, b = grid(filters, channels // group, kernel, kernel, seed=1), grid(filters, step=2.0**-6, seed=2)
    return str(n.op("Conv", x, n.const(w), n.const(b), **attributes))


def channelwise_constant() -> Trap:
    """A constant along the channels of a map as high as it has channels; the map is an output, so it stays a Mul."""
    n = Net("channelwise", x=(1, 4, 10, 10))
    h = conv(n, "x", 4, 8)
    factors = np.float32([0.5, -1, 0.25, 1.5, -0.75, 1, 0.125, -1.25]).reshape(1, 8, 1, 1)
    y = n.op("Mul", h, n.const(factors))

    def bound(quantized: Quantized) -> float:
        return 0.5 * step_of(quantized, y) + 0.5 * 1.5 * step_of(quantized, h)

    return Trap(n.model(y, h), bound, "Mul")


def two_exponents() -> Trap:
    """One value is added to a small and to a large one: it must arrive in the exponent of each sum."""
    n = Net("two_exponents", x=(1, 4, 6, 6))
    h = conv(n, "x", 4, 8)
    small, large = n.const(grid(1, 8, 1, 1, seed=5)), n.const(grid(1, 8, 1, 1, step=64.0, seed=6))
    y, z = n.op("Add", n.op("Tanh", h), n.op("Mul", h, small)), n.op("Add", h, n.op("Mul", h, large))

    def bound(quantized: Quantized) -> float:
        # h, tanh(h) and the product are rounded; both operands may be requantized once more.
        return 2.5 * step_of(quantized, y) + 2 * step_of(quantized, h)

    return Trap(n.model(y, z), bound, "RequantizeLinear")


def large_bias() -> Trap:
    """At the exponent that weights alone would choose, the bias needs 27 bits."""
    n = Net("large_bias", x=(1, 4, 6, 6))
    w, b = grid(16, 4, 3, 3, step=2.0**-14, seed=1), np.float32([100, -60, 40, 7] * 4)
    return Trap.steps(n.model(n.op("Conv", "x", n.const(w), n.const(b))), 2.0)


def dead_channel() -> Trap:
    """A filter of zeros has no exponent of its own."""
    n = Net("dead_channel", x=(1, 4, 6, 6))
    w, b = grid(17, 4, 3, 3, seed=1), grid(17, step=2.0**-6, seed=2)
    w[[0, 16]] = 0
    return Trap.steps(n.model(n.op("Conv", "x", n.const(w), n.const(b))), 0.5)


def grouped() -> Trap:
    n = Net("grouped", x=(1, 32, 5, 5))
    return Trap.steps(n.model(n.op("Relu", conv(n, "x", 32, 48, group=4))), 0.5)


def resized(mode: str, roundings: int) -> Trap:
    """Twice as large; the weights of linear interpolation are quarters."""
    n = Net("resized", x=(1, 3, 5, 6))
    return Trap.steps(n.model(n.op("Resize", "x", "", n.const([1, 1, 2, 2]), mode=mode)), 0.5 * roundings)


def ceil_max() -> Trap:
    n = Net("ceil_max", x=(1, 16, 8, 8))
    return Trap.steps(n.model(n.op("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)), 0.0)


def ceil_average() -> Trap:
    """The last windows hold six and four of nine elements: their means are the pool's, times 1.5 and 2.25."""
    n = Net("ceil_average", x=(1, 16, 8, 8))
    y = n.op("AveragePool", "x", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)

    def bound(quantized: Quantized) -> float:
        (mean,) = (node.outputs[0] for node in quantized.program.nodes if node.op_type == "AveragePool")
        # One millionth for the float32 of the runtime, which decides at ties.
        return 0.5 * step_of(quantized, y) + 0.5 * 2.25 * step_of(quantized, mean) + 1e-6

    return Trap(n.model(y), bound)


def padded_average() -> Trap:
    """Padding that does not count."""
    n = Net("padded_average", x=(1, 16, 8, 8))
    y = n.op("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1])

    def bound(quantized: Quantized) -> float:
        (mean,) = (node.outputs[0] for node in quantized.program.nodes if node.op_type == "AveragePool")
        return 0.5 * step_of(quantized, y) + 0.5 * 2.25 * step_of(quantized, mean) + 1e-6

    return Trap(n.model(y), bound)


def dilated_max(stride: int) -> Trap:
    n = Net("dilated_max", x=(1, 16, 9, 9))
    attributes: dict[str, Any] = {"kernel_shape": [3, 3], "dilations": [2, 2], "strides": [stride] * 2}
    return Trap.steps(n.model(n.op("MaxPool", "x", pads=[1, 1, 1, 1], **attributes)), 0.0)


def multiplied(channels: int) -> Trap:
    n = Net("multiplied", x=(1, channels, 6, 6))
    return Trap.steps(n.model(conv(n, "x", channels, 2 * channels, group=channels)), 0.5)


def multiplied_then_mixed() -> Trap:
    """The order of the channels goes into the weights of the convolution behind."""
    n = Net("mixed", x=(1, 16, 6, 6))
    h = n.op("Relu", conv(n, "x", 16, 32, group=16))
    y = n.op("Conv", h, n.const(grid(8, 32, 1, 1, step=2.0**-7, seed=4)))

    def bound(quantized: Quantized) -> float:
        inner = max(step_of(quantized, node.outputs[0]) for node in quantized.program.nodes if node.op_type == "Concat")
        return 0.5 * step_of(quantized, y) + 0.5 * inner * 32 * 127 / 128

    return Trap(n.model(y), bound)


TRAPS: dict[str, Callable[[], Trap]] = {
    "constant operand after a Conv": channelwise_constant,
    "a value that serves two exponents": two_exponents,
    "bias beyond 20 bits": large_bias,
    "all-zero weight channel": dead_channel,
    "grouped Conv": grouped,
    "nearest Resize": lambda: resized("nearest", 0),
    "linear Resize": lambda: resized("linear", 2),
    "MaxPool with ceil_mode": ceil_max,
    "AveragePool with ceil_mode": ceil_average,
    "AveragePool without its padding": padded_average,
    "dilated MaxPool": lambda: dilated_max(1),
    "dilated MaxPool with stride": lambda: dilated_max(2),
    "depthwise multiplier 2": lambda: multiplied(16),
    "depthwise multiplier 2 of few channels": lambda: multiplied(3),
    "depthwise multiplier 2 before a Conv": multiplied_then_mixed,
}


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", TRAPS)
def test_rounding_is_all_that_differs(name: str, bits: int) -> None:
    for target in TARGETS:
        trap = TRAPS[name]()
        quantized, errors = run(trap.model, target, bits)
        y = trap.model.graph.output[0].name
        assert not trap.holds or any(node.op_type == trap.holds for node in quantized.program.nodes)
        assert float(errors[y].max()) <= trap.bound(quantized), f"{target}: {errors[y].max() / step_of(quantized, y)}"


def softmax(factor: float) -> onnx.ModelProto:
    n = Net("softmax", x=(1, 10))
    return n.model(n.op("Softmax", n.op("Mul", "x", n.const(np.float32(factor))), axis=-1))


@pytest.mark.parametrize("target", TARGETS)
def test_softmax_of_large_input(target: str) -> None:
    """The int8 kernel subtracts no maximum: up to 63.5 is right, beyond it int16 computes it, asked for or not."""
    for factor, bits, wide in ((8, 8, False), (16, 8, False), (64, 8, True), (64, 16, True)):
        quantized, errors = run(softmax(factor), target, bits)
        (softmaxes,) = {
            quantized.placement[n.name].precision for n in quantized.network.nodes if n.op_type == "Softmax"
        }
        assert softmaxes == ("int16" if wide else "int8")
        assert any("runs in int16" in note for note in quantized.notes) == (wide and bits == 8)
        step = max(step_of(quantized, node.inputs[0]) for node in quantized.program.nodes if node.op_type == "Softmax")
        # No probability changes by more than half of what a logit does.
        (error,) = errors.values()
        assert float(error.max()) <= 0.5 * 0.5 * step + 1e-6
