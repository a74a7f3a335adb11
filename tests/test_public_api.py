"""The public names: listed, importable, documented, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import tinsmith

STABLE = {"Program", "Quantized", "Simulator", "quantize", "read", "simulate", "write"}
NAMES = sorted(name for name in tinsmith.__all__ if not name.startswith("_"))


def test_all_is_the_public_surface() -> None:
    assert len(set(tinsmith.__all__)) == len(tinsmith.__all__)
    assert set(NAMES) >= STABLE
    assert set(dir(tinsmith)) == set(tinsmith.__all__)


def test_nothing_else_looks_public() -> None:
    plumbing = {"Any", "TYPE_CHECKING", "annotations"}
    visible = {
        name for name, value in vars(tinsmith).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert visible - plumbing <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_importable_and_documented(name: str) -> None:
    assert (getattr(tinsmith, name).__doc__ or "").strip()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_keeps_its_meaning_when_rooms_of_the_same_name_are_loaded(name: str) -> None:
    script = (
        "import tinsmith, types\n"
        f"first = tinsmith.{name}\n"
        "import tinsmith.simulator.run, tinsmith.pipeline, tinsmith.espdl, tinsmith.verdict.deciding\n"
        f"assert tinsmith.{name} is first and not isinstance(first, types.ModuleType), tinsmith.{name}\n"
        f"from tinsmith import {name} as again\n"
        "assert again is first, again\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="quantise"):
        tinsmith.quantise  # noqa: B018
