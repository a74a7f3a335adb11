"""What a fresh install of the core adds to an empty environment, in MB and by package."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from measures import Figure

ROOT = Path(__file__).resolve().parents[1]


def installing() -> list[Figure]:
    """Installs the core into a throwaway environment and measures its site-packages."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin/python"
        before = sum(_sizes(Path(folder)).values())
        pip = [str(python), "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
        subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), str(ROOT)], check=True)
        sizes = _sizes(Path(folder))
    total = sum(sizes.values()) - before
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:6]
    parts = ", ".join(f"{name} {size / 1e6:.0f}" for name, size in largest if name != "pip")
    return [Figure("fresh core install", f"{total / 1e6:.0f} MB", parts, "≤ 250 MB", total <= 250e6)]


def _sizes(environment: Path) -> dict[str, int]:
    """Bytes by top-level entry of site-packages."""
    (packages,) = environment.glob("lib/python*/site-packages")
    return {
        entry.name: sum(path.stat().st_size for path in [entry, *entry.rglob("*")] if path.is_file())
        for entry in packages.iterdir()
    }
