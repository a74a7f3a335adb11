"""Parts of values are what they say: elements of the whole values, computed in the same way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinsmith
from tests.report.analysed import pictures, pyramid, sequences
from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.lower import lower
from tinsmith.report.layer_error import reference
from tinsmith.report.thinning import Cut, grid, taken, thinned_network, thinned_program

SHAPES = st.lists(st.integers(1, 40), min_size=1, max_size=5).map(tuple)


@given(SHAPES, st.integers(1, 5000))
def test_what_a_grid_keeps(shape: tuple[int, ...], most: int) -> None:
    cuts = grid(shape, most)
    part = taken(np.empty(shape, np.int8), cuts)
    assert all(cut.axis >= 2 and cut.step > 1 and cut.start in (0, cut.step) for cut in cuts)
    assert part.size <= most or math.prod(part.shape[2:]) == 1
    assert part.shape[:2] == shape[:2]
    assert part.size
    if math.prod(shape) <= most:
        assert part.shape == shape


def test_borders_are_left_out_where_others_remain() -> None:
    assert grid((1, 8, 16, 16), 600) == (Cut(2, 2, 2), Cut(3, 2, 2))
    assert grid((1, 2, 1, 3), 5) == (Cut(3, 0, 2),)
    assert grid((4, 4), 1) == ()
    assert grid((1, 8, 16, 16), None) == ()


@pytest.mark.parametrize("most", [1, 100, 700])
@pytest.mark.parametrize("bits", [8, 16])
def test_parts_are_elements_of_the_whole(bits: int, most: int) -> None:
    quantized = tinsmith.quantize(pyramid(), pictures(8), "esp32s3", bits=bits, effort="fast")
    widths = {name: decision.bits for name, decision in quantized.placement.items()}
    homes = lower(quantized.network, quantized.formats, widths, quantized.target).homes
    operands = {
        o.name: o for o in (*quantized.network.inputs, *(o for n in quantized.network.nodes for o in n.outputs))
    }
    cuts = {name: grid(operands[name].shape, most) for name in homes}
    program, parts = thinned_program(quantized.program, [(home.root, home.perm, cuts[n]) for n, home in homes.items()])
    sample = {"x": pictures(1, seed=9)}
    whole, some = quantized.simulate(sample, save_all=True), tinsmith.simulate(program, sample, "esp32s3")
    for (name, home), part in zip(homes.items(), parts, strict=True):
        ours = taken(some[part.name].transpose(np.argsort(part.perm)), part.rest)
        assert np.array_equal(ours, taken(whole[home.root].transpose(np.argsort(home.perm)), cuts[name])), name
    net = reference(quantized)
    values = {n: o for n, o in operands.items() if n in homes and n != "x"}
    thin, places = thinned_network(net, cuts)
    reals, few = FloatNodes(net.nodes, list(values.values()))(sample), FloatNodes(thin.nodes, thin.outputs)
    inputs = [operand for operand in thin.outputs if operand.name == "x"]
    assert bool(inputs) == (not cuts["x"])
    found = few(sample)
    for name in values:
        assert taken(found[places[name].name], places[name].rest) == pytest.approx(
            taken(reals[name], cuts[name]), rel=1e-5, abs=1e-6
        )


def test_values_that_only_a_slice_can_cut() -> None:
    """In another order than channels last."""
    data = np.random.default_rng(0).normal(0, 1, (12, 6, 4)).astype(np.float32)
    quantized = tinsmith.quantize(sequences(), data, "esp32p4", effort="fast")
    cuts = (Cut(2, 2, 2),)
    program, (part,) = thinned_program(
        quantized.program,
        [
            ("x", (0, 2, 1), cuts),
        ],
    )
    other, (same,) = thinned_program(quantized.program, [("x", (0, 1, 2), cuts)])
    whole = quantized.simulate(data[:1], save_all=True)["x"]
    ways = ((program, part, (0, 2, 1), np.s_[:, 2::2]), (other, same, (0, 1, 2), np.s_[:, :, 2::2]))
    for changed, one, order, index in ways:
        found = tinsmith.simulate(changed, {"x": data[:1]})
        array = taken(found[one.name].transpose(np.argsort(one.perm)), one.rest)
        assert np.array_equal(array.transpose(order), whole[index])
        assert found.keys() == {one.name}
    assert [[n.op_type for n in one.nodes if "part" in n.name or "grid" in n.name] for one in (program, other)] == [
        ["MaxPool", "Transpose"],
        ["Slice"],
    ]
