"""The noise at each layer's output, against integers computed by hand and against the simulator's own tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import inf

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

import tinsmith
from tests.report.analysed import coarser, model_of, pictures, pyramid, sequences, with_formats
from tests.small_net import classifier, images
from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.errors import DataError, ProgramError
from tinsmith.graph.network import network
from tinsmith.quant.format import Format
from tinsmith.quantized import Quantized
from tinsmith.report.beside import Pair, thin_beside
from tinsmith.report.evaluate import evaluate
from tinsmith.report.fidelity import Sums
from tinsmith.report.graphwise import graphwise
from tinsmith.report.layer_error import LayerError, reference

DATA = pictures(8, seed=5)


@pytest.fixture(scope="module")
def quantized() -> Quantized:
    return tinsmith.quantize(pyramid(), pictures(16), "esp32p4", effort="fast")


def by_name(errors: tuple[LayerError, ...]) -> dict[str, LayerError]:
    return {error.layer: error for error in errors}


def test_integers_by_hand() -> None:
    """y = Relu(x · w + b), then z = y · v: every integer below is worked out on paper."""
    constants = {"w": np.array([[1.0, -0.5], [0.25, 0.75]]), "b": np.array([0.25, 0.0]), "v": np.array([[0.5], [1.0]])}
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], "first"),
        helper.make_node("Relu", ["h"], ["y"], "relu"),
        helper.make_node("Gemm", ["y", "v"], ["z"], "second"),
    ]
    model = model_of(nodes, {"x": (1, 2)}, ["z"], constants)
    data = np.array([[[0.8, 1.1]], [[-0.3, 0.6]]], np.float32)
    found = tinsmith.quantize(model, data, "esp32p4", effort="fast")
    weights = {key: Format(8, (-2,)) for key in found.formats.uses if key[1] == 1}
    bias = {key: Format(32, (-4,)) for key in found.formats.uses if key[1] == 2}
    uses = replace(found.formats, uses={**found.formats.uses, **weights, **bias})
    found = with_formats(
        replace(found, formats=uses), {"x": Format(8, (-2,)), "y": Format(8, (-2,)), "z": Format(8, (-1,))}
    )
    # x in quarters: (3, 4) and (-1, 2). w in quarters, b in sixteenths:
    # h·16 = (3·4 + 4·1 + 4, 3·-2 + 4·3) = (20, 6) and (-1·4 + 2·1 + 4, -1·-2 + 2·3) = (2, 8)
    # y·4 = R(h·16 / 4), half to even: (5, 2) and (0, 2)
    # z·16 = 5·2 + 2·4 = 18 and 8; z·2 = R(z·16 / 8) = R(2.25), R(1) = 2 and 1
    chip_y, chip_z = np.array([5, 2, 0, 2]) / 4, np.array([2, 1]) / 2
    y = np.array([0.8 + 0.275 + 0.25, -0.4 + 0.825, -0.3 + 0.15 + 0.25, 0.15 + 0.45])
    z = np.array([y[0] / 2 + y[1], y[2] / 2 + y[3]])
    first, second = graphwise(found, data)
    assert (first.layer, first.activation, first.precision, second.layer) == ("first", "relu", "int8", "second")
    for error, chip, real in ((first, chip_y, y), (second, chip_z, z)):
        assert error.noise == pytest.approx(np.square(chip - real).sum() / np.square(real).sum(), rel=1e-5)
        assert error.mse == pytest.approx(np.square(chip - real).mean(), rel=1e-5)
        assert error.cosine == pytest.approx(chip @ real / np.sqrt((chip @ chip) * (real @ real)), rel=1e-6)
        assert error.snr_db == pytest.approx(-10 * np.log10(error.noise))


@pytest.mark.parametrize("target", ["esp32p4", "esp32s3", "c"])
@pytest.mark.parametrize("ceiling", [6.0, 1.5])
def test_all_elements_of_the_simulators_tensors(target: str, ceiling: float) -> None:
    """In NHWC there, in NCHW in the float network; with a Clip inside a Conv and behind one."""
    found = tinsmith.quantize(pyramid(ceiling=ceiling), pictures(16), target, effort="fast")
    whole = FloatNodes(reference(found).nodes, [node.outputs[0] for node in reference(found).nodes])
    sums = {name: Sums() for name in ("a1", "c2", "c3", "s", "a4", "p", "scores")}
    for sample in DATA:
        reals = whole({"x": sample[None]})
        chip = found.simulate(sample[None], save_all=True)
        for name, one in sums.items():
            array = chip[name] * 2.0 ** found.program.values[name].exponent
            one.add(array.transpose(0, 3, 1, 2) if array.ndim == 4 else array, reals[name])
    errors = graphwise(found, DATA, elements=None)
    assert [error.layer for error in errors] == ["first", "depthwise", "pointwise", "sum", "strided", "pool", "gemm"]
    assert [error.noise for error in errors] == pytest.approx([one.ratio for one in sums.values()], rel=1e-6)
    assert [error.mse for error in errors] == pytest.approx([one.result().mse for one in sums.values()], rel=1e-6)


def test_a_grid_of_positions_stands_for_the_rest(quantized: Quantized) -> None:
    whole, some = (by_name(graphwise(quantized, DATA, elements=n)) for n in (None, 600))
    sums = Sums()
    nodes = reference(quantized).nodes
    run = FloatNodes(nodes, [output for node in nodes for output in node.outputs if output.name == "s"])
    for sample in DATA:
        chip = quantized.simulate(sample[None], save_all=True)["s"].transpose(0, 3, 1, 2)
        part = np.s_[:, :, 2::2, 2::2]
        sums.add(chip[part] * 2.0 ** quantized.program.values["s"].exponent, run({"x": sample[None]})["s"][part])
    assert some["sum"].noise == pytest.approx(sums.ratio, rel=1e-6)
    assert some["sum"].noise == pytest.approx(whole["sum"].noise, rel=0.1)
    assert some["gemm"] == whole["gemm"]


def test_the_last_layer_is_what_evaluation_says(quantized: Quantized) -> None:
    fidelity = evaluate(quantized.program, DATA, float_model=pyramid()).outputs["scores"]
    last = graphwise(quantized, DATA)[-1]
    assert (last.layer, last.operator) == ("gemm", "Gemm")
    assert last.snr_db == pytest.approx(fidelity.snr_db, abs=1e-3)
    assert last.cosine == pytest.approx(fidelity.cosine, abs=1e-6)


def test_values_of_an_equalized_network_are_comparable() -> None:
    """Its channels are scaled: the values of the user's model would be far away, those before rounding are not."""
    model = pyramid()
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    scales = np.geomspace(1 / 30, 30, 8).astype(np.float32)
    for name, factors in (("w2", scales[:, None, None, None]), ("w3", 1 / scales[None, :, None, None])):
        array = np.array(onnx_array(weights[name])) * factors
        weights[name].CopyFrom(helper.make_tensor(name, 1, array.shape, array.astype(np.float32).ravel()))
    found = tinsmith.quantize(model, pictures(24), "esp32p4")
    assert found.choices.won.startswith("equalized")
    own, before = network(found.model), reference(found)
    middle = next(node.outputs[0] for node in before.nodes if node.name == "depthwise")
    feeds = {"x": DATA[:1]}
    scaled, plain = (FloatNodes(net.nodes, [middle, *net.outputs])(feeds) for net in (before, own))
    assert not np.allclose(scaled["c2"], plain["c2"], rtol=0.5)
    assert scaled["scores"] == pytest.approx(plain["scores"], rel=1e-3, abs=1e-3)
    assert all(error.noise < 0.02 for error in graphwise(found, DATA))
    unlike = by_name(graphwise(replace(found, unrounded=None), DATA))
    assert unlike["depthwise"].noise > 0.3


def onnx_array(tensor: object) -> NDArray[np.float32]:
    from onnx import numpy_helper

    return np.asarray(numpy_helper.to_array(tensor))  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "layer"), [("c2", "depthwise"), ("a4", "strided"), ("scores", "gemm")])
def test_a_bad_layer_is_the_worst_up_to_there(quantized: Quantized, value: str, layer: str) -> None:
    errors = graphwise(coarser(quantized, value, 4), DATA)
    index = next(k for k, error in enumerate(errors) if error.layer == layer)
    assert max(errors[: index + 1], key=lambda error: error.noise).layer == layer
    assert errors[index].noise > 5 * graphwise(quantized, DATA)[index].noise


def test_int16_is_almost_exact() -> None:
    errors = graphwise(tinsmith.quantize(pyramid(), pictures(16), "esp32p4", bits=16), DATA)
    assert {error.precision for error in errors} == {"int16"}
    assert all(0 < error.noise < 1e-6 and error.snr_db > 60 for error in errors)


def test_recurrent_layers_tables_and_several_outputs() -> None:
    data = np.random.default_rng(0).normal(0, 1, (12, 6, 4)).astype(np.float32)
    found = tinsmith.quantize(sequences(), data, "esp32p4", effort="fast")
    errors = by_name(graphwise(found, data))
    assert list(errors) == ["lstm", "matmul", "softmax"]
    fidelities = evaluate(found.program, data, float_model=sequences()).outputs
    assert errors["softmax"].snr_db == pytest.approx(fidelities["scores"].snr_db, abs=1e-3)
    assert errors["lstm"].snr_db == pytest.approx(fidelities["states"].snr_db, abs=1e-3)


def test_layers_go_by_the_users_nodes() -> None:
    errors = by_name(graphwise(tinsmith.quantize(classifier(), images(8), "esp32s3", effort="fast"), images(2)))
    assert errors["conv"].activation == "relu"
    assert set(errors["conv"].sources) >= {"conv", "relu"}


def test_float_layers_are_left_out() -> None:
    nodes = [helper.make_node("Mul", ["x", "two"], ["y"], "double"), helper.make_node("Relu", ["y"], ["z"], "relu")]
    model = model_of(nodes, {"x": (1, 4)}, ["z"], {"two": np.array([2.0])})
    data = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)
    found = tinsmith.quantize(model, data, "esp32p4")
    layers = [error.layer for error in graphwise(found, data)]
    floating = {name: replace(one, precision="float32") for name, one in found.placement.items()}
    with pytest.raises(ProgramError, match="is not what its network and formats give"):
        graphwise(replace(found, placement=floating), data)
    assert layers == [name for name in ("double", "relu") if name in found.placement]


def test_samples_are_taken_as_they_come(quantized: Quantized) -> None:
    drawn = 0

    def stream() -> Iterator[NDArray[np.float32]]:
        nonlocal drawn
        for sample in pictures(100):
            drawn += 1
            yield sample[None]

    told: list[tuple[int, int | None]] = []
    found = graphwise(quantized, stream(), 3, progress=lambda done, total: told.append((done, total)))
    assert drawn <= 4
    assert told == [(1, None), (2, None), (3, None)]
    assert found == graphwise(quantized, pictures(100)[:3])


@pytest.mark.parametrize("elements", [None, 600])
def test_others_look_at_the_same_values(quantized: Quantized, elements: int | None) -> None:
    seen: list[Mapping[str, Pair]] = []
    errors = graphwise(quantized, DATA, elements=elements, look=seen.append)
    assert errors == graphwise(quantized, DATA, elements=elements)
    assert len(seen) == len(DATA)
    assert list(seen[0]) == ["x", "a1", "c2", "c3", "s", "a4", "p", "scores"]
    sums = Sums()
    for pairs in seen:
        pair = pairs["s"]
        assert pair.chip.dtype == np.int8
        assert pair.chip.shape == pair.real.shape
        sums.add(pair.chip * pair.scale, pair.real)
    assert by_name(errors)["sum"].noise == pytest.approx(sums.ratio, rel=1e-6)
    for pairs, sample in zip(seen, DATA, strict=True):
        pair = pairs["x"]
        assert set(pair.real.ravel()) <= set(sample.ravel())
        assert np.abs(pair.chip * pair.scale - pair.real).max() <= pair.scale / 2
        assert elements is not None or np.array_equal(pair.real[0], sample)


def test_sessions_are_set_up_once_for_the_same_question(quantized: Quantized) -> None:
    values = reference(quantized).inputs
    made = thin_beside(quantized, values, 600)
    assert thin_beside(quantized, values, 600) is made
    assert thin_beside(quantized, values, 601) is not made
    again = thin_beside(quantized, values, 600)
    assert thin_beside(replace(quantized, unrounded=replace(quantized.network)), values, 600) is not again


def test_data_that_do_not_fit(quantized: Quantized) -> None:
    with pytest.raises(DataError):
        graphwise(quantized, np.zeros((2, 3, 15, 16), np.float32))


def test_silence() -> None:
    """Zeros have no signal: no noise is none, any is infinite."""
    sums = Sums()
    sums.add(np.zeros(3), np.zeros(3))
    assert sums.ratio == 0
    sums.add(np.ones(1), np.zeros(1))
    assert sums.ratio == inf
    error = LayerError("a", "Conv", "int8", inf, 0.0, 1.0)
    assert (error.snr_db, replace(error, noise=0.0).snr_db) == (-inf, inf)
