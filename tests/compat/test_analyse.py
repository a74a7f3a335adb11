"""The analyses of the tutorials: what they return and print is of the exact simulation."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tinsmith
from tests.small_net import classifier, images, saved
from tinsmith.compat.esp_ppq import IR
from tinsmith.compat.esp_ppq.api import load_onnx_graph, quantize_onnx_model
from tinsmith.compat.esp_ppq.core import TargetPlatform
from tinsmith.compat.esp_ppq.IR.build import of_program
from tinsmith.compat.esp_ppq.quantization import analyse
from tinsmith.errors import DataError, MissingExtraError, ProgramError, RecipeError
from tinsmith.report.graphwise import graphwise
from tinsmith.report.layerwise import layerwise

BATCHES = [images(3, seed) for seed in range(3)]
SAMPLES = np.concatenate(BATCHES)
NONE = inspect.Parameter.empty
SIGNATURES: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (
        analyse.graphwise_error_analyse,
        {
            "graph": NONE,
            "running_device": NONE,
            "dataloader": NONE,
            "collate_fn": None,
            "method": "snr",
            "steps": 8,
            "verbose": True,
            "fetchs": 4096,
        },
    ),
    (
        analyse.layerwise_error_analyse,
        {
            "graph": NONE,
            "dataloader": NONE,
            "interested_outputs": None,
            "collate_fn": None,
            "running_device": "cuda",
            "method": "snr",
            "steps": 8,
            "verbose": True,
        },
    ),
    (
        analyse.statistical_analyse,
        {"graph": NONE, "running_device": NONE, "dataloader": NONE, "collate_fn": None, "steps": 8},
    ),
    (
        analyse.variable_analyse,
        {
            "graph": NONE,
            "dataloader": NONE,
            "interested_outputs": NONE,
            "collate_fn": None,
            "running_device": "cuda",
            "samples_per_step": 65536,
            "steps": 8,
            "dequantize": False,
        },
    ),
    (analyse.parameter_analyse, {"graph": NONE}),
]


@pytest.mark.parametrize(("function", "expected"), SIGNATURES, ids=lambda one: getattr(one, "__name__", ""))
def test_arguments(function: Callable[..., Any], expected: dict[str, Any]) -> None:
    found = {name: one.default for name, one in inspect.signature(function).parameters.items()}
    assert list(found.items()) == list(expected.items())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(classifier(), tmp_path_factory.mktemp("float") / "net.onnx")


@pytest.fixture(scope="module")
def graph(model: Path) -> IR.BaseGraph:
    found: IR.BaseGraph = quantize_onnx_model(str(model), BATCHES, 3, [1, 3, 8, 8], TargetPlatform.ESPDL_INT8)
    return found


@pytest.mark.parametrize(("method", "field"), [("snr", "noise"), ("cosine", "cosine"), ("mse", "mse")])
def test_figures_are_those_of_the_simulation(graph: IR.BaseGraph, method: str, field: str) -> None:
    quantized: tinsmith.Quantized = graph.quantized
    accumulated = analyse.graphwise_error_analyse(graph, "cpu", BATCHES, method=method, verbose=False)
    assert accumulated == {e.layer: getattr(e, field) for e in graphwise(quantized, SAMPLES)}
    assert list(accumulated) == ["conv", "pool", "gemm"]
    assert accumulated.keys() <= graph.operations.keys()
    alone = analyse.layerwise_error_analyse(graph, BATCHES, method=method, verbose=False)
    assert alone == {e.layer: getattr(e, field) for e in layerwise(quantized, SAMPLES)}


def test_the_table_is_printed(graph: IR.BaseGraph, capsys: pytest.CaptureFixture[str]) -> None:
    values = analyse.graphwise_error_analyse(graph, "cuda", BATCHES)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("|")[0].strip() == "Layer"
    assert "NOISE:SIGNAL POWER RATIO" in lines[0]
    ranked = sorted(values, key=lambda name: values[name], reverse=True)
    assert [line.split(":")[0] for line in lines[1:]] == ranked
    assert lines[1].endswith(f"{'█' * 20} | {values[ranked[0]] * 100:.3f}%")
    analyse.layerwise_error_analyse(graph, BATCHES, method="mse")
    assert "MSE LOSS(UNSCALED)" in capsys.readouterr().out


def test_steps_and_collate_functions(graph: IR.BaseGraph) -> None:
    some = analyse.graphwise_error_analyse(graph, "cpu", BATCHES, steps=2, verbose=False)
    assert some == analyse.graphwise_error_analyse(graph, "cpu", BATCHES[:2], verbose=False)
    pairs = [(batch, "label") for batch in BATCHES]
    same = analyse.graphwise_error_analyse(graph, "cpu", iter(pairs), lambda pair: pair[0], verbose=False)
    assert same == analyse.graphwise_error_analyse(graph, "cpu", BATCHES, verbose=False)


def test_outputs_of_interest(graph: IR.BaseGraph) -> None:
    inner = analyse.layerwise_error_analyse(graph, BATCHES, "pooled", verbose=False)
    assert inner["conv"] > 0
    assert inner["gemm"] == 0
    with pytest.raises(DataError, match=r"output 'poold'.*'pooled'"):
        analyse.layerwise_error_analyse(graph, BATCHES, ["poold"], verbose=False)


def test_statistics(graph: IR.BaseGraph) -> None:
    rows = analyse.statistical_analyse(graph, "cpu", BATCHES)
    keyed = {(row["Op name"], row["Variable name"]): row for row in rows}
    row = keyed["gemm", "scores"]
    quantized: tinsmith.Quantized = graph.quantized
    chip = tinsmith.dequantize(quantized.program, quantized.simulate(SAMPLES))["scores"].astype(np.float64)
    assert (row["Op type"], row["Is parameter"], row["Is input"], row["Is output"]) == ("Gemm", False, False, True)
    assert row["Quantized Mean"] == pytest.approx(chip.mean())
    assert row["Quantized Std"] == pytest.approx(chip.std(ddof=1))
    assert (row["Quantized Min"], row["Quantized Max"]) == (chip.min(), chip.max())
    assert (sum(row["Noise Hist"]), len(row["Noise Hist"])) == (chip.size, 32)
    assert row["Noise:Signal Power Ratio"] == pytest.approx(graphwise(quantized, SAMPLES)[-1].noise)
    weights = next(row for row in rows if row["Op name"] == "gemm" and row["Is parameter"])
    assert (weights["Is input"], weights["Is output"]) == (True, False)
    assert 0 < weights["Noise:Signal Power Ratio"] < 0.01
    assert keyed["conv", "image"]["Is input"]


def test_parameters(graph: IR.BaseGraph, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyse.parameter_analyse(graph) is None
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines if "Layer" in line] == [
        "Value Range",
        "Value Std",
        "Value Mean(Abs)",
    ]
    operation = graph.operations["gemm"]
    weights = operation.inputs[1]
    assert any(line.startswith(f"{weights.name}[gemm]:") and f"{np.ptp(weights.array):.4f}" in line for line in lines)


def test_histograms(graph: IR.BaseGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[str, Any]] = []
    pyplot = ModuleType("matplotlib.pyplot")
    pyplot.figure = lambda **options: None  # type: ignore[attr-defined]
    pyplot.title = lambda text: drawn.append(("title", text))  # type: ignore[attr-defined]
    pyplot.hist = lambda values, bins: drawn.append(("hist", np.sort(values)))  # type: ignore[attr-defined]
    pyplot.show = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "matplotlib", ModuleType("matplotlib"))
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", pyplot)
    analyse.variable_analyse(graph, BATCHES, "scores")
    quantized: tinsmith.Quantized = graph.quantized
    chip = tinsmith.dequantize(quantized.program, quantized.simulate(SAMPLES))["scores"]
    assert "scores" in drawn[0][1]
    assert np.array_equal(drawn[1][1], np.sort(chip.ravel()))
    analyse.variable_analyse(graph, BATCHES, ["scores"], dequantize=True)
    assert not np.array_equal(drawn[3][1], drawn[1][1])
    with pytest.raises(DataError, match=r"output 'score': the chip stores no such value.*'scores'"):
        analyse.variable_analyse(graph, BATCHES, ["score"])


def test_histograms_need_matplotlib(graph: IR.BaseGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtraError, match="pip install matplotlib"):
        analyse.variable_analyse(graph, BATCHES, "scores")


def test_graphs_that_are_not_quantized(graph: IR.BaseGraph, model: Path) -> None:
    with pytest.raises(ProgramError, match=r"graph: is not quantized.*espdl_quantize_onnx"):
        analyse.graphwise_error_analyse(load_onnx_graph(str(model)), "cpu", BATCHES)
    quantized: tinsmith.Quantized = graph.quantized
    with pytest.raises(ProgramError, match=r"comes from an \.espdl file"):
        analyse.layerwise_error_analyse(of_program(quantized.program, quantized.target), BATCHES)


def test_unknown_methods_and_data(graph: IR.BaseGraph) -> None:
    for function in (analyse.layerwise_error_analyse, analyse.graphwise_error_analyse):
        with pytest.raises(RecipeError, match="method: there is no 'sqnr'"):
            function(graph, dataloader=BATCHES, running_device="cpu", method="sqnr")
    with pytest.raises(DataError, match="holds no samples"):
        analyse.graphwise_error_analyse(graph, "cpu", 3)
