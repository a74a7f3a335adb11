"""What is written down is true: examples run, shown code is the code, citations and links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.shell import ok
from tests.quantized_net import with_pairs
from tests.small_net import answers, classifier, images, saved
from tinsmith.extras import installed

ROOT = Path(__file__).resolve().parents[1]
MANUAL = {"arithmetic": "docs/arithmetic.md", "file format": "docs/file_format.md", "design": "docs/design.md"}
CITATION = re.compile(r"\b(arithmetic|file format|design) ((?:§[\d.]*\d(?:, )?)+)")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks/README.md"]
SOURCES = [path for folder in ("src", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory that holds what the examples start from."""
    model, test = classifier(), images(8, seed=2)
    saved(model, tmp_path / "model.onnx")
    saved(with_pairs(classifier()), tmp_path / "qdq.onnx")
    np.save(tmp_path / "calibration.npy", images(8))
    np.save(tmp_path / "test.npy", test)
    np.save(tmp_path / "labels.npy", answers(model, test))
    np.save(tmp_path / "nhwc.npy", images(8).transpose(0, 2, 3, 1))
    np.savez(tmp_path / "data.npz", X=images(8), y=np.zeros(8, np.int64))
    (tmp_path / "recipe.toml").write_text(blocks(ROOT / "docs/recipes.md", "toml")[0], "utf-8")
    pictures = np.random.default_rng(0).integers(0, 256, (4, 12, 10, 3), np.uint8)
    (tmp_path / "images").mkdir()
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"images/{index}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", ["README.md", "docs/getting_started.md"])
def test_python_examples_run(page: str, desk: Path) -> None:
    (example,) = blocks(ROOT / page, "python")
    found: dict[str, object] = {}
    exec(compile(example, page, "exec"), found)
    files = ["model.espdl", "model.info", "model.json", "report.html", "report.json"]
    assert sorted(path.name for path in (desk / "build").iterdir()) == files
    on_chip = found["on_chip" if page == "README.md" else "reals"]
    assert isinstance(on_chip, dict)
    assert {name: array.shape for name, array in on_chip.items()} == {"scores": (8, 6)}


@pytest.mark.parametrize(
    "page", ["README.md", "docs/getting_started.md", "docs/data.md", "docs/recipes.md", "docs/report.md"]
)
def test_commands_run(page: str, desk: Path) -> None:
    lines = [line for block in blocks(ROOT / page, "sh") for line in block.splitlines() if line.startswith("tinsmith ")]
    assert len(lines) >= 2
    for line in lines:
        ok(*shlex.split(line, comments=True)[1:])


def test_the_recipes_page_is_true(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import tinsmith
    from tinsmith.recipe import Equalization, Recipe

    page = ROOT / "docs/recipes.md"
    (example,) = blocks(page, "python")
    exec(compile(example, str(page), "exec"), {"np": np, "tinsmith": tinsmith})
    assert "gemm Gemm int16 chosen by '^gemm$' of scope 1" in capsys.readouterr().out
    for block in blocks(page, "toml"):
        recipe = Recipe.parse(block)
        assert tinsmith.quantize("model.onnx", np.load("calibration.npy"), recipe=recipe).recipe == recipe
    text = page.read_text("utf-8")
    fields = {"preprocessing", "equalization", "scopes", "splits", *Equalization.model_fields}
    assert [name for name in Recipe.model_fields if name not in fields and f"`{name}" not in text] == []
    assert [name for name in Equalization.model_fields if f"`{name}`" not in text] == []


@pytest.mark.slow
def test_the_importing_page_is_true(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blocks run in order, commands after them; those of frameworks that are absent, or of files they write, do not."""
    page = ROOT / "docs/importing.md"
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    found: dict[str, object] = {}
    ran = 0
    for block in blocks(page, "python"):
        needed = re.findall(r"^(?:import|from) (torch|keras|tensorflow|jax2onnx|paddle)\b", block, flags=re.MULTILINE)
        if all(map(installed, needed)) and (needed or "torch" in found):
            exec(compile(block, str(page), "exec"), found)
            ran += 1
    printed = capsys.readouterr().out
    for line in (line for block in blocks(page, "sh") for line in block.splitlines()):
        words = shlex.split(line, comments=True)
        if words[:1] == ["tinsmith"] and Path(words[2]).exists() and (len(words) < 5 or Path(words[4]).exists()):
            ok(*words[1:])
            ran += 1
    assert ran >= 2
    if installed("torch"):
        assert blocks(page, "text")[0] in printed


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_targets_exist(page: Path) -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    shown = [line for block in blocks(page, "sh") for line in block.splitlines()]
    used = re.findall(r"`make ([a-z-]+)", page.read_text("utf-8")) + [
        word for line in shown for word in re.findall(r"^make ([a-z-]+)", line)
    ]
    assert set(used) <= known


def test_the_recipes_show_the_code_itself() -> None:
    homes = ("ops/transpose.py", "targets/pie_v2.py", "importers/tflite/families/activations.py")
    for example, home in zip(blocks(ROOT / "CONTRIBUTING.md", "python"), homes, strict=True):
        code = (ROOT / "src/tinsmith" / home).read_text("utf-8")
        lines = [line for line in example.splitlines() if line.strip()]
        assert [line for line in lines if line not in code.splitlines()] == []


def test_the_operator_recipe_lists_every_field() -> None:
    from dataclasses import fields

    from tinsmith.ops.base import Operator

    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), flags=re.MULTILINE)
    assert listed == [field.name for field in fields(Operator) if field.name not in ("name",)]


def sections(page: str) -> set[str]:
    """The numbers of its headings."""
    return set(re.findall(r"^##+ (\d+(?:\.\d+)?)[. ]", (ROOT / page).read_text("utf-8"), flags=re.MULTILINE))


def test_citations_lead_to_sections_of_the_manual() -> None:
    known = {name: sections(page) for name, page in MANUAL.items()}
    assert all(len(found) >= 8 for found in known.values())
    cited = [
        (f"{name_of(path)}: {name} §{number}", number in known[name])
        for path in (*SOURCES, *PAGES)
        for name, numbers in CITATION.findall(path.read_text("utf-8"))
        for number in re.findall(r"[\d.]*\d", numbers)
    ]
    assert len(cited) > 40
    assert [what for what, leads in cited if not leads] == []


def test_every_section_sign_belongs_to_a_citation() -> None:
    lost = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in (*SOURCES, *PAGES)
        if path != Path(__file__).resolve()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if "§" in CITATION.sub("", line)
    ]
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)\)", page.read_text("utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists() and "generated/" not in t]
    assert missing == []
