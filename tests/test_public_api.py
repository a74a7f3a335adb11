"""The public names: listed, importable, documented, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tinsmith

STABLE = {"Program", "Quantized", "Simulator", "quantize", "read", "simulate", "write"}


def public_names() -> set[str]:
    """Names a fresh interpreter shows on the package once every lazy one has been loaded."""
    script = (
        "import types, tinsmith\n"
        "for name in tinsmith.__all__: getattr(tinsmith, name)\n"
        "for name in dir(tinsmith):\n"
        "    if not name.startswith('_') and not isinstance(getattr(tinsmith, name), types.ModuleType): print(name)\n"
    )
    return set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )


def test_all_is_the_public_surface() -> None:
    listed = {name for name in tinsmith.__all__ if not name.startswith("_")}
    assert public_names() - {"annotations", "TYPE_CHECKING", "Any"} == listed
    assert listed >= STABLE


def test_all_names_each_once() -> None:
    assert len(set(tinsmith.__all__)) == len(tinsmith.__all__)


@pytest.mark.parametrize("name", sorted(STABLE))
def test_documented(name: str) -> None:
    assert (getattr(tinsmith, name).__doc__ or "").strip()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="quantise"):
        tinsmith.quantise  # noqa: B018
