"""The table of the tutorials, line by line."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest

from tinsmith.errors import RecipeError
from tinsmith.report.error_grid import error_grid
from tinsmith.report.error_table import Method, bar_table, error_table, figures
from tinsmith.report.layer_error import LayerError
from tinsmith.report.terminal import console

ERRORS = (
    LayerError("conv", "Conv", "int8", 0.01, 0.995, 0.25, "relu"),
    LayerError("/b/Gemm", "Gemm", "int16", 0.05, 0.97, 0.125),
    LayerError("add", "Add", "int8", 0.03, 0.99, 0.5),
)


def test_noise_over_signal() -> None:
    assert error_table(figures(ERRORS)).splitlines() == [
        "Layer    | NOISE:SIGNAL POWER RATIO",
        "/b/Gemm: | ████████████████████ | 5.000%",
        "add:     | ██████████           | 3.000%",
        "conv:    |                      | 1.000%",
    ]


def test_the_smallest_cosine_is_the_worst() -> None:
    assert error_table(figures(ERRORS, "cosine"), "cosine").splitlines() == [
        "Layer    | COSINE SIMILARITY",
        "/b/Gemm: |                      | 97.000%",
        "add:     | ████████████████     | 99.000%",
        "conv:    | ████████████████████ | 99.500%",
    ]


def test_mean_squared_errors_are_no_shares() -> None:
    assert error_table(figures(ERRORS, "MSE"), "MSE", label="Operator in question").splitlines() == [
        "Operator in question  | MSE LOSS(UNSCALED)",
        "add:                  | ████████████████████ | 0.5000",
        "conv:                 | ███████              | 0.2500",
        "/b/Gemm:              |                      | 0.1250",
    ]


def test_figures_that_are_no_numbers() -> None:
    lines = bar_table({"a": 1.0, "b": inf, "c": nan}, Method("ANY", percent=False)).splitlines()
    assert [line.split(":")[0] for line in lines[1:]] in (["b", "c", "a"], ["c", "b", "a"])
    assert "a:     |                      | 1.0000" in lines
    assert bar_table({}, Method("ANY", percent=False)) == "Layer  | ANY"


def test_unknown_methods() -> None:
    with pytest.raises(RecipeError, match=r"method: there is no 'cosin'\. Did you mean 'cosine'\?"):
        figures(ERRORS, "cosin")
    with pytest.raises(RecipeError, match="Choose one of 'snr', 'cosine', 'mse'"):
        error_table({}, "energy")


def test_the_grid_is_sorted_by_what_layers_do_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    alone = [replace(error, noise=noise) for error, noise in zip(ERRORS, (0.4, 0.1, 0.2), strict=True)]

    def layers(*arguments: object) -> list[str]:
        console().print(error_grid(ERRORS, *arguments))  # type: ignore[arg-type]
        rows = capsys.readouterr().out.splitlines()[3:]
        return [row.split()[0] for row in rows if row.strip()]

    assert layers() == ["/b/Gemm", "add", "conv"]
    assert layers(alone) == ["conv", "add", "/b/Gemm"]
    assert layers(alone, 2) == ["conv", "add"]
