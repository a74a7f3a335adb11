"""The walk computes what the chip computes; bias correction takes the means out; rounding beats the nearest integer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

import tinsmith
from tests.algorithms.scalable import canonical, chain, model, samples
from tinsmith.algorithms import rounding
from tinsmith.algorithms.bias_correction import certain, correct_bias
from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.walk import Adjusted, Adjustment, Exact, Visit, channel_means, walk
from tinsmith.ops import operators
from tinsmith.ops.passage import Weighted
from tinsmith.quant.format import Format
from tinsmith.targets import find

TARGETS = ["esp32s3", "esp32p4", "c"]


@pytest.mark.parametrize("target", TARGETS)
def test_what_the_nodes_see_is_what_the_chip_has(target: str) -> None:
    """Inputs of every linear node equal those of the whole program, integer for integer."""
    quantized = tinsmith.quantize(chain(np.random.default_rng(0)), np.zeros((2, 3, 8, 8), np.float32) + 1, target)
    data = samples(quantized.network, 3)
    seen: dict[str, list[np.ndarray]] = {}

    def look(visit: Visit) -> Adjusted:
        seen[visit.node.input(0).name] = [visit.chip(index) for index in range(visit.count)]
        return Adjusted(visit.node, visit.format)

    bits = {name: decision.bits for name, decision in quantized.placement.items()}
    same = walk(quantized.network, quantized.formats, bits, quantized.target, data, look).network
    assert all(new is old for new, old in zip(same.nodes, quantized.network.nodes, strict=True))
    assert set(seen) == {"x", "a1", "a2", "f"}
    for index, sample in enumerate(data):
        whole = quantized.simulate(sample, save_all=True)
        for name in ("a1", "a2"):
            chosen = quantized.formats.values[name]
            found = chosen.dequantize(whole[name]).transpose(0, 3, 1, 2)
            assert np.array_equal(found, seen[name][index])


@pytest.mark.parametrize("target", TARGETS)
def test_exact_is_the_simulation(target: str) -> None:
    """The judge's own way to run a network gives the program's integers."""
    quantized = tinsmith.quantize(chain(np.random.default_rng(1)), np.ones((2, 3, 8, 8), np.float32), target)
    bits = {name: decision.bits for name, decision in quantized.placement.items()}
    (sample,) = samples(quantized.network, 1)
    exact = Exact(quantized.network, quantized.formats, bits, quantized.target)
    assert np.array_equal(exact.run(sample)["y"], quantized.simulate(sample)["y"])


@pytest.mark.parametrize("target", TARGETS)
def test_biases_take_the_means_out(target: str) -> None:
    """What is certain of the difference of every channel's mean to the float network's goes into the bias."""
    quantized = tinsmith.quantize(
        chain(np.random.default_rng(2), spread=8.0), np.ones((2, 3, 8, 8), np.float32), target, effort="fast"
    )
    bits = {name: decision.bits for name, decision in quantized.placement.items()}
    checked = []

    def correct(visit: Visit) -> Adjusted:
        adjusted = correct_bias(visit)
        node = adjusted.node
        rounded_weights = visit.format.dequantize(visit.format.quantize(visit.weights, visit.target.rounding))
        weights = replace(node.input(1), const=rounded_weights)
        run = FloatNodes([replace(node, inputs=(node.inputs[0], weights, visit.node.inputs[2]))], node.outputs)
        name, output = node.input(0).name, node.outputs[0].name
        chips = [run({name: visit.chip(index)})[output] for index in range(visit.count)]
        shifts = visit.wanted - np.stack([channel_means(array, visit.weighted.channels) for array in chips])
        before, after = visit.node.const(2), node.const(2)
        assert before is not None
        assert after is not None
        change = after.astype(np.float64) - before
        assert np.allclose(change, certain(shifts), atol=1e-4 * np.abs(visit.wanted).max())
        assert np.abs(change).max() > 0
        checked.append(node.name)
        return adjusted

    walk(quantized.network, quantized.formats, bits, quantized.target, samples(quantized.network, 4), correct)
    assert checked == ["first", "depthwise", "pointwise", "classes"]


def test_a_bias_that_does_not_fit_is_left() -> None:
    """An adjustment beyond the accumulator is not taken: the export would be refused."""
    quantized = tinsmith.quantize(chain(np.random.default_rng(3)), np.ones((2, 3, 8, 8), np.float32), "esp32s3")
    bits = {name: decision.bits for name, decision in quantized.placement.items()}

    def absurd(visit: Visit) -> Adjusted:
        bias = replace(visit.node.input(2), const=np.full_like(visit.node.const(2), 1e9))
        return Adjusted(replace(visit.node, inputs=(*visit.node.inputs[:2], bias)), visit.format)

    data = samples(quantized.network, 1)
    same = walk(quantized.network, quantized.formats, bits, quantized.target, data, absurd).network
    assert all(new is old for new, old in zip(same.nodes, quantized.network.nodes, strict=True))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 150), st.booleans())
def test_rounding_together_stays_within_its_bound(seed: int, channels: int, count: int, related: bool) -> None:
    """Each weight's rounding adds at most a quarter of what its input has left beside those before it (Babai, 1986).

    What it has left is at most its own mean square, so the sum is at most a quarter of the trace. Single draws may be
    worse than the nearest integers; that they are better as a rule is the next test.
    """
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((count, count)) if related else np.diag(rng.uniform(0.1, 3, count))
    moments = mixing @ mixing.T / count
    weights = rng.standard_normal((channels, count)) * 20
    steps = np.ones((channels, 1))
    found = rounding.rounded(weights, moments[None], steps)
    assert np.array_equal(found, np.rint(found))
    assert found.min() >= -128
    assert found.max() <= 127
    nearest = np.clip(np.rint(weights), -128, 127)

    def error(integers: np.ndarray) -> float:
        left = weights - integers
        return float(np.einsum("ik,kl,il->", left, moments, left))

    if not related:
        assert np.array_equal(found, nearest)
    assert error(found) <= 0.25 * channels * np.trace(moments) * (1 + rounding.DAMPING) * (1 + 1e-9)


def test_rounding_together_is_much_better_where_inputs_are_related() -> None:
    """Strongly related inputs: less than half of the error."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((64, 6))
    moments = mixing @ mixing.T + 0.01 * np.eye(64)
    weights = rng.standard_normal((8, 64)) * 20
    found = rounding.rounded(weights, moments[None], np.ones((8, 1)))

    def error(integers: np.ndarray) -> float:
        left = weights - integers
        return float(np.einsum("ik,kl,il->", left, moments, left))

    assert error(found) < 0.5 * error(np.rint(weights))


CASES = {
    "Conv": (helper.make_node("Conv", ["x", "w"], ["y"], name="n", strides=[2, 1], pads=[1, 0, 2, 1], dilations=[1, 2]),
             (1, 5, 9, 9), (6, 5, 3, 2)),
    "pointwise": (helper.make_node("Conv", ["x", "w"], ["y"], name="n"), (1, 5, 4, 6), (6, 5, 1, 1)),
    "pointwise, strided": (helper.make_node("Conv", ["x", "w"], ["y"], name="n", strides=[2, 2]), (1, 5, 4, 6),
                           (6, 5, 1, 1)),
    "depthwise": (helper.make_node("Conv", ["x", "w"], ["y"], name="n", group=5, pads=[1] * 4), (1, 5, 6, 6),
                  (5, 1, 3, 3)),
    "Gemm": (helper.make_node("Gemm", ["x", "w"], ["y"], name="n", transB=1), (1, 7), (4, 7)),
    "Gemm, not transposed": (helper.make_node("Gemm", ["x", "w"], ["y"], name="n"), (1, 7), (7, 4)),
    "MatMul": (helper.make_node("MatMul", ["x", "w"], ["y"], name="n"), (1, 6, 7), (7, 4)),
    "ConvTranspose": (helper.make_node("ConvTranspose", ["x", "w"], ["y"], name="n", strides=[2, 2]), (1, 3, 4, 4),
                      (3, 5, 2, 2)),
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
def test_what_meets_the_weights(kind: str) -> None:
    """Weights times what meets them is the node's output, whatever its windows: that is what `_meeting` finds."""
    made, x_shape, w_shape = CASES[kind]
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(w_shape).astype(np.float32)
    probe = helper.make_node("Identity", ["y"], ["z"], name="end")
    extents = [1] if kind in ("Gemm", "Gemm, not transposed") else []
    shape = (1, 4) if extents else None
    _, net = canonical(model([made, probe], {"x": x_shape}, {"z": shape}, {"w": weights}))  # type: ignore[dict-item]
    found_nodes = [(n, operators()[n.op_type].passage(n)) for n in net.nodes]
    ((node, weighted),) = [(n, passage) for n, passage in found_nodes if isinstance(passage, Weighted)]
    x = rng.standard_normal(x_shape).astype(np.float32)
    inputs = [x].__getitem__
    visit = Visit(
        node,
        weighted,
        Format(8, (0,)),
        np.zeros(1),
        1,
        inputs,
        inputs,
        find("c"),
        lambda node, weights: True,
        lambda f: [f(0)],
    )
    matrix = rounding._matrix(visit)
    assert matrix is not None
    output = node.outputs[0]
    name = node.input(0).name
    given = x.reshape(node.input(0).shape)
    met = rounding._meeting(visit, matrix.shape[1])(given)
    met = np.moveaxis(met, weighted.channels, 0).reshape(met.shape[weighted.channels], -1)
    if weighted.columns is None:
        found = np.einsum("ck,ckp->cp", matrix, met.reshape(len(matrix), matrix.shape[1], -1))
    else:
        found = matrix @ met
    wanted = FloatNodes([node], [output])({name: given})[output.name]
    wanted = np.moveaxis(wanted, weighted.channels, 0).reshape(len(matrix), -1)
    assert np.allclose(found, wanted, atol=1e-4)
    assert np.array_equal(rounding._unfolded(matrix, weighted, visit.weights.shape), visit.weights)


@pytest.mark.parametrize("target", TARGETS)
def test_rounded_networks_are_closer(target: str) -> None:
    """On the chip, with new data: rounding for the data leaves less noise than rounding to the nearest."""
    proto = chain(np.random.default_rng(4))
    data = np.concatenate([s["x"] for s in samples(canonical(proto)[1], 16)])
    quantized = tinsmith.quantize(proto, data, target, effort="fast")
    bits = {name: decision.bits for name, decision in quantized.placement.items()}
    chips = quantized.target
    calibration = samples(quantized.network, 16)
    test = samples(quantized.network, 16, seed=9)
    float_run = FloatNodes(quantized.network.nodes, quantized.network.outputs)

    def noise(adjust: Adjustment) -> float:
        found = walk(quantized.network, quantized.formats, bits, chips, calibration, adjust)
        exact = Exact(found.network, found.formats, bits, chips)
        chosen = quantized.formats.values["y"]
        return sum(float(np.square(chosen.dequantize(exact.run(s)["y"]) - float_run(s)["y"]).sum()) for s in test)

    assert noise(rounding.round_weights) < noise(lambda visit: Adjusted(visit.node, visit.format))


@given(st.integers(0, 10**6), st.booleans())
@settings(max_examples=40, deadline=None)
def test_finer_exponents_are_taken_only_where_the_output_errs_less(seed: int, per_channel: bool) -> None:
    """A weight far from the others: saturated, it may cost less than the coarser steps of all the others."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((4, 12))
    weights[:, 0] *= rng.uniform(1, 8)
    inputs = rng.standard_normal((12, 200)) * rng.uniform(0.01, 1, (12, 1))
    moments = (inputs @ inputs.T / 200)[None]
    exponents = np.ceil(np.log2(np.abs(weights).max(axis=1) / 127)).astype(np.int64)
    exponents = exponents if per_channel else np.full(4, exponents.max())
    tried = rounding._on_grids(weights, moments, np.stack([exponents, exponents - 1]))
    errors = [rounding._errors(weights - found, moments) for found in tried]
    for found, finer in zip(tried, (0, 1), strict=True):
        integers = found / np.ldexp(1.0, exponents - finer)[:, None]
        assert np.array_equal(integers, np.rint(integers))
        assert integers.min() >= -128
        assert integers.max() <= 127
    for found, error in zip(tried, errors, strict=True):
        outputs = (weights - found) @ inputs
        assert error == pytest.approx(np.square(outputs).mean(axis=1), rel=1e-9)
    assert np.array_equal(rounding._finer(np.stack(errors), per_channel=True), errors[1] < errors[0])
    together = rounding._finer(np.stack(errors), per_channel=False)
    assert together.tolist() == [errors[1].sum() < errors[0].sum()] * 4


@given(st.integers(0, 10**6), st.sampled_from([1, 3, 9, 70]))
@settings(max_examples=40, deadline=None)
def test_channels_with_moments_of_their_own_are_rounded_one_by_one(seed: int, count: int) -> None:
    """All channels and both grids at once give what each of them gives alone."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((3, count))
    inputs = rng.standard_normal((3, count, 2 * count + 1))
    moments = inputs @ inputs.transpose(0, 2, 1)
    steps = np.ldexp(1.0, rng.integers(-6, -3, (2, 3)))[..., None]
    together = rounding.rounded(weights, moments, steps)
    for grid in range(2):
        for channel in range(3):
            one = rounding.rounded(weights[channel][None], moments[channel][None], steps[grid, channel][None])
            assert np.array_equal(together[grid, channel], one[0])


def test_what_is_certain_of_a_shift() -> None:
    """All of what samples agree on, nothing of what they contradict each other on, and never more than the mean."""
    assert certain(np.asarray([[0.5, -2.0]])).tolist() == [0.5, -2.0]
    assert certain(np.full((7, 1), 0.25)).tolist() == [0.25]
    assert certain(np.asarray([[1.0], [-1.0], [1.0], [-1.0]])).tolist() == [0.0]
    rng = np.random.default_rng(0)
    shifts = rng.standard_normal((16, 1000)) + 1
    found, mean = certain(shifts), shifts.mean(axis=0)
    assert np.all(np.abs(found) <= np.abs(mean))
    assert np.array_equal(np.sign(found)[found != 0], np.sign(mean)[found != 0])
    # Its purpose: closer to the truth than the mean, all in all, where the truth is small.
    small = rng.standard_normal((16, 1000))
    assert np.square(certain(small)).sum() < 0.5 * np.square(small.mean(axis=0)).sum()
