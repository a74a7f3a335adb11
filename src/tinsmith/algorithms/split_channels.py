"""Channel split: a channel with large weights exists twice, and the layers that read it need only half the weights.

The steps of the layers' weights are set by a few large ones. A layer's channel that is computed twice is read twice,
each time with half the weights (Zhao et al., Improving Neural Network Quantization without Retraining using Outlier
Channel Splitting, 2019); or, as in the tutorials, both copies are smaller by √½ and read with weights smaller by √½, so
that the layers on both sides profit. The latter needs everything in between to pass a factor on: behind a function, or
below a ceiling such as ReLU6's, only the readers' weights are halved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinsmith.algorithms.channel_copies import AXIS, Bundle, bundle_of, channel_axis, weighted_of
from tinsmith.algorithms.layer_names import named_layers
from tinsmith.algorithms.split_layers import Extra, macs, weights_of
from tinsmith.errors import RecipeError
from tinsmith.graph.edit import Array, constant, forget_names, set_attributes, set_constant, shape_of
from tinsmith.graph.network import as_float_node
from tinsmith.ops import operators
from tinsmith.ops.passage import Passage, Weighted

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ChannelSplitOptions:
    """The options of the tutorials.

    Attributes:
        iterations: How often a channel may be doubled, copies of copies included.
        value_threshold: A channel is doubled while its largest weight is at least so large: in the layers before and
            in those behind it; where only the weights behind get smaller, in those.
        opt_level: 1: channels that no Add or Sub takes part in; 2: those as well, all branches together.
        including_bias: Whether the bias of the layers before counts as one of their weights.
        bias_multiplier: What it is multiplied by to be compared with them.
        interested_layers: Names or regular expressions of the layers that compute the channels. Empty: all.
        relative: Not of the tutorials: `value_threshold` is a share of the largest weight of the layers behind, and
            only their weights are looked at and halved.
        most: Not of the tutorials: at most so many copies per channel that there was; the largest weights first.

    Raises:
        RecipeError: A number is out of its range.
    """

    iterations: int = 10
    value_threshold: float = 0.5
    opt_level: int = 1
    including_bias: bool = False
    bias_multiplier: float = 0.5
    interested_layers: tuple[str, ...] = ()
    relative: bool = False
    most: float = np.inf

    def __post_init__(self) -> None:
        if self.opt_level not in (1, 2):
            raise RecipeError(f"{self.opt_level} is neither 1 nor 2.", subject="opt_level")
        if self.iterations < 0:
            raise RecipeError(f"{self.iterations} is negative.", subject="iterations")
        if not 0 < self.value_threshold < np.inf:
            raise RecipeError(f"{self.value_threshold} is not a number above 0.", subject="value_threshold")
        if not self.most > 0:
            raise RecipeError(f"{self.most} is not above 0.", subject="most")
        if not 0 <= self.bias_multiplier < np.inf:
            raise RecipeError(f"{self.bias_multiplier} is not a number of at least 0.", subject="bias_multiplier")


@dataclass(frozen=True, slots=True)
class DoubledChannels:
    """Channels that exist more than once.

    Attributes:
        before: Names of the layers that compute them.
        behind: Names of the layers that read them.
        channels: How many there were.
        copies: How many more there are.
        smaller: Whether the copies are smaller than the channel was, and not only read with smaller weights.
        extra: What it costs.
    """

    before: tuple[str, ...]
    behind: tuple[str, ...]
    channels: int
    copies: int
    smaller: bool
    extra: Extra


@dataclass(frozen=True, slots=True, eq=False)
class DoubledModel:
    """A model with channels doubled.

    Attributes:
        model: Canonical, the same function up to float rounding.
        doubled: What was done, in the order of the graph.
    """

    model: ir.Model
    doubled: tuple[DoubledChannels, ...]

    @property
    def extra(self) -> Extra:
        """What all of it costs."""
        return sum((one.extra for one in self.doubled), Extra(0, 0))


def split_channels(model: ir.Model, options: ChannelSplitOptions | None = None) -> DoubledModel:
    """Double channels with large weights.

    Names of nodes and values stay; shapes of values get longer. Copies stand behind the channels there were.

    Args:
        model: The canonical float model; not modified.
        options: Defaults where None.

    Raises:
        RecipeError: A name or pattern matches no layer with constant weights.
    """
    options = ChannelSplitOptions() if options is None else options
    result = model.clone()
    forget_names(result.graph)
    layers = {node.name or "": node for node in result.graph if weighted_of(node) is not None}
    chosen = named_layers(map(as_float_node, layers.values()), options.interested_layers, "interested_layers")
    doubled: list[DoubledChannels] = []
    visited: set[ir.Node] = set()
    for name, layer in layers.items():
        if layer in visited or (options.interested_layers and name not in chosen):
            continue
        bundle = bundle_of(layer)
        if bundle is None or (bundle.summed and options.opt_level < 2):
            continue
        visited.update(bundle.before)
        copies = _copies(bundle, options)
        if len(copies.sources) > copies.channels:
            doubled.append(_doubled(bundle, copies))
    forget_names(result.graph)
    return DoubledModel(result, tuple(doubled))


@dataclass(frozen=True, slots=True, eq=False)
class _Copies:
    """The channels there will be.

    Attributes:
        channels: How many there are.
        sources: The channel each is a copy of.
        factors: What each is multiplied by.
        weights: What the weights that read it are multiplied by.
        smaller: Whether copies are smaller than the channel was.
    """

    channels: int
    sources: NDArray[np.int64]
    factors: Reals
    weights: Reals
    smaller: bool


def _copies(bundle: Bundle, options: ChannelSplitOptions) -> _Copies:
    up = np.max([_before(node, weighted, options) for node, weighted in bundle.before.items()], axis=0)
    down = np.max([_sizes(node, weighted, weighted.columns) for node, weighted in bundle.behind.items()], axis=0)
    both = bundle.linear and not options.relative
    threshold = options.value_threshold * (down.max() if options.relative else 1.0)
    most = np.inf if np.isinf(options.most) else int((1 + options.most) * len(up))
    factor = np.sqrt(0.5) if both else 1.0
    sources, factors, weights = np.arange(len(up)), np.ones(len(up)), np.ones(len(up))
    for _ in range(options.iterations):
        sizes = down[sources] * weights
        large = (sizes >= threshold) & (not both or up[sources] * factors >= threshold)
        room = most - len(sources)
        if np.count_nonzero(large) > room:
            large[np.argsort(-sizes * large, kind="stable")[int(room) :]] = False
        if not large.any():
            break
        factors[large] *= factor
        weights[large] *= 0.5 / factor
        sources, factors, weights = (np.concatenate([a, a[large]]) for a in (sources, factors, weights))
    return _Copies(len(up), sources, factors, weights, both)


def _before(node: ir.Node, weighted: Weighted, options: ChannelSplitOptions) -> Reals:
    """The largest weight of each output channel."""
    found = _sizes(node, weighted, weighted.rows)
    bias = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if options.including_bias and bias is not None:
        found = np.maximum(found, np.abs(bias.reshape(-1).astype(np.float64)) * options.bias_multiplier)
    return found


def _sizes(node: ir.Node, weighted: Weighted, axis: int | None) -> Reals:
    assert axis is not None
    weights = np.abs(weights_of(node).astype(np.float64))
    found: Reals = weights.max(axis=tuple(d for d in range(weights.ndim) if d != axis))
    return found


def _doubled(bundle: Bundle, copies: _Copies) -> DoubledChannels:
    """Writes the copies into the graph."""
    weighing = (*bundle.before, *bundle.depthwise, *bundle.behind)
    before = [macs(*weighing, *bundle.between), sum(weights_of(node).size for node in weighing)]
    count = len(copies.sources)
    for node, weighted in bundle.before.items():
        _take(node, 1, weighted.rows, copies, copies.factors)
        _take_bias(node, copies)
    for node, weighted in bundle.behind.items():
        assert weighted.columns is not None
        _take(node, 1, weighted.columns, copies, copies.weights)
    for node, weighted in bundle.depthwise.items():
        _take(node, 1, weighted.rows, copies, np.ones(count))
        _take_bias(node, copies)
        set_attributes(node, {"group": count})
    for node in bundle.between:
        _between(node, copies)
    for value in bundle.values:
        shape = shape_of(value)
        value.shape = ir.Shape((*shape[:AXIS], count, *shape[AXIS + 1 :]))
    after = [macs(*weighing, *bundle.between), sum(weights_of(node).size for node in weighing)]
    return DoubledChannels(
        tuple(node.name or "" for node in bundle.before),
        tuple(node.name or "" for node in bundle.behind),
        copies.channels,
        count - copies.channels,
        copies.smaller,
        Extra(after[0] - before[0], after[1] - before[1]),
    )


def _take(node: ir.Node, index: int, axis: int, copies: _Copies, factors: Reals) -> None:
    """Copies the elements of a constant along an axis, multiplied."""
    old = constant(node.inputs[index])
    assert old is not None
    form = [1] * old.ndim
    form[axis] = -1
    elements: Array = old.take(copies.sources, axis=axis) * factors.reshape(form)
    set_constant(node, index, elements.astype(old.dtype))


def _take_bias(node: ir.Node, copies: _Copies) -> None:
    bias = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if bias is not None:
        whole = np.broadcast_to(bias, (*bias.shape[:-1], copies.channels))
        elements: Array = whole[..., copies.sources] * copies.factors
        set_constant(node, 2, elements.astype(bias.dtype))


def _between(node: ir.Node, copies: _Copies) -> None:
    """The constants of a node that treats each channel for itself: of a sum they are as large as the channel."""
    if node.op_type == "Reshape":
        set_constant(node, 1, np.array([shape_of(node.outputs[0])[0], len(copies.sources)], np.int64))
        return
    rank = len(shape_of(node.outputs[0]))
    summed = operators()[node.op_type].passage(as_float_node(node)) is Passage.SUMS
    for index, value in enumerate(node.inputs):
        old = constant(value)
        if old is None or old.dtype.kind != "f" or old.ndim > rank:
            continue
        if summed:
            whole = old.reshape((1,) * (rank - old.ndim) + old.shape)
            shape = (*whole.shape[:AXIS], copies.channels, *whole.shape[AXIS + 1 :])
            set_constant(node, index, np.broadcast_to(whole, shape))
            _take(node, index, AXIS, copies, copies.factors)
        elif (axis := channel_axis(old.shape, rank, copies.channels)) is not None:
            _take(node, index, axis, copies, np.ones(len(copies.sources)))
