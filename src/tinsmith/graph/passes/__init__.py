"""The rewrites, one a file, and their order.

A rewrite is a function ``apply(graph) -> bool`` that changes a graph in place and tells whether it did. Its module's
docstring says what it matches and why the result is right. All shapes are known before, and must be after
(`tinsmith.graph.edit` has the tools). They run in turn until none of them changes anything.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from tinsmith.graph.edit import forget_names
from tinsmith.graph.passes import (
    attention,
    average_pool,
    channel_concat,
    channel_shuffle,
    choices,
    clip,
    comparisons,
    crop_transposed,
    duplicates,
    einsum,
    explicit,
    few_dimensions,
    fold_affine_after,
    fold_affine_before,
    fold_affine_through,
    fuse_pad,
    gelu,
    gemm,
    global_pool,
    grouped_conv,
    hard_sigmoid,
    hard_swish,
    inputs,
    last_step,
    leading_ones,
    leaky,
    lp_pool,
    masks,
    matmul,
    max_pool,
    merge_affine,
    moves,
    no_ops,
    norm_operators,
    norms,
    picked,
    picked_parts,
    powers,
    prelu,
    recurrent_defaults,
    recurrent_forward,
    reductions,
    repeats,
    reshapes,
    resize,
    rotary,
    running_sums,
    scatter_elements,
    shared_constants,
    sigmoid,
    simple_rnn,
    sink_transposes,
    softmax,
    softmax_formula,
    split_linear,
    stacked,
    swish,
    transposes,
    unroll_recurrent,
    unrolled_cells,
    volume_pool,
    windows,
)

Rewrite = Callable[[ir.Graph], bool]

# Activations are recognized before the constants around them move into other layers.
PHASES: tuple[tuple[Rewrite, ...], ...] = (
    (
        inputs.apply,
        explicit.apply,  # all others read what it writes out
        unrolled_cells.apply,  # before its gates become anything else
        no_ops.apply,
        reshapes.apply,
        windows.apply,
        channel_shuffle.apply,
        channel_concat.apply,
        clip.apply,
        leaky.apply,
        norms.apply,
        norm_operators.apply,
        attention.apply,
        rotary.apply,
        einsum.apply,
        softmax.apply,
        softmax_formula.apply,
        # Before `choices` spells out what is joined by Or, and masks as products of their own numbers.
        comparisons.apply,
        masks.apply,
        sigmoid.apply,
        swish.apply,
        hard_sigmoid.apply,
        hard_swish.apply,
        gelu.apply,
        choices.apply,
        stacked.apply,
        picked.apply,
        scatter_elements.apply,
        running_sums.apply,
        duplicates.apply,
        transposes.apply,
        sink_transposes.apply,
        recurrent_defaults.apply,
        recurrent_forward.apply,
        simple_rnn.apply,
        unroll_recurrent.apply,  # what the runtime lacks even so
        last_step.apply,
        picked_parts.apply,
    ),
    (
        matmul.apply,
        gemm.apply,
        split_linear.apply,
        fold_affine_after.apply,
        fold_affine_through.apply,
        fold_affine_before.apply,
        fuse_pad.apply,
        resize.apply,
        crop_transposed.apply,
        global_pool.apply,
        volume_pool.apply,
        max_pool.apply,
        average_pool.apply,
        lp_pool.apply,
        reductions.apply,
        prelu.apply,
        powers.apply,
        repeats.apply,
    ),
    # What is still alone now has no neighbour to go into.
    (
        merge_affine.apply,
        moves.apply,
        few_dimensions.apply,
        leading_ones.apply,
        grouped_conv.apply,
        shared_constants.apply,
    ),
)
_MOST_ROUNDS = 100


def run(graph: ir.Graph) -> bool:
    """Applies all rewrites until nothing changes; each phase only when the ones before have nothing left to do.

    Returns:
        Whether anything changed.
    """
    forget_names(graph)
    rounds = 0
    while rounds < _MOST_ROUNDS and any(_once(graph, phase) for phase in PHASES):
        rounds += 1
    forget_names(graph)
    return rounds > 0


def _once(graph: ir.Graph, phase: tuple[Rewrite, ...]) -> bool:
    changes = [rewrite(graph) for rewrite in phase]
    return any(changes)
