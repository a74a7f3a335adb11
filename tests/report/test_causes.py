"""Each planted defect is named where it was planted, and what is proposed against it helps when it is done."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import onnx
import pytest

import tinsmith
from tests.cli.shell import ok
from tests.report.analysed import pictures, pyramid
from tests.report.examined import Examined, examined
from tests.report.planted import EVERY, Planted
from tinsmith.program import Program
from tinsmith.report.actions import actions
from tinsmith.report.causes import causes
from tinsmith.report.commands import Places
from tinsmith.report.evaluate import evaluate
from tinsmith.report.mattering import FINE, mattering, output_noise
from tinsmith.report.tensors import TensorStatistics

GAIN = 3.0
"""Decibels that a remedy gains at least: half of the noise goes away."""


class Bench:
    """A planted network, quantized and examined, with its files."""

    def __init__(self, name: str, folder: Path) -> None:
        self.planted: Planted = EVERY[name]()
        self.places = Places(*(str(folder / part) for part in ("net.onnx", "data.npy", "model.espdl", "again")))
        onnx.save(self.planted.model, self.places.model)
        np.save(self.places.data, self.planted.data)
        self.quantized = tinsmith.quantize(self.planted.model, self.planted.data, self.planted.target, effort="fast")
        self.quantized.save(folder)
        self.examined: Examined = examined(self.quantized, self.planted.data, self.places)

    def snr(self, program: Program, samples: int | None = None) -> float:
        found = evaluate(program, self.planted.data[:samples], float_model=self.planted.model)
        return found.outputs["end"].snr_db

    def done(self, command: str) -> Program:
        """What a proposed command makes."""
        words = shlex.split(command)
        assert words[:2] == ["tinsmith", "quantize"]
        ok(*words[1:], "--no-report")
        return tinsmith.read(Path(self.places.folder) / "model.espdl")


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bench]:
    return {name: Bench(name, tmp_path_factory.mktemp(name)) for name in EVERY}


@pytest.mark.parametrize("name", EVERY)
def test_the_planted_cause_is_found_where_it_was_planted(benches: dict[str, Bench], name: str) -> None:
    bench = benches[name]
    kinds = bench.examined.kinds()
    assert {layer: kinds.get(layer) for layer in bench.planted.layers} == dict.fromkeys(
        bench.planted.layers, bench.planted.kind
    )
    worst = max(bench.examined.alone, key=lambda error: error.noise).layer
    assert next(iter(kinds)) == worst in bench.planted.layers


@pytest.mark.parametrize("name", EVERY)
def test_what_is_proposed_for_a_cause_helps(benches: dict[str, Bench], name: str) -> None:
    bench = benches[name]
    before = bench.snr(bench.quantized.program)
    commands = {bench.examined.causes[layer][0].action.command for layer in bench.planted.layers}
    assert commands
    for command in commands:
        assert bench.snr(bench.done(command)) > before + GAIN, command


@pytest.mark.parametrize("name", EVERY)
def test_every_action_runs_and_does_what_it_says(benches: dict[str, Bench], name: str) -> None:
    bench = benches[name]
    seen = bench.examined
    found = actions(bench.quantized, seen.accumulated, seen.alone, seen.causes, seen.samples, places=bench.places)
    assert 1 <= len(found) <= 5
    assert len({action.command for action in found}) == len(found)
    made = {action.title: bench.done(action.command) for action in found}
    before = bench.snr(bench.quantized.program)
    gains = {title: bench.snr(program) - before for title, program in made.items()}
    assert gains[found[0].title] > GAIN
    for action in found:
        if "measured on 8 samples" in action.effect:
            first, last = (float(action.effect.split()[word]) for word in (0, 2))
            assert bench.snr(bench.quantized.program, 8) == pytest.approx(first, abs=0.06)
            assert bench.snr(made[action.title], 8) == pytest.approx(last, abs=1.0), action
    assert any("measured" in action.effect for action in found)


def test_evidence_has_the_numbers(benches: dict[str, Bench]) -> None:
    def evidence(name: str) -> str:
        bench = benches[name]
        return bench.examined.causes[bench.planted.layers[0]][0].evidence

    assert evidence("few_elements") == (
        "Less than 0.1 % of the elements of 'x' reach up to 50, all others stay below 1. "
        "Without these, 96 % of the layer's noise would go."
    )
    assert evidence("few_weights").startswith(
        "Less than 1.0 % of the weights 'w' reach up to 5.77, all others stay below 0.0962."
    )
    assert evidence("large_channel").startswith("Channel 3 of 'a' reaches 3")
    assert "the median channel 0." in evidence("large_channel")
    assert evidence("unlike_depthwise").startswith(
        "Channel 0 of the weights 'w' reaches 0.333, the median channel 0.0104"
    )
    assert "could have steps of 2^-7; it has 2^-1, the exponent of 'a', which reaches 45" in evidence("joined")
    assert "is a constant shift of each channel" in evidence("shifted")
    assert evidence("saturating") == (
        "Sums of products saturate the 20-bit accumulator. In a wider one, all of the layer's noise would go."
    )
    assert "fills its format, which ends at 0.992; its steps are 0.00781" in evidence("differences")


def test_a_layer_that_reads_a_coarse_tensor_gets_it_wide_from_whoever_computes_it(benches: dict[str, Bench]) -> None:
    found = benches["differences"].examined.causes["taking"][0].action
    assert found.layers == ("pairs", "taking")
    assert "--int16 pairs --int16 taking" in found.command


def test_weights_that_were_fitted_have_no_mean_to_correct(benches: dict[str, Bench]) -> None:
    bench = benches["shifted"]
    planted = bench.planted
    tuned = tinsmith.quantize(planted.model, planted.data, planted.target, algorithms=("correct_bias",))
    assert "mean shift" not in examined(tuned, planted.data).kinds().values()


def test_nothing_is_said_where_nothing_is_wrong() -> None:
    quantized = tinsmith.quantize(pyramid(), pictures(16), "esp32p4", bits=16)
    found = examined(quantized, pictures(8, seed=5))
    assert output_noise(quantized, found.accumulated) < FINE
    assert found.causes == {}
    assert actions(quantized, found.accumulated, found.alone, found.causes, found.samples) == ()


def test_without_layerwise_noise_the_jumps_of_graphwise_tell(benches: dict[str, Bench]) -> None:
    bench = benches["large_channel"]
    seen = bench.examined
    assert next(iter(mattering(bench.quantized, seen.accumulated, ()))) in bench.planted.layers
    found = causes(bench.quantized, seen.accumulated, (), seen.statistics, seen.samples)
    assert found["second"][0].kind == "channel imbalance"


def test_the_first_calibration_sample_does_where_there_are_no_others(benches: dict[str, Bench]) -> None:
    bench = benches["large_channel"]
    seen = bench.examined
    found = causes(bench.quantized, seen.accumulated, seen.alone, seen.statistics)
    assert found["first"][0].kind == "channel imbalance"
    acts = actions(bench.quantized, seen.accumulated, seen.alone, found)
    assert any(action.effect.endswith("of the noise of all, estimated") for action in acts)


def test_a_layer_nobody_looked_at_is_rounded_too_coarsely(benches: dict[str, Bench]) -> None:
    bench = benches["large_channel"]
    seen = bench.examined
    found = causes(bench.quantized, seen.accumulated, seen.alone, TensorStatistics(bench.quantized), seen.samples)
    assert found["first"][0].kind == "too coarse"
    assert found["first"][0].evidence.startswith("What it computes is rounded to 8 bits.")
