from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto

from tests.calibrate.nets import conv_net, graph, pictures
from tinsmith.calibrate import Stats, ValueStats, choose_exponent, observe, session
from tinsmith.calibrate.candidates import squared_error
from tinsmith.errors import DataError, ModelError
from tinsmith.quant.rounding import Rounding

VALUES = ["x", "c", "r", "g", "f", "y"]
UP = Rounding.HALF_UP


def run_float(model: ir.Model, samples: list[dict[str, np.ndarray]], names: list[str]) -> dict[str, np.ndarray]:
    """The named values of all samples, stacked, from a session of its own."""
    clone = model.clone()
    produced = {value.name: value for node in clone.graph for value in node.outputs}
    clone.graph.outputs[:] = [produced[name] for name in names]
    runner = onnxruntime.InferenceSession(ir.to_proto(clone).SerializeToString())
    rows = [runner.run(names, sample) for sample in samples]
    return {name: np.concatenate([row[i] for row in rows]) for i, name in enumerate(names)}


def same(a: ValueStats, b: ValueStats) -> bool:
    plain = ("samples", "count", "minimum", "maximum", "mean", "nonzero", "square_sum", "candidates")
    return all(getattr(a, name) == getattr(b, name) for name in plain)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("rounding", Rounding)
def test_everything_observed_of_small_tensors(rng: np.random.Generator, exact: bool, rounding: Rounding) -> None:
    model, samples = conv_net(rng), pictures(rng, 5)
    stats = observe(model, VALUES, samples, rounding=rounding, exact=exact, histograms=True)
    expected = run_float(model, samples, VALUES[1:]) | {"x": np.concatenate([s["x"] for s in samples])}
    assert list(stats) == VALUES
    assert stats.samples == 5
    for name, array in expected.items():
        seen = stats[name]
        wide = array.astype(np.float64)
        assert (seen.minimum, seen.maximum) == (array.min(), array.max())
        assert (seen.samples, seen.count, seen.nonzero) == (5, array.size, np.count_nonzero(array))
        assert seen.mean == pytest.approx(wide.mean(), rel=1e-5, abs=1e-6)
        assert seen.square_sum == pytest.approx((wide**2).sum(), rel=1e-9)
        for bits in (8, 16):
            candidates = seen.candidates[bits]
            assert candidates.first == seen.fit(bits) - {8: 7, 16: 3}[bits]
            for exponent, error in zip(candidates.exponents, candidates.errors, strict=True):
                tolerance = 1e-9 if exact else array.size * 2.0**-24
                assert error == pytest.approx(squared_error(array.reshape(-1), exponent, bits, rounding), rel=tolerance)
        channels, histogram = seen.channels, seen.histogram
        assert channels is not None
        assert histogram is not None
        axes = tuple(i for i in range(array.ndim) if i != 1)
        assert channels.minimum.tolist() == array.min(axis=axes).tolist()
        assert channels.maximum.tolist() == array.max(axis=axes).tolist()
        assert channels.mean == pytest.approx(wide.mean(axis=axes), rel=1e-5, abs=1e-6)
        assert histogram.counts.sum() + histogram.zeros == array.size


def heavy_net(rng: np.random.Generator) -> ir.Model:
    """Large tensors of unlike distributions: x (1,8,96,96) → heavy tails, a ceiling, sparse, skewed."""
    scale = np.exp(rng.normal(0, 1.5, (1, 8, 1, 1))).astype(np.float32)
    nodes: list[Any] = [
        ("Mul", ["x", "scale"], ["scaled"], {}),
        ("Mul", ["scaled", "x"], ["product"], {}),
        ("Clip", ["scaled", "zero", "six"], ["ceiling"], {}),
        ("Sub", ["x", "two"], ["shifted"], {}),
        ("Relu", ["shifted"], ["sparse"], {}),
        ("Exp", ["x"], ["skewed"], {}),
        ("Sigmoid", ["x"], ["sigmoid"], {}),
    ]
    constants = {"scale": scale} | {n: np.array(v, np.float32) for n, v in (("zero", 0), ("six", 6), ("two", 2))}
    outputs = ["product", "ceiling", "sparse", "skewed", "sigmoid"]
    return graph(nodes, {"x": (1, 8, 96, 96)}, outputs, constants)


@pytest.mark.parametrize("seed", range(4))
def test_the_quick_form_chooses_as_the_definition_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = heavy_net(rng)
    samples = [{"x": rng.standard_t(4 + seed, (1, 8, 96, 96)).astype(np.float32)} for _ in range(4)]
    values = ["x", "scaled", "product", "ceiling", "shifted", "sparse", "skewed", "sigmoid"]
    exact = observe(model, values, samples, rounding=UP, exact=True, histograms=True)
    quick = observe(model, values, samples, rounding=UP, histograms=True)
    for name in values:
        assert (quick[name].minimum, quick[name].maximum) == (exact[name].minimum, exact[name].maximum)
        for bits in (8, 16):
            for method in ("minmax", "percentile"):
                expected = choose_exponent(exact[name], bits, method)
                assert choose_exponent(quick[name], bits, method) == expected, (name, bits, method)
            candidates = exact[name].candidates[bits]
            chosen = choose_exponent(quick[name], bits)
            assert candidates.errors[chosen - candidates.first] <= 1.05 * min(candidates.errors), (name, bits)


def test_the_order_of_samples_counts_and_the_number_of_threads_does_not(rng: np.random.Generator) -> None:
    model, samples = heavy_net(rng), [{"x": rng.normal(size=(1, 8, 96, 96)).astype(np.float32)} for _ in range(5)]
    one, two, four = (observe(model, ["x", "product"], samples, rounding=UP, threads=n) for n in (1, 2, 4))
    for name in ("x", "product"):
        assert same(one[name], two[name])
        assert same(one[name], four[name])
    assert one.digest == two.digest
    assert observe(model, ["x"], samples[::-1], rounding=UP).digest != one.digest


def test_the_model_is_left_alone(rng: np.random.Generator) -> None:
    model = conv_net(rng)
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    observe(model, VALUES, pictures(rng, 1), rounding=UP)
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


def test_progress_and_laziness(rng: np.random.Generator) -> None:
    taken = 0

    def samples() -> Iterator[dict[str, np.ndarray]]:
        nonlocal taken
        for sample in pictures(rng, 6):
            taken += 1
            yield sample

    seen: list[tuple[int, int | None, int]] = []
    observe(
        conv_net(rng), ["y"], samples(), rounding=UP, progress=lambda done, total: seen.append((done, total, taken))
    )
    assert [done for done, _, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert all(total is None and ahead <= done + 1 for done, total, ahead in seen)
    seen.clear()
    observe(conv_net(rng), ["y"], pictures(rng, 2), rounding=UP, progress=lambda *at: seen.append((*at, 0)))
    assert seen == [(1, 2, 0), (2, 2, 0)]


def test_only_what_is_asked_for(rng: np.random.Generator) -> None:
    stats = observe(conv_net(rng), ["r"], pictures(rng, 2), rounding=UP, bits=(8,))
    assert list(stats) == ["r"]
    assert set(stats["r"].candidates) == {8}
    assert stats["r"].histogram is None
    inputs_only = observe(conv_net(rng), ["x"], pictures(rng, 2), rounding=UP)
    assert inputs_only["x"].count == 2 * 3 * 144
    assert isinstance(inputs_only, Stats)
    assert len(inputs_only) == 1


def test_memory_does_not_grow_with_the_number_of_samples(rng: np.random.Generator) -> None:
    model = conv_net(rng, size=96, channels=8)

    def samples(count: int) -> Iterator[dict[str, np.ndarray]]:
        for _ in range(count):
            yield {"x": rng.normal(size=(1, 3, 96, 96)).astype(np.float32)}

    def peak(count: int) -> int:
        tracemalloc.start()
        observe(model, VALUES, samples(count), rounding=UP, histograms=True)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(2)
    assert peak(60) <= 1.1 * peak(6)


def test_a_value_that_starts_at_zero_and_grows(rng: np.random.Generator) -> None:
    model = graph([("Relu", ["x"], ["y"], {})], {"x": (1, 3, 4, 4)}, ["y"])
    samples = [{"x": (scale * rng.normal(size=(1, 3, 4, 4))).astype(np.float32)} for scale in (0, 1, 4, 2)]
    stats = observe(model, ["y"], samples, rounding=UP, exact=True)["y"]
    array = np.maximum(np.concatenate([s["x"] for s in samples]), 0).reshape(-1)
    expected = [squared_error(array, e, 8, UP) for e in stats.candidates[8].exponents]
    assert list(stats.candidates[8].errors) == pytest.approx(expected, rel=1e-12)


def test_scalars_rows_and_empty_tensors(rng: np.random.Generator) -> None:
    nodes: list[Any] = [
        ("ReduceMean", ["x"], ["scalar"], {"keepdims": 0}),
        ("Slice", ["x", "zero", "zero", "one"], ["empty"], {}),
    ]
    constants = {"zero": np.array([0], np.int64), "one": np.array([1], np.int64)}
    model = graph(nodes, {"x": (1, 7)}, ["scalar", "empty"], constants)
    samples = [{"x": rng.normal(size=(1, 7)).astype(np.float32)} for _ in range(3)]
    stats = observe(model, ["x", "scalar", "empty"], samples, rounding=UP, histograms=True)
    assert stats["scalar"].count == 3
    assert stats["scalar"].channels is None
    assert (stats["empty"].count, stats["empty"].minimum, stats["empty"].mean) == (0, 0.0, 0.0)
    assert choose_exponent(stats["empty"], 8) == -7


def test_shapes_that_only_running_tells(rng: np.random.Generator) -> None:
    model = graph([("Relu", ["x"], ["y"], {})], {"x": ("n", 3)}, ["y"])
    samples = [{"x": rng.normal(size=(1, 3)).astype(np.float32)} for _ in range(4)]
    stats = observe(model, ["y"], samples, rounding=UP)
    assert stats["y"].count == 12
    assert stats["y"].maximum == max(s["x"].max() for s in samples)


def test_half_precision(rng: np.random.Generator) -> None:
    model = graph([("Relu", ["x"], ["y"], {})], {"x": (1, 3)}, ["y"], dtype=TensorProto.FLOAT16)
    sample = {"x": np.array([[1.5, -2, 0.25]], np.float16)}
    stats = observe(model, ["x", "y"], [sample], rounding=UP)
    assert (stats["x"].minimum, stats["y"].maximum) == (-2.0, 1.5)


def test_models_too_large_for_one_message_go_through_a_file(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, samples = conv_net(rng), pictures(rng, 2)
    direct = observe(model, VALUES, samples, rounding=UP)
    monkeypatch.setattr(session, "_PROTOBUF_LIMIT", 0)
    through_file = observe(model, VALUES, samples, rounding=UP)
    assert all(same(direct[name], through_file[name]) for name in VALUES)


def test_no_samples(rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match="calibration data: there are no samples"):
        observe(conv_net(rng), VALUES, [], rounding=UP)


def test_samples_the_model_cannot_take(rng: np.random.Generator) -> None:
    good = pictures(rng, 1)[0]
    with pytest.raises(DataError, match=r"sample 1: has inputs \['z'\], the model \['x'\]"):
        observe(conv_net(rng), ["y"], [good, {"z": good["x"]}], rounding=UP)
    for threads in (1, 2):
        with pytest.raises(DataError, match="sample 1: ONNX Runtime cannot run the model"):
            observe(conv_net(rng), ["y"], [good, {"x": good["x"][:, :2]}, good], rounding=UP, threads=threads)


def test_errors_of_the_data_come_through(rng: np.random.Generator) -> None:
    def samples() -> Iterator[dict[str, np.ndarray]]:
        yield pictures(rng, 1)[0]
        raise DataError("is broken", subject="sample 1")

    with pytest.raises(DataError, match="sample 1: is broken"):
        observe(conv_net(rng), ["y"], samples(), rounding=UP)


def test_networks_that_compute_nonsense(rng: np.random.Generator) -> None:
    model = graph([("Log", ["x"], ["y"], {})], {"x": (1, 2)}, ["y"])
    samples = [{"x": np.array([[1.0, last]], np.float32)} for last in (2.0, -1.0)]
    with pytest.raises(DataError, match="sample 1: the network itself computes NaN or infinity at 'y'"):
        observe(model, ["y"], samples, rounding=UP)
    with pytest.raises(DataError, match="sample 0: the network itself"):
        observe(model, ["y"], [{"x": np.zeros((1, 2), np.float32)}], rounding=UP)


def test_values_that_cannot_be_observed(rng: np.random.Generator) -> None:
    model, samples = conv_net(rng), pictures(rng, 1)
    with pytest.raises(ModelError, match="value 'nowhere': is not a value of the model"):
        observe(model, ["y", "nowhere"], samples, rounding=UP)
    with pytest.raises(ModelError, match="value 'w': is a constant"):
        observe(model, ["w"], samples, rounding=UP)
    shape = graph([("Shape", ["x"], ["s"], {}), ("Relu", ["x"], ["y"], {})], {"x": (1, 2)}, ["y"])
    with pytest.raises(ModelError, match=r"value 's': holds tensor\(int64\), not floats"):
        observe(shape, ["s"], [], rounding=UP)
    tokens = graph([("Identity", ["x"], ["y"], {})], {"x": (1, 2)}, ["y"], dtype=TensorProto.INT64)
    with pytest.raises(ModelError, match="input 'x': holds INT64, not floats"):
        observe(tokens, ["x"], [], rounding=UP)


def test_models_onnx_runtime_refuses() -> None:
    with pytest.raises(ModelError, match="net: ONNX Runtime cannot load the model"):
        observe(graph([("Relo", ["x"], ["y"], {})], {"x": (1, 2)}, ["y"]), ["y"], [], rounding=UP)


def test_a_product_that_is_transposed_as_well(rng: np.random.Generator) -> None:
    turned: list[Any] = [("Transpose", [a], [b], {"perm": [1, 0]}) for a, b in ("xt", "hy")]
    nodes = [turned[0], ("Gemm", ["t", "w"], ["h"], {}), turned[1]]
    w = rng.normal(size=(3, 4)).astype(np.float32)
    x = rng.normal(size=(3, 2)).astype(np.float32)
    seen = observe(graph(nodes, {"x": (3, 2)}, ["y"], {"w": w}), ["h", "y"], [{"x": x}], rounding=UP)
    assert seen["h"].maximum == seen["y"].maximum == pytest.approx((x.T @ w).max())
