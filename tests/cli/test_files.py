"""``tinsmith inspect``, ``diff``, ``twin``, ``targets`` and ``ops``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import tinsmith as package
from tests.cli.conftest import Workshop
from tests.cli.shell import error, ok, rows, tinsmith
from tests.small_net import images
from tinsmith.ops import operators
from tinsmith.targets import TARGETS


def test_inspect(workshop: Workshop) -> None:
    said = ok("inspect", workshop.espdl)
    assert "target: esp32s3" in said
    assert [row[1] for row in rows(said) if row[0].isdecimal() and row[1] in operators()] == [
        node.op_type for node in package.read(workshop.espdl).nodes
    ]


def test_inspect_shows_recipe_and_choices(workshop: Workshop) -> None:
    lines = ok("inspect", workshop.espdl).splitlines()
    assert lines[lines.index("  recipe:") + 1] == '    target = "esp32s3"'
    start = lines.index("  choices:") + 1
    assert lines[start : start + 3] == [
        '    effort = "default"', '    won = "equalized, rounded for the data"', "    [snr_db]",
    ]  # fmt: skip


def test_inspect_prints_the_recipe_alone(workshop: Workshop, tmp_path: Path) -> None:
    program = package.read(workshop.espdl)
    assert ok("inspect", workshop.espdl, "--recipe") == program.metadata["recipe"]
    package.write(replace(program, metadata={}), tmp_path / "bare.espdl")
    assert "bare.espdl: holds no recipe." in error("inspect", tmp_path / "bare.espdl", "--recipe")


def test_diff_names_the_lines_of_a_recipe_that_differ(workshop: Workshop, tmp_path: Path) -> None:
    program = package.read(workshop.espdl)
    text = program.metadata["recipe"].replace("bits = 8", "bits = 16")
    package.write(replace(program, metadata={**program.metadata, "recipe": text}), tmp_path / "other.espdl")
    outcome = tinsmith("diff", workshop.espdl, tmp_path / "other.espdl")
    assert outcome.out == "metadata 'recipe': bits = 8 → bits = 16\n"
    package.write(replace(program, metadata={**program.metadata, "recipe": f"{text}x = 1\n"}), tmp_path / "b.espdl")
    outcome = tinsmith("diff", tmp_path / "other.espdl", tmp_path / "b.espdl")
    assert outcome.out == "metadata 'recipe': nothing → x = 1\n"


def test_diff_of_equal_files(workshop: Workshop, tmp_path: Path) -> None:
    copy = tmp_path / "kopie.espdl"
    copy.write_bytes(workshop.espdl.read_bytes())
    assert ok("diff", workshop.espdl, copy) == "The files hold the same program.\n"


def test_diff_lists_what_differs_and_exits_with_1(workshop: Workshop, tmp_path: Path) -> None:
    program = package.read(workshop.espdl)
    name = next(iter(program.metadata))
    package.write(replace(program, metadata={**program.metadata, name: "other"}), tmp_path / "other.espdl")
    outcome = tinsmith("diff", workshop.espdl, tmp_path / "other.espdl")
    assert (outcome.code, outcome.err) == (1, "")
    assert outcome.out.count("\n") == 1
    assert name in outcome.out


def test_twin(workshop: Workshop, tmp_path: Path) -> None:
    path = tmp_path / "neu" / "twin.onnx"
    assert ok("twin", workshop.espdl, "-o", path) == f"{path}  {path.stat().st_size:,} bytes\n"
    program, samples = package.read(workshop.espdl), images(5, seed=7)
    (scores,) = onnxruntime.InferenceSession(path).run(None, {"image": samples})
    expected = package.dequantize(program, package.simulate(program, {"image": samples}))
    np.testing.assert_array_equal(scores, expected["scores"])


@pytest.mark.parametrize("arguments", [("inspect",), ("run",), ("diff", "{}"), ("twin", "-o", "{}.onnx")])
def test_files_that_are_no_espdl(workshop: Workshop, arguments: tuple[str, ...]) -> None:
    command, *rest = (argument.format(workshop.labels) for argument in arguments)
    message = error(command, workshop.labels, *rest)
    assert message.startswith(f"error: {workshop.labels}: ")


def test_a_truncated_file(workshop: Workshop, tmp_path: Path) -> None:
    path = tmp_path / "abgeschnitten.espdl"
    path.write_bytes(workshop.espdl.read_bytes()[:-100])
    assert error("inspect", path).startswith(f"error: {path}: ")


def test_targets() -> None:
    listed = rows(ok("targets"))
    assert [row[0] for row in listed if row[0] in TARGETS] == list(TARGETS)
    (s3,) = (row for row in listed if row[0] == "esp32s3")
    assert "20 bit, saturating" in " ".join(s3)


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4"])
def test_ops(target: str) -> None:
    said = ok("ops", "--target", target)
    assert said.splitlines()[0].startswith(f"{target}, ESP-DL 3.")
    importable = {name: found for name, found in operators().items() if found.importable}
    assert [row[0] for row in rows(said) if row[0] in operators() and "yes" in row] == list(importable)
    text = " ".join(said.split())
    for operator in importable.values():
        assert all(constraint.message in text for constraint in operator.constraints)


def test_ops_of_an_unknown_chip() -> None:
    assert error("ops", "--target", "esp32p5").startswith("error: target: unknown target 'esp32p5'. Did you mean")
