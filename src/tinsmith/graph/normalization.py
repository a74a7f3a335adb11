"""Normalizations as the runtime has them, and writing one into a graph."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import Array, Attribute, add_constant, graph_of, insert, shape_of, swap

SMALLEST_EPSILON = 1e-12
"""Instead of none: the runtime divides by the root."""
_EXACT = 1e-6
Kind = Literal["layer", "rms", "l1"]
_Attributes = dict[str, Attribute]
_Step = tuple[str, list[ir.Value], tuple[int, ...], _Attributes]


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """A normalization.

    Attributes:
        kind: Which.
        axes: The axes normalized together, ascending.
        epsilon: Added to the variance or mean square.
        scale: γ, of the shape of the axes.
        shift: β, likewise.
    """

    kind: Kind
    axes: tuple[int, ...]
    epsilon: float
    scale: Array
    shift: Array


def normalized(x: Array, kind: Kind, axes: tuple[int, ...], epsilon: float) -> Array:
    """The normalization of x without γ and β, by the mean of magnitudes where it is "l1"."""
    if kind == "l1":
        return np.asarray(x / (np.abs(x).mean(axes, keepdims=True) + epsilon))
    centred = x - x.mean(axes, keepdims=True) if kind == "layer" else x
    return np.asarray(centred / np.sqrt(np.square(centred).mean(axes, keepdims=True) + epsilon))


def write(node: ir.Node, source: ir.Value, norm: Norm) -> None:
    """Puts a normalization of ``source``, which has the same shape, in the place of a node."""
    axes = tuple(axis for axis in norm.axes if shape_of(source)[axis] > 1) or norm.axes[-1:]
    kept = [shape_of(source)[axis] for axis in axes]
    norm = replace(norm, axes=axes, scale=norm.scale.reshape(kept), shift=norm.shift.reshape(kept))
    power = {"l1": 1, "rms": 2}.get(norm.kind)
    usual = norm.scale * (norm.scale.size if power == 1 else math.sqrt(norm.scale.size))
    pure = (
        norm.epsilon <= SMALLEST_EPSILON and len(norm.axes) == 1 and bool(np.ptp(usual) <= _EXACT * np.abs(usual).max())
    )
    if power == 1 or (power == 2 and pure):
        steps = _lp_steps(node, source, norm, power, usual)
    else:
        steps = _root_steps(node, source, norm)
    value = source
    for op_type, more, shape, attributes in steps[:-1]:
        value = insert(node, op_type, [value, *more], shape, attributes, name=f"{node.name or op_type}.{op_type}")
    op_type, more, _, attributes = steps[-1]
    swap(node, op_type, [value, *more], attributes)


def _root_steps(node: ir.Node, x: ir.Value, norm: Norm) -> list[_Step]:
    """LayerNormalization or RMSNormalization over the last axes, Transposes around where they are others."""
    shape = shape_of(x)
    others = [axis for axis in range(len(shape)) if axis not in norm.axes]
    perm = (*others, *norm.axes)
    moved = tuple(shape[axis] for axis in perm)
    layer, shifts = norm.kind == "layer", not _is(norm.shift, 0.0)
    parameters = [_constant(node, norm.scale, "scale")]
    shift = [_constant(node, norm.shift, "bias")] if shifts else []
    attributes: _Attributes = {"axis": len(others), "epsilon": max(norm.epsilon, SMALLEST_EPSILON)}
    if layer:
        steps: list[_Step] = [("LayerNormalization", [*parameters, *shift], moved, attributes)]
    else:
        steps = [("RMSNormalization", parameters, moved, attributes)]
        steps += [("Add", shift, moved, {})] if shifts else []
    if perm != tuple(range(len(shape))):
        back = tuple(int(place) for place in np.argsort(perm))
        steps = [("Transpose", [], moved, {"perm": perm}), *steps, ("Transpose", [], shape, {"perm": back})]
    return steps


def _lp_steps(node: ir.Node, x: ir.Value, norm: Norm, power: int, scale: Array) -> list[_Step]:
    """LpNormalization, which has neither γ nor β."""
    shape = shape_of(x)
    column = [-1 if axis in norm.axes else 1 for axis in range(len(shape))]
    steps: list[_Step] = [("LpNormalization", [], shape, {"axis": norm.axes[0], "p": power})]
    if not _is(scale, 1.0):
        steps.append(("Mul", [_constant(node, scale.reshape(column), "scale")], shape, {}))
    if not _is(norm.shift, 0.0):
        steps.append(("Add", [_constant(node, norm.shift.reshape(column), "bias")], shape, {}))
    return steps


def _is(array: Array, number: float) -> bool:
    return bool(np.all(np.abs(array - number) <= _EXACT))


def _constant(node: ir.Node, array: Array, name: str) -> ir.Value:
    return add_constant(graph_of(node), array.astype(np.float32), f"{node.name}.{name}")
