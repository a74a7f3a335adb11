"""Layers in parts: several with some of the filters each, whose weights stay in the cache, and a Concat behind them."""

from __future__ import annotations

from dataclasses import replace

from tinsmith.estimate.latency import Place, time_of
from tinsmith.estimate.latency_constants import CHIPS, WEIGHTS_KEPT
from tinsmith.estimate.work import NodeWork
from tinsmith.ops.work import VECTOR_BYTES, Kernel, Work
from tinsmith.targets import Target


def room_for_weights(target: Target) -> int:
    """Bytes of weights that stay in the cache of a chip that `tinsmith.estimate.latency.no_model` knows."""
    return int(WEIGHTS_KEPT * CHIPS[target.name].cache)


def filters_of_parts(node: NodeWork, target: Target) -> tuple[int, ...]:
    """How many filters each part of a layer has, if it is to become as few as fit the cache.

    All but the last are whole vectors of filters, and none has a vector more than another.

    Returns:
        Two numbers or more; none where the layer's weights stay in the cache or are read once, where they are computed,
        and where not even those of one vector of filters stay.
    """
    work, room = node.work, room_for_weights(target)
    again = work.kernel in (Kernel.CONV, Kernel.CONV_UNALIGNED) and work.passes > 1 and work.panels == 1
    if not again or not node.constant_panel or work.panel <= room:
        return ()
    filters, block = node.elements // work.passes, VECTOR_BYTES * 8 // node.bits
    most = room // (work.panel // filters) // block
    if most == 0:
        return ()
    vectors = -(-filters // block)
    few, more = divmod(vectors, -(-vectors // most))
    sizes = [block * (few + (part < more)) for part in range(-(-vectors // most))]
    return (*sizes[:-1], filters - sum(sizes[:-1]))


def saved_by_parts(node: NodeWork, parts: int, target: Target, place: Place = "psram") -> tuple[float, float]:
    """What a layer in parts saves: milliseconds on one core and on two, less those of the Concat.

    Args:
        node: The layer, one whose weights do not stay in the cache.
        parts: How many layers it becomes; the weights of each stay.
        target: A chip that `tinsmith.estimate.latency.no_model` knows.
        place: Where parameters are.
    """
    work = node.work
    small = replace(work, panel=work.panel // parts, panels=work.panels * parts, calls=work.calls * parts, slow=None)
    copies = Work(Kernel.COPY, steps=-(-node.written // VECTOR_BYTES), calls=work.passes * parts)
    nothing = replace(node, work=Work(Kernel.COPY), read=0, written=0, parameters=0, constant_panel=False)
    before = time_of(node, target, place)
    layers = time_of(replace(node, work=small, read=node.read * parts), target, place)
    concat = time_of(replace(nothing, work=copies, read=node.written, written=node.written), target, place)
    start = time_of(nothing, target, place)
    return (
        before.single_ms - layers.single_ms - concat.single_ms - (parts - 1) * start.single_ms,
        before.dual_ms - layers.dual_ms - concat.dual_ms - (parts - 1) * start.single_ms,
    )
