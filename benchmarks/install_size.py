"""What a fresh install of the core adds to an empty environment, in MB and by package."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from measures import Figure

ROOT = Path(__file__).resolve().parents[1]
BOUND = 250


def installing() -> list[Figure]:
    """Installs the core into a throwaway environment and measures its site-packages.

    First as unpacked, as `pip install --no-compile`, uv and the Makefile leave it; then with the bytecode of every
    module, which a plain `pip install` adds at once and others add for the modules that are imported.
    """
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python, environment = str(Path(folder) / "bin/python"), Path(folder)
        before = sum(_sizes(environment).values())
        pip = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
        subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), str(ROOT)], check=True)
        unpacked = _sizes(environment)
        packages = [str(path) for path in _entries(environment) if not path.name.startswith(("pip", "setuptools"))]
        subprocess.run([python, "-m", "compileall", "-q", *packages], check=False, capture_output=True)
        compiled = _sizes(environment)
    total, with_bytecode = ((sum(sizes.values()) - before) / 1e6 for sizes in (unpacked, compiled))
    return [
        Figure("fresh core install", f"{total:.0f} MB", _largest(unpacked), f"≤ {BOUND} MB", total <= BOUND),
        Figure("… and all bytecode", f"{with_bytecode:.0f} MB", _largest(compiled)),
    ]


def _entries(environment: Path) -> list[Path]:
    (packages,) = environment.glob("lib/python*/site-packages")
    return list(packages.iterdir())


def _sizes(environment: Path) -> dict[str, int]:
    """Bytes by top-level entry of site-packages."""
    return {
        entry.name: sum(path.stat().st_size for path in [entry, *entry.rglob("*")] if path.is_file())
        for entry in _entries(environment)
    }


def _largest(sizes: dict[str, int]) -> str:
    ours = sorted(((size, name) for name, size in sizes.items() if name not in ("pip", "setuptools")), reverse=True)
    return ", ".join(f"{name} {size / 1e6:.0f}" for size, name in ours[:6])
