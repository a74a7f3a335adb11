"""How operators treat the order of dimensions (file format §5).

A *perm* says how the file's layout orders a tensor: ``file_shape[i] = onnx_shape[perm[i]]``. A layout rule gets a
float node and the perms in which its inputs are available, and answers with the perms it wants them in and those of
its outputs. Constants are available in any perm: rules are given None for them and answer what they want.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinsmith.ops.floatnode import FloatNode, Operand

Perm = tuple[int, ...]
LayoutRule = Callable[[FloatNode, Sequence[Perm | None]], tuple[list[Perm | None], list[Perm]]]


def identity(rank: int) -> Perm:
    """The ONNX order itself."""
    return tuple(range(rank))


def channels_last(rank: int) -> Perm:
    """NHWC, NWC; the identity below rank 3."""
    return (0, *range(2, rank), 1) if rank >= 3 else identity(rank)


def inverse(perm: Perm) -> Perm:
    """The perm that undoes ``perm``."""
    result = [0] * len(perm)
    for position, axis in enumerate(perm):
        result[axis] = position
    return tuple(result)


def moved_axis(axis: int, perm: Perm) -> int:
    """Where ONNX axis ``axis`` (negative allowed) stands in the file's layout."""
    return perm.index(axis % len(perm))


def _original(operand: Operand | None) -> Perm | None:
    return None if operand is None else identity(operand.rank)


def original(node: FloatNode, available: Sequence[Perm | None]) -> tuple[list[Perm | None], list[Perm]]:
    """Everything in the ONNX order: MatMul, Transpose, ScatterND, recurrent layers, norms and others."""
    return [_original(operand) for operand in node.inputs], [identity(operand.rank) for operand in node.outputs]


def spatial(node: FloatNode, available: Sequence[Perm | None]) -> tuple[list[Perm | None], list[Perm]]:
    """Input 0 and output 0 channels-last, other inputs untouched: convolutions, pools, Resize, depth-to-space."""
    wanted = [_original(operand) for operand in node.inputs]
    wanted[0] = channels_last(node.input(0).rank)
    return wanted, [channels_last(operand.rank) for operand in node.outputs]


def passive(node: FloatNode, available: Sequence[Perm | None]) -> tuple[list[Perm | None], list[Perm]]:
    """Input 0's perm goes through: activations, quantize operators, operators whose axis is remapped when lowered."""
    first = available[0] or identity(node.input(0).rank)
    wanted = [_original(operand) for operand in node.inputs]
    wanted[0] = first
    return wanted, [first if operand.rank == len(first) else identity(operand.rank) for operand in node.outputs]


def elementwise(node: FloatNode, available: Sequence[Perm | None]) -> tuple[list[Perm | None], list[Perm]]:
    """Binary and n-ary element-wise operators, Concat: one perm for all.

    The same perm everywhere is kept; else channels-last is preferred where any computed operand has it; computed
    operands of different rank go back to the ONNX order. Constants follow the output: their rank is padded on the left.
    """
    rank = node.outputs[0].rank
    computed = [
        perm
        for perm, operand in zip(available, node.inputs, strict=True)
        if perm is not None and operand is not None and operand.const is None
    ]
    chosen = identity(rank)
    if computed and all(len(perm) == rank for perm in computed):
        if len(set(computed)) == 1:
            chosen = computed[0]
        elif channels_last(rank) in computed:
            chosen = channels_last(rank)
    wanted: list[Perm | None] = []
    for operand in node.inputs:
        if operand is None:
            wanted.append(None)
        elif operand.const is not None or operand.rank == rank:
            wanted.append(chosen)
        else:
            wanted.append(identity(operand.rank))
    return wanted, [chosen for _ in node.outputs]
