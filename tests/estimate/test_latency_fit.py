"""How far the model is off on measurements, and that its constants are the ones the benchmark fits."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.shared import shared_path
from tinsmith.estimate.latency import FIXED, memory_of, milliseconds
from tinsmith.estimate.latency_constants import FITTED, MEDIAN_ERROR, PRIORS, WORST_ERROR

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # its files are scripts

import latency_fit  # noqa: E402


@cache
def measured() -> tuple[list[latency_fit.Row], list[latency_fit.Row]]:
    table, kernels = shared_path("spec/published.csv"), shared_path("spec/kernels.csv")
    return latency_fit.model_rows(table, shared_path("golden/published")), latency_fit.kernel_rows(kernels)


@cache
def errors(*, families: bool = False) -> list[float]:
    return latency_fit.left_out(*measured(), families=families)


@pytest.mark.parametrize("families", [False, True])
def test_models_are_predicted_from_the_others(families: bool) -> None:
    sizes = np.abs(errors(families=families))
    assert len(sizes) == 20
    assert np.median(sizes) <= 0.15
    assert sizes.max() <= 0.40


def test_the_error_that_reports_state_is_not_smaller() -> None:
    sizes = np.abs(errors())
    assert np.median(sizes) <= MEDIAN_ERROR
    assert sizes.max() <= WORST_ERROR


@pytest.mark.slow
def test_the_error_that_reports_state() -> None:
    arguments = [shared_path(name) for name in ("spec/published.csv", "spec/kernels.csv", "golden/published")]
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "latency_limits.py", *arguments], capture_output=True, text=True, check=True
    )
    assert f"model left out: median {MEDIAN_ERROR:.1%}, worst {WORST_ERROR:.1%}" in done.stdout


def test_the_constants_are_those_of_the_fit() -> None:
    rows, kernels = measured()
    assert {name: float(f"{value:.3g}") for name, value in latency_fit.fit([*rows, *kernels]).items()} == FITTED


def test_the_manual_lists_the_constants_and_the_errors() -> None:
    manual = (BENCHMARKS.parent / "docs/latency.md").read_text(encoding="utf-8")
    for name, value in FITTED.items():
        assert f"| {name} | {value:g} |" in manual
    for row, error in zip(measured()[0], errors(), strict=True):
        begin = f"| {Path(row.model).stem} | {row.target} | {latency_fit.MODES[row.mode]} | {row.measured:.1f} | "
        (line,) = (line for line in manual.split("\n") if line.startswith(begin))
        assert line.split(" | ")[5] == f"{error:+.1%}"


def test_single_kernels() -> None:
    """Aligned and large enough ones; the smallest ones spend their time on starting."""
    assert np.median([abs(latency_fit.error(row, FITTED)) for row in measured()[1]]) <= 0.15


def test_a_fit_finds_the_constants_that_made_the_rows(rng: np.random.Generator) -> None:
    wanted = {name: value * float(rng.uniform(0.5, 2)) for name, value in PRIORS.items()} | {latency_fit.PACE: 0.8}
    rows = []
    for _ in range(300):
        for chip, other in (("esp32s3", "esp32p4"), ("esp32p4", "esp32s3")):
            amounts = {
                name: float(rng.uniform(0, 1)) / value
                for name, value in PRIORS.items()
                if name not in (latency_fit.PACE, memory_of(other))
            } | {FIXED: 0.5}
            rows.append(latency_fit.Row("m", chip, "default", milliseconds(amounts, chip, wanted), amounts))
    assert latency_fit.fit(rows) == pytest.approx(wanted, rel=0.1)


def test_no_constant_is_negative(rng: np.random.Generator) -> None:
    rows = []
    for index in range(100):
        amounts = {"node": float(rng.uniform(0.1, 1)), "element": float(rng.uniform(0.1, 1))}
        measured_ms = 8.0 * amounts["node"] / (1 + amounts["element"])  # more elements, less time
        rows.append(latency_fit.Row(f"m{index}", "esp32s3", "default", measured_ms, amounts))
    constants = latency_fit.fit(rows)
    assert constants["element"] == 0
    assert min(constants.values()) >= 0


def test_the_benchmark_prints_what_it_found() -> None:
    arguments = [shared_path(name) for name in ("spec/published.csv", "spec/kernels.csv", "golden/published")]
    check: list[str | Path] = ["--check", arguments[0], arguments[2]]
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "latency.py", *arguments, *check], capture_output=True, text=True, check=True
    )
    assert "model left out: median 4.4%, worst 10.1%" in done.stdout
    assert "with tinsmith's constants: median" in done.stdout
