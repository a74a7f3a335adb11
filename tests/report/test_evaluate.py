"""Accuracy and closeness to the float model, against counts made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import tinsmith
from tests.small_net import CLASSES, Images, answers, classifier, images, saved
from tinsmith.errors import DataError, ModelError, RecipeError
from tinsmith.report.evaluate import BATCH, evaluate
from tinsmith.report.fidelity import Sums

COUNT = 2 * BATCH + 3


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return classifier()


@pytest.fixture(scope="module")
def program(model: onnx.ModelProto) -> tinsmith.Program:
    return tinsmith.quantize(model, images(16), "esp32p4").program


@pytest.fixture(scope="module")
def data() -> Images:
    return images(COUNT, seed=2)


@pytest.fixture(scope="module")
def labels(model: onnx.ModelProto, data: Images) -> np.ndarray:
    """The float model's answers, a third of them made wrong."""
    right = answers(model, data)
    return np.where(np.arange(COUNT) % 3 == 0, (right + 1) % CLASSES, right)


def on_chip(program: tinsmith.Program, data: Images) -> np.ndarray:
    return tinsmith.dequantize(program, tinsmith.simulate(program, {"image": data}))["scores"]


def in_float(model: onnx.ModelProto, data: Images) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    return np.concatenate([session.run(None, {"image": sample[None]})[0] for sample in data])


def test_everything(program: tinsmith.Program, model: onnx.ModelProto, data: Images, labels: np.ndarray) -> None:
    found = evaluate(program, data, labels, float_model=model)
    chip, floats = on_chip(program, data), in_float(model, data)
    ours, theirs = chip.argmax(1), floats.argmax(1)
    assert (found.target, found.samples) == ("esp32p4", COUNT)
    assert found.top1 == (ours == labels).sum() / COUNT
    assert found.float_top1 == (theirs == labels).sum() / COUNT
    best = np.argsort(-chip, axis=1, kind="stable")[:, :5]
    assert found.top5 == (best == labels[:, None]).any(1).sum() / COUNT
    assert found.agreement == (ours == theirs).sum() / COUNT
    assert found.net_flips == (theirs == labels).sum() - (ours == labels).sum()
    sums = Sums()
    for one, other in zip(chip, floats, strict=True):
        sums.add(one, other)
    assert dict(found.outputs) == {"scores": sums.result()}
    assert found.outputs["scores"].snr_db > 15
    assert (dict(found.saturated), found.assumed_no_saturation) == ({}, False)


def test_labels_alone(program: tinsmith.Program, data: Images, labels: np.ndarray) -> None:
    found = evaluate(program, data, labels)
    assert found.top1 == (on_chip(program, data).argmax(1) == labels).mean()
    assert (found.float_top1, found.float_top5, found.agreement, found.net_flips) == (None,) * 4
    assert dict(found.outputs) == {}


def test_the_float_model_alone(program: tinsmith.Program, model: onnx.ModelProto, data: Images) -> None:
    found = evaluate(program, data, float_model=model)
    assert (found.top1, found.top5, found.float_top1, found.net_flips) == (None,) * 4
    assert found.agreement is not None
    assert list(found.outputs) == ["scores"]


def test_neither(program: tinsmith.Program, data: Images) -> None:
    found = evaluate(program, data)
    assert (found.samples, found.top1, found.agreement, dict(found.outputs)) == (COUNT, None, None, {})


def test_progress_is_told_after_every_batch(program: tinsmith.Program, data: Images) -> None:
    told: list[tuple[int, int | None]] = []
    evaluate(program, data, progress=lambda done, total: told.append((done, total)))
    assert told == [(BATCH, COUNT), (2 * BATCH, COUNT), (COUNT, COUNT)]


def test_only_a_batch_is_held_at_a_time(program: tinsmith.Program, data: Images) -> None:
    drawn = 0

    def draw() -> Iterator[Images]:
        nonlocal drawn
        for sample in data:
            drawn += 1
            yield sample

    ahead: list[int] = []
    found = evaluate(program, draw(), progress=lambda done, total: ahead.append(drawn - done))
    assert found.samples == COUNT
    assert max(ahead) <= BATCH


def test_samples_limits_data_and_labels(program: tinsmith.Program, data: Images, labels: np.ndarray) -> None:
    found = evaluate(program, data, labels, samples=5)
    assert (found.samples, found.top1) == (5, (on_chip(program, data[:5]).argmax(1) == labels[:5]).mean())


@pytest.mark.parametrize("count", [COUNT - 1, COUNT + 1])
@pytest.mark.parametrize("streamed", [False, True])
def test_as_many_labels_as_samples(program: tinsmith.Program, data: Images, count: int, streamed: bool) -> None:
    source = (sample for sample in data) if streamed else data
    with pytest.raises(DataError, match=rf"{count} labels were given for (more|{COUNT}) samples"):
        evaluate(program, source, np.zeros(count, int))


def test_a_label_beyond_the_classes(program: tinsmith.Program, data: Images) -> None:
    labels = np.zeros(COUNT, int)
    labels[BATCH + 2] = CLASSES
    with pytest.raises(DataError, match=rf"the label of sample {BATCH + 2} is {CLASSES}, of {CLASSES} classes"):
        evaluate(program, data, labels)


def test_wrong_samples_are_named(program: tinsmith.Program, data: Images) -> None:
    broken = data.copy()
    broken[7, 0, 1, 2] = np.inf
    with pytest.raises(DataError, match="sample 7"):
        evaluate(program, broken)


def test_preprocessing(program: tinsmith.Program, model: onnx.ModelProto, data: Images) -> None:
    coarse = np.round(data * 64) / 64
    raw = coarse.transpose(0, 2, 3, 1) * 4 + 10
    plain = evaluate(program, coarse, float_model=model)
    assert evaluate(program, raw, float_model=model, mean=(10, 10, 10), std=4, layout="NHWC") == plain


def test_five_of_five_says_nothing(data: Images) -> None:
    model = classifier()
    del model.graph.output[:]
    model.graph.node.append(helper.make_node("Slice", ["scores", "starts", "ends", "axes"], ["five"], "slice"))
    for name, number in (("starts", 0), ("ends", 5), ("axes", 1)):
        model.graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [1], [number]))
    model.graph.output.append(helper.make_tensor_value_info("five", TensorProto.FLOAT, ["N", 5]))
    program = tinsmith.quantize(model, images(8), "esp32s3").program
    found = evaluate(program, data, np.zeros(COUNT, int), float_model=model)
    assert (found.top5, found.float_top5) == (None, None)
    assert found.top1 is not None


def test_maps_are_no_classes(data: Images) -> None:
    """What a detector gives at every place has no largest element that were its answer."""
    model = classifier()
    (inner,) = (step.output[0] for step in model.graph.node if step.op_type == "Conv")
    del model.graph.output[:]
    model.graph.output.append(helper.make_empty_tensor_value_info(inner))
    program = tinsmith.quantize(model, images(8), "esp32s3").program
    found = evaluate(program, data, float_model=model)
    assert found.agreement is None
    assert found.outputs[inner].snr_db > 10


def test_a_single_number_is_no_class(data: Images) -> None:
    model = classifier()
    del model.graph.output[:]
    model.graph.node.append(helper.make_node("ReduceMean", ["scores"], ["one"], "mean", axes=[1]))
    model.graph.output.append(helper.make_tensor_value_info("one", TensorProto.FLOAT, ["N", 1]))
    program = tinsmith.quantize(model, images(8), "esp32s3").program
    found = evaluate(program, data, float_model=model)
    assert found.agreement is None
    assert found.outputs["one"].snr_db > 10
    with pytest.raises(DataError, match="no output has more than one element"):
        evaluate(program, data, np.zeros(COUNT, int))


def test_outputs_inside_the_float_model(data: Images, tmp_path: Path) -> None:
    model = classifier()
    program = tinsmith.quantize(model, images(16), "esp32s3", outputs=["active", "pooled"]).program
    found = evaluate(program, data[:4], float_model=saved(model, tmp_path / "größe" / "m.onnx"))
    assert list(found.outputs) == ["active", "pooled"]
    assert all(fidelity.snr_db > 15 for fidelity in found.outputs.values())
    assert evaluate(program, data[:4], float_model=model) == found


def test_external_weights_beside_a_cut_model(data: Images, tmp_path: Path) -> None:
    model = classifier()
    program = tinsmith.quantize(model, images(8), "esp32s3", outputs=["active"]).program
    expected = evaluate(program, data[:2], float_model=model)
    path = tmp_path / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert evaluate(program, data[:2], float_model=path) == expected


def test_other_names_go_by_order(program: tinsmith.Program, data: Images) -> None:
    model, renamed = classifier(), classifier()
    renamed.graph.input[0].name = renamed.graph.node[0].input[0] = "picture"
    renamed.graph.output[0].name = renamed.graph.node[-1].output[0] = "classes"
    assert evaluate(program, data, float_model=renamed) == evaluate(program, data, float_model=model)


def test_a_float_model_with_other_outputs(program: tinsmith.Program, data: Images) -> None:
    model = classifier()
    model.graph.output[0].name = model.graph.node[-1].output[0] = "classes"
    model.graph.output.append(helper.make_tensor_value_info("active", TensorProto.FLOAT, None))
    with pytest.raises(ModelError, match=r"its outputs are \['classes', 'active'\], the program's \['scores'\]"):
        evaluate(program, data, float_model=model)


def test_a_float_model_of_another_shape(data: Images, tmp_path: Path) -> None:
    program = tinsmith.quantize(classifier(), images(8), "esp32s3", outputs=["pooled"]).program
    other = classifier()
    del other.graph.output[:]
    other.graph.output.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, None))
    with pytest.raises(ModelError, match=r"output 'pooled': has shape \(1, 8, 8, 8\) in the float model"):
        evaluate(replace(program), data, float_model=_renamed(other, "pooled"))


def _renamed(model: onnx.ModelProto, output: str) -> onnx.ModelProto:
    """A model whose first node's output has that name, and the rest is gone."""
    del model.graph.node[1:]
    model.graph.node[0].output[0] = model.graph.output[0].name = output
    return model


def test_a_file_that_is_no_model(program: tinsmith.Program, data: Images, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x00\x01")
    with pytest.raises(ModelError, match=r"m\.onnx: ONNX Runtime cannot load it"):
        evaluate(program, data, float_model=tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"no\.onnx: there is no such file"):
        evaluate(program, data, float_model=tmp_path / "no.onnx")


def test_a_sample_the_float_model_cannot_take(program: tinsmith.Program, data: Images) -> None:
    with pytest.raises(DataError, match="float model: ONNX Runtime cannot run it"):
        evaluate(program, data, float_model=classifier(size=9))


def test_files_of_other_exporters(program: tinsmith.Program, model: onnx.ModelProto, data: Images) -> None:
    """No target, no layouts: the target is given, the layout comes from the float model's shapes."""
    foreign = replace(program, metadata={})
    with pytest.raises(RecipeError, match="does not record its target"):
        evaluate(foreign, data)
    expected = evaluate(program, data, float_model=model)
    assert evaluate(foreign, data, float_model=model, target="esp32p4") == expected
    file_layout = np.ascontiguousarray(data.transpose(0, 2, 3, 1))
    assert evaluate(foreign, file_layout, target="esp32p4").samples == COUNT


def test_outputs_of_other_exporters_are_channels_last(data: Images) -> None:
    model = classifier()
    program = tinsmith.quantize(model, images(8), "esp32p4", outputs=["active"]).program
    expected = evaluate(program, data[:3], float_model=model)
    found = evaluate(replace(program, metadata={}), data[:3], float_model=model, target="esp32p4")
    assert found == expected


def test_a_folder_of_images_with_labels_by_file(tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(4)
    pictures = rng.integers(0, 256, (6, 8, 8, 3), np.uint8)
    folder = tmp_path / "bilder"
    for name, picture in zip("cafbed", pictures, strict=True):
        (folder / name).mkdir(parents=True)
        Image.fromarray(picture).save(folder / name / "bild.png")
    model = classifier()
    floats = (pictures.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 64
    program = tinsmith.quantize(model, floats, "esp32p4").program
    chip = on_chip(program, floats).argmax(1)
    rows = [f"{name}/bild.png,{label}" for name, label in zip("cafbed", chip, strict=True)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", "elsewhere/bild.png,3", *rows]))
    found = evaluate(program, folder, tmp_path / "labels.csv", mean=127.5, std=64.0)
    assert (found.samples, found.top1) == (6, 1.0)


def test_saturation_is_counted() -> None:
    """Weights and inputs at their limits overflow the 20 bits of the ESP32-S3's lanes."""
    rng = np.random.default_rng(0)
    weights = np.abs(rng.normal(1.9, 0.02, (16, 64, 1, 1))).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], "heavy")],
        "heavy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64, 1, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, 1, 1])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data = np.full((3, 64, 1, 1), 1.99, np.float32)
    program = tinsmith.quantize(model, data * np.linspace(-1, 1, 3)[:, None, None, None], "esp32s3").program
    found = evaluate(program, data)
    (name,) = found.saturated
    assert (name, found.saturated[name]) == (program.nodes[0].name, 3 * 16)
    trusted = evaluate(program, data, assume_no_saturation=True)
    assert (dict(trusted.saturated), trusted.assumed_no_saturation) == ({}, True)
