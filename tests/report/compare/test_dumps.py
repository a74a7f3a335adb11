"""Dumped tensors: written, read again, damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tinsmith
from tests.report.analysed import pictures, pyramid
from tests.report.compare.nets import log_of, made
from tinsmith.cli.arrays import save_arrays
from tinsmith.errors import DataError
from tinsmith.program import Array
from tinsmith.report.compare import compare, dump
from tinsmith.report.compare.table import verdict_lines
from tinsmith.report.compare.tensor_files import file_names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What ``dump`` writes of two samples."""
    dump(made().program, {"x": pictures(2)}, tmp_path / "dump")
    return tmp_path / "dump"


def run(count: int = 1) -> dict[str, Array]:
    return tinsmith.simulate(made().program, {"x": pictures(count)}, save_all=True)


def test_a_dump_equals_the_program_it_comes_from(folder: Path) -> None:
    program = made().program
    for found in (compare(program, folder), compare(folder, program)):
        assert (found.diverged, found.inputs, found.samples) == (False, "the inputs in the dump", 2)
        assert len(found.rows) == len(program.values)
        assert {row.elements for row in found.rows if row.name == "x"} == {2 * 768}
        assert found.only_first == found.only_second == ()
    assert compare(program, folder, samples=1).samples == 1
    assert [row.name for row in compare(folder, program).rows] == [row.name for row in compare(program, program).rows]


def test_two_dumps(folder: Path, tmp_path: Path) -> None:
    assert not compare(folder, folder).diverged
    dump(made().program, {"x": pictures(2)}, tmp_path / "other")
    array = np.load(tmp_path / "other" / "c3.npy")
    array[1, 2, 3, 4] += 2
    np.save(tmp_path / "other" / "c3.npy", array)
    found = compare(folder, tmp_path / "other")
    assert found.first is not None
    assert (found.first.name, found.first.node, found.first.at) == ("c3", "", (1, 2, 3, 4))
    assert (found.first.mismatches, found.first.steps) == (1, 2)
    assert found.inputs == "what they were run on is not known here"


def test_the_second_of_two_samples_is_at_fault(folder: Path) -> None:
    array = np.load(folder / "a4.npy")
    array[1, 0, 0, 3] -= 1
    np.save(folder / "a4.npy", array)
    found = compare(made().program, folder)
    assert found.first is not None
    assert (found.first.name, found.first.node, found.first.mismatches) == ("a4", "strided", 1)
    assert not compare(made().program, folder, samples=1).diverged
    assert not compare(made().program, folder, tolerance=1).diverged


def test_every_form_of_a_dump(tmp_path: Path) -> None:
    program, tensors = made().program, run()
    (tmp_path / "loose").mkdir()
    for name, file in file_names(list(tensors)).items():
        np.save(tmp_path / "loose" / file, tensors[name])
    (tmp_path / "board.log").write_text(log_of(program, tensors))
    archive = save_arrays(tmp_path / "all.npz", {name.replace("/", "|"): a for name, a in tensors.items()})
    wide = {name: array.astype(np.int64) for name, array in tensors.items()}
    reals = {name: np.ldexp(array.astype(np.float32), program.values[name].exponent) for name, array in tensors.items()}
    for source in (tmp_path / "loose", tmp_path / "board.log", archive, tensors, wide, reals):
        found = compare(program, source)
        assert not found.diverged
        assert {row.diverged for row in found.rows} == {False}
        assert len(found.rows) == len(tensors)


def test_a_log_that_powershell_wrote(tmp_path: Path) -> None:
    (tmp_path / "output").write_text(log_of(made().program, run()), "utf-16")
    assert not compare(made().program, tmp_path / "output").diverged


def test_a_board_with_other_exponents_runs_another_file(tmp_path: Path) -> None:
    text = log_of(made().program, run())
    exponent = made().program.values["c2"].exponent
    (tmp_path / "board.log").write_text(text.replace(f"c2 int8 {exponent}", f"c2 int8 {exponent + 1}"))
    found = compare(made().program, tmp_path / "board.log")
    assert found.first is not None
    assert (found.first.name, found.first.second) == ("c2", f"int8 · 2^{exponent + 1}")


def test_raw_files_in_a_folder(tmp_path: Path) -> None:
    program, tensors = made().program, run()
    index = {}
    for number, (name, array) in enumerate(tensors.items()):
        array.tofile(tmp_path / f"{number}.bin")
        index[name] = {"file": f"{number}.bin", "dtype": array.dtype.name, "shape": list(array.shape)}
    (tmp_path / "tensors.json").write_text(json.dumps(index))
    assert not compare(program, tmp_path).diverged


def test_values_of_a_float_network_in_a_dump(tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    model = pyramid()
    names = ["c1", "a1", "c2", "c3", "s", "a4"]
    model.graph.output.extend(map(onnx.helper.make_empty_tensor_value_info, names))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found = dict(zip([o.name for o in session.get_outputs()], session.run(None, {"x": pictures(1)}), strict=True))
    np.savez(tmp_path / "floats.npz", x=pictures(1), **found)
    dumped = compare(made().program, tmp_path / "floats.npz")
    direct = compare(made().program, pyramid(), pictures(1))
    known = {row.name: row for row in direct.rows}
    assert not dumped.judged
    assert {row.name for row in dumped.rows} == {"x", *names, "scores"} & set(known)
    for row in dumped.rows:
        assert (row.largest, row.snr_db) == (
            pytest.approx(known[row.name].largest, rel=1e-4),
            pytest.approx(known[row.name].snr_db, rel=1e-4),
        )
    floats = compare(pyramid(), tmp_path / "floats.npz")
    assert floats.diverged is False
    assert len(floats.rows) == len(names) + 2


def test_a_dump_and_the_float_model(tmp_path: Path) -> None:
    program, tensors = made().program, run()
    (tmp_path / "board.log").write_text(log_of(program, tensors))
    direct = compare(program, pyramid(), tensors["x"])
    found = compare(tmp_path / "board.log", pyramid())
    assert found.inputs == "the inputs in the dump"
    known = {row.name: row.largest for row in direct.rows}
    assert {row.name: row.largest for row in found.rows} == known
    with pytest.raises(DataError, match="without an exponent"):
        compare(tensors, pyramid())
    with pytest.raises(DataError, match="without an exponent"):
        compare(tensors, pyramid(), pictures(1))


def test_without_inputs_something_has_to_be_given() -> None:
    tensors = run()
    del tensors["x"]
    program = replace(made().program, test_inputs={})
    with pytest.raises(DataError, match=r"holds no inputs.*--input.*\['x'\]"):
        compare(program, tensors)
    found = compare(program, tensors, np.concatenate([pictures(1), pictures(3, seed=5)]))
    assert (found.diverged, found.samples, found.only_first) == (False, 1, ("x",))
    embedded = compare(made().program, tensors)
    assert embedded.inputs == "the test sample in the file"


def test_nan_and_infinity(tmp_path: Path) -> None:
    ours = {"a": np.array([1.0, np.nan, np.inf, 2.0], np.float32), "b": np.array([0.0, 1.0], np.float32)}
    same = compare(ours, {name: array.copy() for name, array in ours.items()})
    assert not same.diverged
    theirs = {"a": np.array([1.0, np.nan, -np.inf, 2.0], np.float32), "b": np.array([np.nan, 1.0], np.float32)}
    found = compare(ours, theirs)
    rows = {row.name: row for row in found.rows}
    assert [(row.mismatches, row.largest, row.at) for row in rows.values()] == [(1, np.inf, (2,)), (1, np.inf, (0,))]
    assert rows["a"].notes == ("1 elements are NaN or infinite in one only",)
    assert json.loads(found.to_json())["rows"][0]["largest"] is None


def test_real_numbers_beside_integers(tmp_path: Path) -> None:
    program = made().program
    run = tinsmith.dequantize(program, tinsmith.simulate(program, program.test_inputs, save_all=True))
    off = {**run, "c2": run["c2"] + np.float32(1e-3)}
    found = compare(program, off)
    assert (found.diverged, found.judged) == (False, True)
    assert "but 1 of the tensors are real numbers on one side" in verdict_lines(found, 0)[-1]
    off["c2"].reshape(-1)[7] = np.nan
    broken = compare(program, off)
    assert broken.first is not None
    assert (broken.first.name, broken.first.largest) == ("c2", np.inf)
    assert compare(program, off, tolerance=1e9).diverged


def entry(folder: Path, name: str = "c2", **changes: object) -> None:
    index = json.loads((folder / "tensors.json").read_text())
    index[name].update(changes)
    (folder / "tensors.json").write_text(json.dumps(index))


def test_damaged_folders(folder: Path, tmp_path: Path) -> None:
    program = made().program
    for changes, reason in (
        ({"file": "absent.npy"}, "no such file"),
        ({"file": "../c2.npy"}, "is not in the folder"),
        ({"file": "c2.bin"}, "cannot be read"),
        ({"dtype": "spam"}, "cannot be understood"),
        ({"dtype": "int16"}, "the list says int16"),
        ({"shape": [2, 3]}, "the list says"),
        ({"shape": 7}, "cannot be understood"),
        ({"exponents": [1000]}, "exponent 1000, which is none"),
    ):
        before = (folder / "tensors.json").read_text()
        entry(folder, **changes)
        with pytest.raises(DataError, match=reason):
            compare(program, folder)
        (folder / "tensors.json").write_text(before)
    whole = (folder / "c2.npy").read_bytes()
    (folder / "c2.npy").write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"c2\.npy.*cannot be read"):
        compare(program, folder)
    (folder / "c2.bin").write_bytes(whole)
    entry(folder, file="c2.bin")
    with pytest.raises(DataError, match=r"'c2\.bin' has \d+ bytes"):
        compare(program, folder)
    for text in ("{", "[]"):
        (folder / "tensors.json").write_text(text)
        with pytest.raises(DataError, match=r"tensors\.json"):
            compare(program, folder)
    (folder / "tensors.json").write_text("{}")
    with pytest.raises(DataError, match="holds no tensors"):
        compare(program, folder)
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(DataError, match=r"bad\.npz"):
        compare(program, tmp_path / "bad.npz")
    np.savez(tmp_path / "words.npz", c2=np.array(["a"]))
    with pytest.raises(DataError, match="'c2' holds <U1, not numbers"):
        compare(program, tmp_path / "words.npz")


def test_names_that_differ_in_signs_only() -> None:
    first = {"/stem/Relu_output_0": np.zeros(4, np.int8), "a.b": np.zeros(2, np.int8), "a/b": np.ones(2, np.int8)}
    second = {"stem_Relu_output_0": np.zeros(4, np.int8), "a_b": np.zeros(2, np.int8)}
    found = compare(first, second)
    assert [(row.name, row.other) for row in found.rows] == [("/stem/Relu_output_0", "stem_Relu_output_0")]
    assert found.only_first == ("a.b", "a/b")
    assert found.only_second == ("a_b",)
