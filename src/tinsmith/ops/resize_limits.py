"""What the runtime's Resize cannot do, or would do otherwise than the float network means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinsmith.ops.base import constraint
from tinsmith.ops.call import Call
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.resize_positions import (
    MODES,
    Stretch,
    close,
    float_stretches,
    is_linear,
    nearest,
    positions,
    stretches_of,
)
from tinsmith.targets import Target


def _readable(node: FloatNode) -> bool:
    """Whether the other limits can be checked at all."""
    static = any(node.const(i) is not None for i in (2, 3)) and node.input(0).rank in (3, 4)
    return static and _coordinates(node) in MODES and node.text("mode", "nearest") in ("nearest", "linear")


def _coordinates(node: FloatNode) -> str:
    return node.text("coordinate_transformation_mode", "half_pixel")


def _linear(node: FloatNode) -> bool:
    return node.text("mode", "nearest") == "linear"


@constraint
def nearest_or_linear(node: FloatNode, target: Target) -> bool:
    """The runtime has the modes nearest and linear, without regions of interest and antialiasing; use one of them."""
    plain = not node.integer("antialias", 0) and not node.integer("exclude_outside", 0)
    return plain and _coordinates(node) in MODES and node.text("mode", "nearest") in ("nearest", "linear")


@constraint
def fixed_size(node: FloatNode, target: Target) -> bool:
    """Its size is computed at run time, and the chip needs it in the file; give scales or sizes as constants."""
    return any(node.const(i) is not None for i in (2, 3))


@constraint
def one_or_two_dimensions(node: FloatNode, target: Target) -> bool:
    """The runtime resizes one or two spatial dimensions, neither samples nor channels; use one Resize for each pair."""
    return node.input(0).rank in (3, 4) and node.input(0).shape[:2] == node.outputs[0].shape[:2]


@constraint
def nearest_elements(node: FloatNode, target: Target) -> bool:
    """The runtime picks element floor(i / scale), and this node means others.

    Export it with coordinate_transformation_mode=asymmetric and nearest_mode=floor, or with a whole-number factor.
    """
    if not _readable(node) or _linear(node):
        return True
    mode = _coordinates(node)
    choice = node.text("nearest_mode", "round_prefer_floor")
    return all(
        np.array_equal(nearest(positions(mode, s.length, s.result, s.scale), choice, s.length), s.nearest())
        for s in float_stretches(node)
    )


@constraint
def linear_positions(node: FloatNode, target: Target) -> bool:
    """The runtime interpolates at half_pixel or align_corners positions, and this node means others.

    Export it with one of these coordinate_transformation_modes.
    """
    if not _readable(node) or not _linear(node):
        return True
    mode = _coordinates(node)
    for s in float_stretches(node):
        left, weight = s.linear(mode == "align_corners")
        if s.length > 1 and not close(positions(mode, s.length, s.result, s.scale), left + weight, s.length):
            return False
    return True


@constraint
def linear_between_two(node: FloatNode, target: Target) -> bool:
    """The runtime interpolates between two elements, and a dimension of this node has one; use mode=nearest."""
    return not _readable(node) or not _linear(node) or min(node.input(0).shape[2:]) > 1


def unfilled(target: Target, channels: int, stretches: Sequence[Stretch]) -> bool:
    """Whether the kernel for nearest gives garbage: too few channels to fill a vector, factors other than 2 x 2."""
    minimum = target.vector_minimum
    doubled = len(stretches) == 2 and all(s.result == 2 * s.length for s in stretches)
    return minimum is not None and channels < minimum[8] and not doubled


def vectors_rule(call: Call) -> str | None:
    """Stale registers."""
    if is_linear(call) or not unfilled(call.target, call.arg(0).data.shape[-1], stretches_of(call)):
        return None
    return "with so few channels the kernel gives garbage for factors other than 2 x 2. Use at least 16 channels."


def exponent_rule(call: Call) -> str | None:
    """The rounding of other exponents is whatever the chip used last."""
    if is_linear(call) or call.arg(0).exponent == call.out.exponent:
        return None
    return (
        f"the exponents {call.arg(0).exponent} of its input and {call.out.exponent} of its output differ, and its "
        "rounding is unknown. Give both one exponent."
    )


def width_rule(call: Call) -> str | None:
    """The 16-bit Resize of the runtime is empty."""
    return (
        None
        if call.bits == 8
        else "the runtime resizes int8 only; everything else leaves the output unwritten. Requantize before it."
    )


@constraint
def one_sample(node: FloatNode, target: Target) -> bool:
    """The runtime resizes one sample; use a batch of 1."""
    return node.input(0).shape[:1] == (1,)


def one_sample_rule(call: Call) -> str | None:
    """The kernels walk through the first sample only."""
    count = call.arg(0).data.shape[0]
    return None if count == 1 else f"it resizes {count} samples, and the kernels walk through the first one only."


CONSTRAINTS = (
    nearest_or_linear,
    fixed_size,
    one_or_two_dimensions,
    one_sample,
    nearest_elements,
    linear_positions,
    linear_between_two,
)
RULES = (one_sample_rule, vectors_rule, exponent_rule, width_rule)
