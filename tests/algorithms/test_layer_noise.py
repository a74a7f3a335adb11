"""The noise of every place is what that error alone does to the outputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.algorithms.scalable import canonical, chain, samples
from tests.networks import S3, Net
from tinsmith.algorithms import carry
from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.layer_noise import LayerNoise, Term, layer_noise, sample_count
from tinsmith.ops.floatnode import Array, Network
from tinsmith.quant.format import Format, Formats

INT8, INT16 = Format(8, (-2,)), Format(16, (-10,))


def ported(net: Network, bits: dict[str, int], uses: dict[tuple[str, int], Format] | None = None) -> Formats:
    """Exponent -2 for int8 values, -10 for int16 ones, weights included; other widths as a reader needs them."""
    chosen = {8: INT8, 16: INT16}
    made = {output.name: bits[node.name] for node in net.nodes for output in node.outputs}
    made |= {operand.name: bits[net.nodes[0].name] for operand in net.inputs}
    found = dict(uses or {})
    for node in net.nodes:
        for index, operand in enumerate(node.inputs):
            if operand is not None and bits[node.name] != 32 and made.get(operand.name) != bits[node.name]:
                found.setdefault((node.name, index), chosen[bits[node.name]])
    return Formats({name: chosen[width] for name, width in made.items() if width != 32}, found)


def terms(
    net: Network, data: list[dict[str, Array]], uses: dict[tuple[str, int], Format] | None = None, **bits: int
) -> dict[tuple[str, str], Term]:
    widths = {node.name: bits.get(node.name, 8) for node in net.nodes}
    found = layer_noise(net, net, ported(net, widths, uses), widths, S3, data, corrected=False)
    assert len({(term.value, term.reader) for term in found.terms}) == len(found.terms)
    return {(term.value, term.reader): term for term in found.terms}


def energy(error: Array | list[Array], signal: list[Array]) -> float:
    return float(np.square(error).sum() / np.square(signal).sum())


def q(array: Array, chosen: Format = INT8) -> Array:
    return chosen.dequantize(chosen.quantize(array, S3.rounding))


def branches() -> Network:
    """Two Convs of the input, one with a Relu, added; a MaxPool; a Conv."""
    net = Net()
    net.input("x", 1, 3, 4, 4)
    net.conv("x", "a", 3)
    net.add("Relu", ["a"], "r")
    net.conv("x", "b", 3)
    net.add("Add", ["r", "b"], "s")
    net.add("MaxPool", ["s"], "m", (1, 3, 2, 2), kernel_shape=(2, 2), strides=(2, 2))
    net.conv("m", "y", 2)
    return net.network("y")


def test_places_and_what_they_need() -> None:
    net = branches()
    found = terms(net, samples(net, 2))
    assert {at: term.needs for at, term in found.items()} == {
        ("x", "A"): {"A"},
        ("x", "B"): {"A", "B"},  # the input has the width of its first reader
        ("r", "S"): {"A", "S"},
        ("b", "S"): {"B", "S"},
        ("s", "Y"): {"S", "Y"},  # past the MaxPool
        ("y", ""): {"Y"},
        ("", "A"): {"A"},
        ("", "B"): {"B"},
        ("", "S"): {"S"},
        ("", "Y"): {"Y"},
    }


def test_noise_of_rounded_values_is_what_they_do_to_the_outputs() -> None:
    net = branches()
    data = samples(net, 3)
    found = terms(net, data)
    whole = FloatNodes(net.nodes, [*net.outputs, *(node.outputs[0] for node in net.nodes[:5])])
    clean = [whole(sample) for sample in data]
    wanted = [values["y"] for values in clean]
    behind = FloatNodes(net.nodes[3:], net.outputs)
    rounded_b = [behind({"r": values["r"], "b": q(values["b"])})["y"] for values in clean]
    assert found["b", "S"].noise == pytest.approx(energy(np.subtract(rounded_b, wanted), wanted))
    last = FloatNodes(net.nodes[4:], net.outputs)
    rounded_s = [last({"s": q(values["s"])})["y"] for values in clean]
    assert found["s", "Y"].noise == pytest.approx(energy(np.subtract(rounded_s, wanted), wanted))
    assert found["y", ""].noise == pytest.approx(energy([q(y) - y for y in wanted], wanted))
    # Only one reader of the input gets it rounded.
    for reader, other in (("A", "B"), ("B", "A")):
        nodes = {node.name: FloatNodes([node], node.outputs) for node in net.nodes}
        results = []
        for sample in data:
            exact, rough = sample["x"], q(sample["x"])
            values = {"a": nodes["A"]({"x": rough if reader == "A" else exact})["a"]}
            values["b"] = nodes["B"]({"x": rough if other == "A" else exact})["b"]
            results.append(behind({"r": np.maximum(values["a"], 0), "b": values["b"]})["y"])
        assert found["x", reader].noise == pytest.approx(energy(np.subtract(results, wanted), wanted))


def test_noise_of_rounded_weights() -> None:
    net = Net()
    net.input("x", 1, 2)
    weights = np.array([[0.51, 0.24], [0.1, -0.31], [1.0, 0.02]], np.float32)
    net.add("Gemm", ["x", net.const("w", weights)], "y", (1, 3), transB=1)
    gemm = net.network("y")
    data = samples(gemm, 5)
    rounded = np.round(weights * 16) / 16
    found = terms(gemm, data, {("Y", 1): Format(8, (-4,))})
    wanted = [sample["x"] @ weights.T for sample in data]
    error = [sample["x"] @ (rounded - weights).T for sample in data]
    assert found["", "Y"].noise == pytest.approx(energy(error, wanted))


def test_nodes_in_int16_make_no_noise_and_are_not_needed() -> None:
    net = branches()
    narrow, wide = (terms(net, samples(net, 2), S=width, M=width) for width in (8, 16))
    assert wide["b", "S"].needs == {"B"}
    # What is rounded where it is computed in int8 is rounded at the border where that is in int16.
    assert wide["m", "Y"].needs == {"Y"}
    assert wide["m", "Y"].noise == pytest.approx(narrow["s", "Y"].noise)
    assert wide["s", "Y"].noise < 1e-3 * narrow["s", "Y"].noise
    both = terms(net, samples(net, 2), S=16, M=16, Y=16)
    assert both["s", "Y"].needs == frozenset()
    assert both["s", "Y"].noise < 1e-3 * narrow["s", "Y"].noise


def test_float_nodes_round_nothing() -> None:
    net = branches()
    found = terms(net, samples(net, 2), Y=32)
    assert ("y", "") not in found
    assert ("", "Y") not in found
    assert found["s", "Y"].needs == {"S"}


def test_a_softmax_gives_floats_that_its_reader_rounds() -> None:
    net = Net()
    net.input("x", 1, 6)
    net.add("Softmax", ["x"], "p", axis=-1)
    net.add("Mul", ["p", "x"], "y")
    found = terms(net.network("y"), samples(net.network("y"), 2))
    assert found["p", "Y"].needs == {"Y"}
    assert found["", "P"].needs == {"P"}


def joined() -> Network:
    """Two Convs, a Concat whose second operand enters another format, another Concat with the input, a Conv."""
    net = Net()
    net.input("x", 1, 2, 3, 3)
    net.conv("x", "a", 2)
    net.conv("x", "b", 2)
    net.add("Concat", ["a", "b"], "j", (1, 4, 3, 3), axis=1)
    net.add("Concat", ["j", "x"], "k", (1, 6, 3, 3), axis=1)
    net.conv("k", "y", 1)
    return net.network("y")


def test_ways_through_concats_need_all_of_them() -> None:
    net = joined()
    found = terms(net, samples(net, 2))
    assert found["a", "Y"].needs == {"A", "J", "K", "Y"}
    assert found["x", "Y"].needs == {"A", "K", "Y"}
    assert ("j", "Y") not in found


def test_only_one_reader_of_what_was_moved_sees_the_error() -> None:
    net = Net()
    net.input("x", 1, 3, 4, 4)
    net.conv("x", "a", 3)
    net.add("MaxPool", ["a"], "m", (1, 3, 2, 2), kernel_shape=(2, 2), strides=(2, 2))
    net.conv("m", "b", 2)
    net.conv("m", "c", 2)
    net.add("Mul", ["b", "c"], "y")
    whole = net.network("y")
    data = samples(whole, 2)
    found = terms(whole, data)
    nodes = [FloatNodes([node], node.outputs) for node in whole.nodes]
    clean: list[Array] = []
    errors: dict[str, list[Array]] = {"B": [], "C": []}
    for sample in data:
        a = nodes[0](sample)["a"]
        exact, rough = (nodes[1]({"a": array}) for array in (a, q(a)))
        cases = [("", exact, exact), ("B", rough, exact), ("C", exact, rough)]
        values = {reader: nodes[2](b)["b"] * nodes[3](c)["c"] for reader, b, c in cases}
        clean.append(values[""])
        for reader, kept in errors.items():
            kept.append(values[reader] - values[""])
    for reader, kept in errors.items():
        assert found["a", reader].noise == pytest.approx(energy(kept, clean))


def test_what_enters_another_format_on_its_way_is_rounded_once_more() -> None:
    net, coarse = joined(), Format(8, (-1,))
    data = samples(net, 2)
    plain, bordered = terms(net, data), terms(net, data, {("K", 0): coarse})
    assert bordered["a", "Y"].noise == plain["a", "Y"].noise
    assert bordered["j", "Y"].needs == {"K", "Y"}
    run, last = FloatNodes(net.nodes, [net.outputs[0], net.nodes[2].outputs[0]]), FloatNodes(net.nodes[3:], net.outputs)
    clean = [run(sample) for sample in data]
    wanted = [values["y"] for values in clean]
    rough = [last({**s, "j": q(v["j"], coarse)})["y"] for s, v in zip(data, clean, strict=True)]
    assert bordered["j", "Y"].noise == pytest.approx(energy(np.subtract(rough, wanted), wanted))


def test_corrected_biases_take_means_away() -> None:
    """Weights that are all off by the same make, on constant inputs, an error that a bias cancels."""
    net = Net()
    net.input("x", 1, 2, 3, 3)
    net.conv("x", "y", 2)
    conv = net.network("y")
    data = [{"x": np.full((1, 2, 3, 3), 0.3, np.float32)}] * 4
    formats = ported(conv, {"Y": 8}, {("Y", 1): Format(8, (2,))})
    left, right = (
        layer_noise(conv, conv, formats, {"Y": 8}, S3, data, corrected=corrected) for corrected in (False, True)
    )
    made = {term.reader: term.noise for term in left.terms if not term.value}
    kept = {term.reader: term.noise for term in right.terms if not term.value}
    assert made["Y"] > 0.01
    assert kept["Y"] == pytest.approx(0, abs=1e-12)


def test_what_equalization_has_changed_is_noise_of_its_own() -> None:
    net = branches()
    bits = {node.name: 8 for node in net.nodes}
    last, weights = net.nodes[-1], net.nodes[-1].const(1)
    assert weights is not None
    doubled = replace(last, inputs=(last.inputs[0], replace(last.input(1), const=2 * weights)))
    original = replace(net, nodes=(*net.nodes[:-1], doubled))
    found, plain = (
        layer_noise(net, net, ported(net, bits), bits, S3, samples(net, 2), original=one) for one in (original, None)
    )
    assert found.terms[:-1] == plain.terms
    assert found.terms[-1].needs == frozenset()
    assert found.left(found.units.free) == pytest.approx(0.25)


def test_memory_changes_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    net = branches()
    data = samples(net, 3)
    at_once = terms(net, data)
    monkeypatch.setattr(carry, "MEMORY", 1)
    assert terms(net, data) == at_once


def test_what_is_left() -> None:
    net = branches()
    widths = {node.name: 8 for node in net.nodes}
    seen: list[tuple[int, int]] = []
    found: LayerNoise = layer_noise(
        net, net, ported(net, widths), widths, S3, samples(net, 2), progress=lambda *step: seen.append(step)
    )
    assert found.left(frozenset()) == found.total == pytest.approx(sum(term.noise for term in found.terms))
    assert found.left(found.units.free) == 0
    assert found.left(frozenset({"S", "Y"})) == pytest.approx(
        sum(term.noise for term in found.terms if not term.needs <= {"S", "Y"})
    )
    assert seen[0] == (0, len(found.terms))


def test_large_networks_use_fewer_samples() -> None:
    _, net = canonical(chain(np.random.default_rng(0)))
    assert sample_count(net, 20, 100) == 8
    assert sample_count(net, 20, 3) == 3
    assert sample_count(net, 10**9, 100) == 2
