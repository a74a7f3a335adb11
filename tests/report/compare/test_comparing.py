"""Programs, float models and dumps side by side."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import onnx
import pytest

import tinsmith
from tests.report.analysed import coarser, model_of, pictures, pyramid
from tests.report.compare.nets import made, small, with_flipped_bit
from tests.shared import shared_path
from tests.small_net import classifier, images, saved
from tinsmith.errors import DataError, ModelError, RecipeError
from tinsmith.program import DType, Program
from tinsmith.report.compare import Comparison, compare, dump
from tinsmith.report.compare.table import comparison_table, head_lines, shown_rows, verdict_lines


def without_metadata(program: Program) -> Program:
    """As other exporters write it: neither its target nor its layouts are known."""
    return replace(program, metadata={})


def renamed(program: Program, names: dict[str, str]) -> Program:
    """The same program with other names of tensors."""

    def new(name: str) -> str:
        return names.get(name, name)

    values = {new(name): replace(value, name=new(name)) for name, value in program.values.items()}
    nodes = tuple(
        replace(node, inputs=tuple(map(new, node.inputs)), outputs=tuple(map(new, node.outputs)))
        for node in program.nodes
    )
    ends = [tuple(replace(value, name=new(value.name)) for value in part) for part in (program.inputs, program.outputs)]
    return replace(program, nodes=nodes, values=values, inputs=ends[0], outputs=ends[1], metadata={})


def figures(found: Comparison, name: str) -> tuple[int, float]:
    (row,) = (row for row in found.rows if row.name == name)
    return row.mismatches, row.largest


def test_a_program_equals_itself() -> None:
    quantized = made()
    found = compare(quantized, quantized.program)
    assert [row.name for row in found.rows] == [
        *(value.name for value in quantized.program.inputs),
        *(output for node in quantized.program.nodes for output in node.outputs),
    ]
    assert (found.inputs, found.samples, found.diverged, found.first, found.worst) == (
        "the test sample in the file",
        1,
        False,
        None,
        None,
    )
    assert {row.snr_db for row in found.rows} == {inf}
    assert {row.diverged for row in found.rows} == {False}
    assert found.constants == ()
    assert found.compared_constants == len(quantized.program.constants)
    assert verdict_lines(found, 0)[-1] == "No divergence."


def test_without_a_sample_numbers_are_random() -> None:
    program = replace(made().program, test_inputs={}, test_outputs={})
    found = compare(program, program)
    assert (found.inputs, found.samples) == ("4 samples of random numbers over the range of the inputs", 4)
    assert found == compare(program, program)
    with pytest.raises(DataError, match="no test sample"):
        compare(program, program, "test")


def test_values_of_the_float_model_are_found_in_its_order() -> None:
    quantized = made()
    data = pictures(3, seed=9)
    found = compare(quantized.program, pyramid(), data)
    assert found.samples == 3
    assert not found.judged
    assert not found.diverged
    chip = tinsmith.dequantize(quantized.program, tinsmith.simulate(quantized.program, {"x": data}, save_all=True))
    rows = {row.name: row for row in found.rows}
    assert {"x", "c1", "a1", "c2", "c3", "s", "a4", "scores"} <= set(rows)
    assert "c4" in found.only_second
    session = compare(pyramid(), quantized.program, data)
    for name in ("x", "a1", "c2", "s", "scores"):
        real = _floats(name, data)
        value = quantized.program.values[name]
        ours = chip[name]
        if ours.shape != real.shape:
            ours = np.moveaxis(ours, -1, 1)
        apart = np.abs(ours.astype(np.float64) - real)
        assert rows[name].largest == pytest.approx(apart.max(), rel=1e-12)
        assert rows[name].mismatches == int((apart > 2.0**value.exponent).sum())
        noise = float((apart**2).sum() / (real.astype(np.float64) ** 2).sum())
        assert rows[name].snr_db == pytest.approx(-10 * np.log10(noise))
        assert figures(session, name) == (rows[name].mismatches, rows[name].largest)


def _floats(name: str, data: np.ndarray) -> np.ndarray:
    import onnxruntime

    model = pyramid()
    model.graph.output.extend([onnx.helper.make_empty_tensor_value_info(name)] if name not in ("x", "scores") else [])
    if name == "x":
        return data
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return np.concatenate([session.run([name], {"x": sample[None]})[0] for sample in data])


def test_a_tolerance_gives_a_verdict_where_formats_differ() -> None:
    quantized = made()
    loose = compare(quantized.program, pyramid(), pictures(2), tolerance=1000)
    assert (loose.judged, loose.diverged) == (True, False)
    tight = compare(quantized.program, pyramid(), pictures(2), tolerance=0.25)
    assert tight.diverged
    assert tight.first is not None
    assert tight.first.name == "x"
    assert tight.first.mismatches == sum(
        int((np.abs(np.round(sample / step) * step - sample) > step / 4).sum())
        for sample in pictures(2).astype(np.float64)
        for step in (2.0 ** quantized.program.inputs[0].exponent,)
    )


def test_the_layer_that_loses_most_is_named() -> None:
    worse = coarser(made(), "c2", 4)
    found = compare(worse.program, pyramid(), pictures(4))
    assert found.worst is not None
    assert found.worst.node == "depthwise"
    assert found.worst.loss_db > 10
    assert "Largest loss: tensor 'c2' of Conv 'depthwise'" in verdict_lines(found, 0)[-1]


def test_other_exponents_are_compared_as_real_numbers() -> None:
    one, other = made(), coarser(made(), "c2", 1)
    found = compare(one.program, other.program, pictures(2))
    rows = {row.name: row for row in found.rows}
    assert found.first is rows["c2"]
    assert found.worst is not None
    assert verdict_lines(found, 0)[-2:] == [
        "It is int8 · 2^-2 in the first, int8 · 2^-1 in the second: --tolerance allows for that.",
        f"Largest loss: {found.worst.layer}: {found.worst.loss_db:.1f} dB below what it is computed from.",
    ]
    arrays = [
        tinsmith.dequantize(p, tinsmith.simulate(p, {"x": pictures(2)}, save_all=True))["c2"].astype(np.float64)
        for p in (one.program, other.program)
    ]
    step = 2.0 ** other.program.values["c2"].exponent
    assert rows["c2"].largest == np.abs(arrays[0] - arrays[1]).max()
    assert rows["c2"].steps == rows["c2"].largest / step
    assert rows["c2"].mismatches == int((arrays[0] != arrays[1]).sum())
    assert rows["x"].diverged is False
    assert compare(one.program, other.program, pictures(2), only=["c2"], tolerance=1).first is None


@pytest.mark.parametrize("name", ["c2", "scores"])
def test_another_exponent_alone_is_a_difference(name: str) -> None:
    program = made().program
    value = program.values[name]
    other = replace(value, exponents=(value.exponent + 1,))
    outputs = tuple(other if output.name == name else output for output in program.outputs)
    found = compare(program, replace(program, values={**program.values, name: other}, outputs=outputs))
    assert found.first is not None
    assert found.first.name == name


def test_equalized_channels_are_seen_through() -> None:
    model, scaled = straight(), straight()
    factors = 2.0 ** np.random.default_rng(5).integers(-3, 4, 8).astype(np.float64)
    for tensor in scaled.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        shape = (-1, *[1] * (array.ndim - 1))
        by = {"w1": factors, "b1": factors, "w2": 1 / factors}.get(tensor.name)
        if by is not None:
            changed = (array * by.reshape(shape)).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(changed, tensor.name))
    plain, other = (tinsmith.quantize(m, pictures(16), "esp32p4", effort="fast").program for m in (model, scaled))
    rows = {row.name: row for row in compare(without_metadata(other), model, pictures(4), target="esp32p4").rows}
    assert rows["a1"].notes == ("channels scaled by equalization",)
    assert rows["a1"].snr_db > 25
    assert rows["scores"].notes == ()
    assert {row.notes for row in compare(without_metadata(plain), model, pictures(4), target="esp32p4").rows} == {()}
    recorded = {row.name: row for row in compare(other, model, pictures(4)).rows}
    assert recorded["a1"].notes == ()
    assert recorded["a1"].snr_db < 10


def straight() -> onnx.ModelProto:
    """The pyramid without its branch, and with no ceiling in reach: channels of ``a1`` may have any scale."""
    model = pyramid(ceiling=1e9)
    model.graph.node[4].input[0] = "c3"
    return model


def test_files_that_record_less_are_understood() -> None:
    program = made().program
    bare = without_metadata(program)
    assert not compare(bare, bare, target="esp32s3").diverged
    assert not compare(program, bare, pictures(2)).diverged
    found = compare(bare, program, pictures(2))
    assert not found.diverged
    assert found.notes == ("Program names no target: esp32s3 is taken, as in the other file",)
    assert figures(compare(bare, pyramid(), pictures(2), target="esp32s3"), "s") == figures(
        compare(program, pyramid(), pictures(2)), "s"
    )
    with pytest.raises(RecipeError, match="does not record its target"):
        compare(bare, bare)


def test_inputs_and_outputs_of_other_names_are_paired_by_order() -> None:
    program = made().program
    other = renamed(program, {"x": "picture", "scores": "logits", "c2": "inner"})
    found = compare(program, other, pictures(2), target="esp32s3")
    assert not found.diverged
    assert {row.name: row.other for row in found.rows if row.name != row.other} == {"x": "picture", "scores": "logits"}
    assert (found.only_first, found.only_second) == (("c2",), ("inner",))


def test_a_tensor_that_one_lacks_does_not_hide_where_it_begins() -> None:
    program = made().program
    (node,) = (node for node in program.nodes if node.name == "depthwise")
    other = renamed(with_flipped_bit(program, node.inputs[1], 3, 6), {"c2": "inner"})
    found = compare(program, other, pictures(4), target="esp32s3")
    assert found.first is not None
    assert found.first.node == "pointwise"
    assert found.origins == (found.first,)


def test_a_quantized_network_knows_its_layouts() -> None:
    quantized = made()
    data = pictures(2)
    assert compare(quantized, pyramid(), data).rows == compare(quantized.program, pyramid(), data).rows


def test_models_that_differ_in_a_shape() -> None:
    program, other = made().program, pyramid()
    other.graph.node[7].input[0] = "c4"
    other.graph.node[6].CopyFrom(onnx.helper.make_node("Transpose", ["s"], ["a4"], "turn", perm=[0, 2, 1, 3]))
    found = compare(program, other, pictures(1))
    assert "a4" not in {row.name for row in found.rows}
    assert found.notes == (
        "tensor 'a4' has the shape [1, 8, 8, 12] in the first, [1, 16, 8, 16] in the second: left out",
    )
    with pytest.raises(DataError, match="no tensor of the same shape"):
        compare(program, other, pictures(1), only=["^a4$"])
    other.graph.node[9].CopyFrom(onnx.helper.make_node("Relu", ["s"], ["scores"], "gemm"))
    with pytest.raises(DataError, match=r"'scores'.*Are both of the same model"):
        compare(program, other, pictures(1))


def test_only_some_tensors() -> None:
    program = made().program
    by_node = compare(program, program, only=["^strided$", "gemm"])
    assert [row.name for row in by_node.rows] == ["a4", "scores"]
    assert [row.name for row in compare(program, program, only=["s"]).rows] == ["s"]
    with pytest.raises(RecipeError, match="matches no tensor or node"):
        compare(program, program, only=["nothing"])


def test_integers_are_taken_in_the_files_layout() -> None:
    program = made().program
    integers = tinsmith.simulate(program, {"x": pictures(3)}, save_all=True)["x"]
    assert integers.dtype == np.int8
    ints = compare(program, pyramid(), integers)
    named = compare(program, pyramid(), {"x": integers})
    assert ints.rows == named.rows
    assert ints.samples == 3
    assert figures(ints, "x") == (0, 0.0)


def test_two_float_models() -> None:
    model, other = pyramid(), pyramid()
    bias = next(tensor for tensor in other.graph.initializer if tensor.name == "b4")
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(0.5), "b4"))
    same = compare(model, model)
    assert (same.diverged, same.inputs) == (False, "4 samples of random numbers")
    found = compare(model, other)
    assert found.first is not None
    assert found.first.node == "strided"
    assert found.first.largest == pytest.approx(0.5, abs=1e-5)


def test_float_parts_of_programs_are_judged_by_their_magnitude() -> None:
    nodes = [
        onnx.helper.make_node("Conv", ["x", "w"], ["c"], "conv"),
        onnx.helper.make_node("Softmax", ["c"], ["y"], "softmax", axis=1),
    ]
    weights = np.random.default_rng(0).normal(0, 1, (4, 3, 1, 1))
    model = model_of(nodes, {"x": (1, 3, 16, 16)}, ["y"], {"w": weights})
    program = tinsmith.quantize(model, pictures(8), "esp32p4", effort="fast").program
    assert program.outputs[0].dtype is DType.FLOAT
    found = tinsmith.simulate(program, {"x": pictures(1)}, save_all=True)
    name = program.outputs[0].name
    near = found[name] * np.float32(1 + 2.0**-23)
    far = found[name] * np.float32(1 + 2.0**-15)
    assert not compare(program, {**found, name: near}).diverged
    assert compare(program, {**found, name: near}, tolerance=0).diverged
    assert compare(program, {**found, name: far}).diverged
    beside = compare(program, model, pictures(2))
    assert not beside.judged
    assert not beside.diverged


def test_a_golden_model_equals_what_the_runtime_computed() -> None:
    path = shared_path("golden/models/esp32s3__human_face_detect_msr_s8_v1.espdl")
    with np.load(path.with_suffix(".npz")) as known:
        tensors = {name.partition("|")[2]: known[name] for name in known.files if "|" in name}
    found = compare(path, tensors, target="esp32s3")
    assert not found.diverged
    assert len(found.rows) == len(tensors)
    assert found.only_first == found.only_second == ()


def test_a_classifier_on_another_chip() -> None:
    model = classifier()
    ours = small("esp32p4")
    theirs = small("esp32s3")
    found = compare(ours, theirs, images(4))
    assert [label.rpartition("(")[2] for label in found.labels] == ["program, esp32p4)", "program, esp32s3)"]
    assert compare(ours, model, images(4)).worst is not None


def test_json(tmp_path: Path) -> None:
    program = made().program
    (node,) = (node for node in program.nodes if node.name == "strided")
    found = compare(program, with_flipped_bit(program, node.inputs[1], 5, 6))
    read = json.loads(found.to_json())
    assert read["diverged"] is True
    assert found.first is not None
    assert (read["first"], read["origins"]) == (found.first.name, [found.first.name])
    assert [row["name"] for row in read["rows"]] == [row.name for row in found.rows]
    assert read["rows"][0]["snr_db"] is None
    assert read["constants"][0]["nodes"] == ["Conv 'strided'"]


def test_what_is_said_about_it() -> None:
    program = made().program
    (node,) = (node for node in program.nodes if node.name == "strided")
    other = renamed(with_flipped_bit(program, node.inputs[1], 5, 6), {"c2": "inner"})
    found = compare(program, other, target="esp32s3")
    assert head_lines(found)[2] == "inputs   the test sample in the file"
    rows = shown_rows(found)
    assert [row.name for row in rows] == [row.name for row in found.rows if row.diverged]
    assert comparison_table(rows).row_count == len(rows)
    said = verdict_lines(found, len(rows))
    first = found.first
    assert first is not None
    assert said[1:3] == ["1 only in the first: c2.", "1 only in the second: inner."]
    assert said[-1].startswith(
        f"First divergence: tensor 'a4' of Conv 'strided': {first.mismatches:,} of {first.elements:,} elements"
    )


def test_progress_reaches_its_end(tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    program = made().program
    compare(program, pyramid(), pictures(3), progress=lambda done, total: told.append((done, total)))
    assert told == [(step, 6) for step in range(1, 7)]
    told.clear()
    dump(program, {"x": pictures(2)}, tmp_path)
    compare(program, tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (4, 4)


@pytest.mark.parametrize("tolerance", [-1, float("nan"), inf])
def test_a_tolerance_that_is_none(tolerance: float) -> None:
    with pytest.raises(RecipeError, match="tolerance"):
        compare(made().program, made().program, tolerance=tolerance)


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    program = made().program
    with pytest.raises(DataError, match="no tensor of the same name"):
        compare(program, {"other": np.zeros(3, np.int8)})
    with pytest.raises(DataError, match="no such file"):
        compare(program, tmp_path / "absent.espdl")
    with pytest.raises(DataError, match="neither tensors nor a model"):
        compare(program, tmp_path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(DataError, match="one array without a name"):
        compare(program, tmp_path / "array.npy")
    (tmp_path / "empty.log").write_text("nothing was printed")
    with pytest.raises(DataError, match="holds no tensor"):
        compare(program, tmp_path / "empty.log")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match=r"text\.onnx"):
        compare(program, tmp_path / "text.onnx")
    with pytest.raises(ModelError, match="is not a model"):
        compare(program, 3)
    with pytest.raises(DataError, match="holds nan"):
        compare(program, program, np.full((1, 3, 16, 16), np.nan, np.float32))
    with pytest.raises(DataError, match="shape"):
        compare(program, program, np.zeros((1, 3, 8, 16), np.float32))
    with pytest.raises(DataError, match=r"'c2'.*has the shape \[1, 16, 16, 8\] in the first, \[1, 4\] in the second"):
        compare(program, {"c2": np.zeros((1, 4), np.int8)}, "test")
    with pytest.raises(DataError, match=r"open shape.*fix the shape"):
        compare(saved(classifier(size="S"), tmp_path / "open.onnx"), saved(classifier(), tmp_path / "b.onnx"))
