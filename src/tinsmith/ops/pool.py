"""MaxPool, AveragePool and GlobalAveragePool, over one or two dimensions (arithmetic §5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinsmith.ops.base import INTEGER, Cost, Operator, Reuse, constraint, free_ports, move_ports
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import FLOAT32, FLOAT64, Emit, NotExpressible
from tinsmith.ops.floatmath import Float32
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import spatial
from tinsmith.ops.linear_work import pooling
from tinsmith.ops.lowering import Lowering
from tinsmith.ops.movers import same_format
from tinsmith.ops.passage import channelwise
from tinsmith.ops.places import common_layout
from tinsmith.ops.values import narrow_sum, power, rounded
from tinsmith.ops.windows import Walk, declared_walk, float_walk, program_walk, trouble, windows
from tinsmith.targets import Target, Version

EXACT = 2.0**24
FLOATS_SINCE = Version(3, 3, 0)


def max_pool(call: Call) -> Sequence[Array]:
    """The largest element of each window; padding takes no part."""
    x = call.arg(0).data
    lowest = -np.inf if call.is_float else int(np.iinfo(x.dtype).min)
    return [windows(x, program_walk(call), lowest).max(axis=tuple(range(-(x.ndim - 2), 0)))]


def walk_of(call: Call) -> Walk:
    """The node's own walk, or one window over everything for global pools."""
    if call.node.op_type != "GlobalAveragePool":
        return program_walk(call)
    lengths = call.arg(0).data.shape[1:-1]
    return Walk(lengths, (1,) * len(lengths), (0,) * len(lengths), (0,) * len(lengths))


def mean_scale(call: Call, area: int) -> np.float32:
    """``f32(f32(2**e_in) · f32(1/area)) · f32(2**-e_out)``."""
    share = np.float32(1) / np.float32(area)
    return share if call.is_float else power(call.arg(0).exponent) * share * power(-call.out.exponent)


def average_pool(call: Call) -> Sequence[Array]:
    """``sat(R(f32(f32(S) · scale)))``, S the exact sum; padding counts, the area is always the whole window."""
    x, walk = call.arg(0).data, walk_of(call)
    scale = mean_scale(call, walk.area)
    if call.is_float:
        with np.errstate(all="ignore"):
            return [_sequential_sum(windows(x, walk, 0.0)) * scale]
    total = windows(x.astype(np.int64), walk, 0).sum(axis=tuple(range(-(x.ndim - 2), 0)))
    return [rounded(call, total.astype(np.float32) * scale)]


def _sequential_sum(view: Array) -> Float32:
    """Sum over the window, one element after the other in float32."""
    flat = view.reshape(*view.shape[: view.ndim // 2 + 1], -1)
    result: Float32 = np.cumsum(flat, axis=-1, dtype=np.float32)[..., -1]
    return result


def pool_shape(call: Call) -> Sequence[tuple[int, ...]]:
    """(N, outputs…, C)."""
    shape = call.arg(0).data.shape
    return [(shape[0], *walk_of(call).outputs(shape[1:-1]), shape[-1])]


def emit_max_pool(e: Emit) -> None:
    """MaxPool itself: whole numbers are compared exactly."""
    walk, lengths = program_walk(e.call), e.call.arg(0).data.shape[1:-1]
    outside = any(max(b, end) >= k for b, end, k in zip(walk.begins, walk.ends, walk.kernel, strict=True))
    if e.call.is_float or outside or "beside" in (trouble(lengths, walk) or ""):
        raise NotExpressible("ONNX Runtime has no such window")
    pooled = e.op("MaxPool", e.x(0, "first"), kernel_shape=walk.kernel, strides=walk.strides, pads=walk.pads)
    e.give(pooled, layout="first")


def emit_average_pool(e: Emit) -> None:
    """Sums of whole numbers, exact in float32 below 2**24 or in float64; then the runtime's own float32 steps."""
    walk, shape = walk_of(e.call), e.call.arg(0).data.shape
    if e.call.is_float:
        raise NotExpressible("float sums depend on their order")
    exact = 2.0 ** (e.call.bits - 1) * walk.area <= EXACT
    layout = common_layout(e)
    if walk.kernel == shape[1:-1] and not any(walk.pads):
        axes = e.constant(range(1, len(shape) - 1) if layout == "file" else range(2, len(shape)), np.int64)
        x = e.x(0, layout) if exact else e.op("Cast", e.x(0, layout), to=FLOAT64)
        total = e.op("ReduceSum", x, axes, keepdims=1)
        total = total if exact else e.op("Cast", total, to=FLOAT32)
    elif exact:
        layout = "first"
        ones = e.constant(np.ones((shape[-1], 1, *walk.kernel)), np.float32)
        steps, pads = walk.strides, walk.pads
        total = e.op("Conv", e.x(0, layout), ones, group=shape[-1], kernel_shape=walk.kernel, strides=steps, pads=pads)
        # Keeps ONNX Runtime from multiplying the scale into the ones.
        total = e.op("Clip", total, e.scalar(-EXACT), e.scalar(EXACT))
    else:
        raise NotExpressible("its sums do not fit float32")
    scaled = e.op("Mul", total, e.scalar(float(mean_scale(e.call, walk.area))))
    e.give(e.quantized(scaled), layout=layout)


def lower_max_pool(call: Lowering) -> None:
    """`ceil_mode` becomes padding at the end, which a maximum does not see."""
    walk = float_walk(call.node)
    ones = (1,) * len(walk.kernel)
    call.emit([call.name(0)], attributes={**_attributes(walk), "dilations": ones})


def lower_average_pool(call: Lowering) -> None:
    """The constraints leave only walks in which padding counts."""
    call.emit([call.name(0)], attributes={**_attributes(float_walk(call.node)), "count_include_pad": 1})


def _attributes(walk: Walk) -> dict[str, int | tuple[int, ...]]:
    return {"ceil_mode": 0, "kernel_shape": walk.kernel, "pads": walk.pads, "strides": walk.strides}


def pool_cost(node: FloatNode) -> Cost:
    """Additions or comparisons: one per element of every window."""
    area = np.prod(node.integers("kernel_shape", node.input(0).shape[2:]), dtype=np.int64)
    return Cost(int(area * np.prod(node.outputs[0].shape, dtype=np.int64)), "pool")


@constraint
def one_or_two_dimensions(node: FloatNode, target: Target) -> bool:
    """The runtime pools over one or two dimensions; pool over the others in a node of their own."""
    return node.input(0).rank in (3, 4)


def only_padding(node: FloatNode) -> bool:
    """Whether a window holds no element of the input."""
    if node.input(0).rank not in (3, 4):
        return False
    walk = declared_walk(node)
    dilations = node.integers("dilations", (1,) * len(walk.kernel))
    rows = zip(
        node.input(0).shape[2:],
        node.outputs[0].shape[2:],
        walk.kernel,
        walk.strides,
        dilations,
        walk.begins,
        strict=True,
    )
    for n, out, k, s, d, b in rows:
        taps = np.arange(out)[:, None] * s - b + np.arange(k) * d
        if not np.all(np.any((taps >= 0) & (taps < n), axis=1)):
            return True
    return False


@constraint
def holds_elements(node: FloatNode, target: Target) -> bool:
    """A window holds padding only: it has no largest element and no mean. Pad less, or use a smaller dilation."""
    return not only_padding(node)


@constraint
def no_dilations(node: FloatNode, target: Target) -> bool:
    """The runtime ignores `dilations` of pools; use dilation 1."""
    return only_padding(node) or all(d == 1 for d in node.integers("dilations", ()))


@constraint
def no_indices(node: FloatNode, target: Target) -> bool:
    """The runtime gives no indices of the largest elements; drop the second output."""
    return len(node.outputs) == 1


@constraint
def walkable(node: FloatNode, target: Target) -> bool:
    """The kernels get windows wrong that stick out on both sides of the input.

    Use a window no longer than the input, or put a Pad node in front.
    """
    if node.input(0).rank not in (3, 4) or only_padding(node):
        return True
    return trouble(node.input(0).shape[2:], float_walk(node)) is None


@constraint
def padding_counts(node: FloatNode, target: Target) -> bool:
    """The runtime always divides by the whole window, padding included.

    Export with count_include_pad=True and ceil_mode=False, or without padding.
    """
    if node.input(0).rank not in (3, 4) or only_padding(node):
        return True
    declared, needed = declared_walk(node), float_walk(node)
    return declared == needed and (node.integer("count_include_pad", 0) == 1 or not any(declared.pads))


def walkable_rule(call: Call) -> str | None:
    """Shapes and attributes the kernels get wrong."""
    dilations: tuple[int, ...] = call.attr("dilations", ())
    if any(d != 1 for d in dilations) or call.attr("ceil_mode", 0):
        return "the runtime reads neither `dilations` nor `ceil_mode`."
    found = trouble(call.arg(0).data.shape[1:-1], program_walk(call))
    return None if found is None else f"{found}, which the kernels get wrong."


@constraint
def one_sample(node: FloatNode, target: Target) -> bool:
    """The runtime pools one sample; use a batch of 1, or merge the samples into the first spatial dimension."""
    return node.input(0).shape[0] == 1


def one_sample_rule(call: Call) -> str | None:
    """The kernels walk through the first sample only."""
    count = call.arg(0).data.shape[0]
    return None if count == 1 else f"it pools {count} samples, and the kernels walk through the first one only."


def padding_counts_rule(call: Call) -> str | None:
    """The kernels divide by the whole window."""
    if call.attr("count_include_pad", 0) == 1 or not any(program_walk(call).pads):
        return None
    return "the kernels divide by the whole window: padding counts, though the file says count_include_pad = 0."


def sum_fits(call: Call) -> str | None:
    """The kernels sum up a window in 32 bits."""
    return narrow_sum(call, walk_of(call).area)


OPERATORS = (
    Operator(
        "MaxPool",
        max_pool,
        emit_max_pool,
        shape=pool_shape,
        types=INTEGER,
        ports=move_ports,
        layout=spatial,
        lower=lower_max_pool,
        constraints=(one_or_two_dimensions, one_sample, holds_elements, no_dilations, no_indices, walkable),
        rules=(one_sample_rule, walkable_rule, same_format),
        cost=pool_cost,
        passage=channelwise,
        passive=True,
        reuse=Reuse.NONE,
        work=pooling(lambda call: walk_of(call).kernel),
    ),
    Operator(
        "AveragePool",
        average_pool,
        emit_average_pool,
        shape=pool_shape,
        float_since=FLOATS_SINCE,
        ports=free_ports,
        layout=spatial,
        lower=lower_average_pool,
        constraints=(one_or_two_dimensions, one_sample, holds_elements, no_dilations, walkable, padding_counts),
        rules=(one_sample_rule, walkable_rule, padding_counts_rule, sum_fits),
        cost=pool_cost,
        passage=channelwise,
        reuse=Reuse.NONE,
        work=pooling(lambda call: walk_of(call).kernel),
    ),
    Operator(
        "GlobalAveragePool",
        average_pool,
        emit_average_pool,
        shape=pool_shape,
        float_since=FLOATS_SINCE,
        ports=free_ports,
        layout=spatial,
        constraints=(one_or_two_dimensions, one_sample),
        rules=(one_sample_rule, sum_fits),
        cost=pool_cost,
        passage=channelwise,
        reuse=Reuse.NONE,
        work=pooling(lambda call: walk_of(call).kernel),
    ),
)
