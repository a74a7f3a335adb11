"""``tinsmith run`` and ``eval``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tinsmith as package
from tests.cli.conftest import Workshop
from tests.cli.shell import error, ok, rows, tinsmith
from tests.small_net import classifier, images, saved
from tinsmith.cli.arrays import read_inputs, save_arrays
from tinsmith.report.compare.tensor_files import file_names


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    np.save(tmp_path / "x=1.npy", images(3, seed=5))
    return tmp_path / "x=1.npy"


def simulated(workshop: Workshop, count: int = 3) -> dict[str, np.ndarray]:
    return package.simulate(package.read(workshop.espdl), {"image": images(count, seed=5)})


def test_run_prints_and_saves_the_outputs(workshop: Workshop, batch: Path, tmp_path: Path) -> None:
    said = ok("run", workshop.espdl, "--input", batch, "-o", tmp_path / "tief" / "out.npz")
    expected = simulated(workshop)["scores"]
    exponent = package.read(workshop.espdl).outputs[0].exponent
    (row,) = (row for row in rows(said) if row[0] == "scores")
    assert row[1:4] == ["int8", "3×6", str(exponent)]
    assert row[4:6] == [f"{float(end) * 2.0**exponent:.6g}" for end in (expected.min(), expected.max())]
    with np.load(tmp_path / "tief" / "out.npz") as found:
        assert found.files == ["scores"]
        assert found["scores"].dtype == np.int8
        np.testing.assert_array_equal(found["scores"], expected)


def test_run_gives_real_numbers_on_request(workshop: Workshop, batch: Path, tmp_path: Path) -> None:
    ok("run", workshop.espdl, "--input", f"image={batch}", "-o", tmp_path / "out", "--dequantize")
    program = package.read(workshop.espdl)
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_array_equal(
            found["scores"], simulated(workshop)["scores"] * 2.0 ** program.outputs[0].exponent
        )


@pytest.mark.parametrize("options", [(), ("--interpret",), ("--assume-no-saturation",), ("--target", "esp32s3")])
def test_run_saves_every_tensor(workshop: Workshop, batch: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    folder = tmp_path / "alles"
    said = ok("run", workshop.espdl, "--input", batch, "--save-all", folder, *options)
    program = package.read(workshop.espdl)
    expected = package.simulate(program, {"image": images(3, seed=5)}, save_all=True)
    index = json.loads((folder / "tensors.json").read_text("utf-8"))
    assert set(index) == set(expected)
    assert f"{len(expected)} tensors in {folder}\n" in said
    for name, about in index.items():
        found = np.load(folder / about["file"])
        np.testing.assert_array_equal(found, expected[name])
        assert (about["dtype"], about["shape"]) == (found.dtype.name, list(found.shape))
        assert about["exponents"] == list(program.values[name].exponents)
    assert len(list(folder.iterdir())) == len(expected) + 1


def test_run_takes_integers_in_the_files_layout(workshop: Workshop, tmp_path: Path) -> None:
    program = package.read(workshop.espdl)
    integers = program.test_inputs["image"]
    np.savez(tmp_path / "in.npz", image=integers)
    ok("run", workshop.espdl, "--input", tmp_path / "in.npz", "-o", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_array_equal(found["scores"], program.test_outputs["scores"])


def test_run_compares_with_the_sample_in_the_file(workshop: Workshop) -> None:
    assert ok("run", workshop.espdl).endswith("scores: 0 of 6 elements differ from those in the file.\n")


def test_run_says_how_many_elements_differ(workshop: Workshop, tmp_path: Path) -> None:
    program = package.read(workshop.espdl)
    wrong = program.test_outputs["scores"].copy()
    wrong[0, :2] ^= 1
    package.write(replace(program, test_outputs={"scores": wrong}), tmp_path / "wrong.espdl")
    outcome = tinsmith("run", tmp_path / "wrong.espdl")
    assert outcome.code == 1
    assert outcome.out.endswith("scores: 2 of 6 elements differ from those in the file.\n")


def test_run_warns_in_one_line_of_what_the_chip_would_refuse(workshop: Workshop, tmp_path: Path) -> None:
    program = package.read(workshop.espdl)
    (conv,) = (node for node in program.nodes if node.op_type == "Conv")
    values = {
        name: replace(value, exponents=(-30,)) if name == conv.outputs[0] else value
        for name, value in program.values.items()
    }
    package.write(replace(program, values=values, test_outputs={}), tmp_path / "illegal.espdl")
    outcome = tinsmith("run", tmp_path / "illegal.espdl")
    assert outcome.code == 0
    assert [line.split(":")[0] for line in outcome.err.splitlines()] == ["warning"]
    assert repr(conv.name) in outcome.err
    assert outcome.out.endswith("The file holds no outputs to compare with.\n")


def test_run_without_a_sample(workshop: Workshop, tmp_path: Path) -> None:
    package.write(package.read(workshop.espdl).with_tests({}, {}), tmp_path / "bare.espdl")
    message = error("run", tmp_path / "bare.espdl")
    assert message == "error: inputs: the file holds no sample to run. Give --input, for example --input image=x.npy.\n"


def test_run_needs_a_target_where_the_file_has_none(workshop: Workshop, tmp_path: Path) -> None:
    program = package.read(workshop.espdl)
    package.write(replace(program, metadata={}), tmp_path / "foreign.espdl")
    assert "the file does not record its target. Give one" in error("run", tmp_path / "foreign.espdl")
    assert "0 of 6 elements differ" in ok("run", tmp_path / "foreign.espdl", "--target", "esp32s3")


WRONG_INPUTS = {
    "no such file": ("no.npy", "no.npy: there is no such file."),
    "no array": ("{model}", "cannot be read as an array"),
    "unknown name": ("img={labels}", "input 'img': the program has no such input. Did you mean 'image'?"),
    "wrong shape": ("{labels}", "input 'image': has shape (40,), expected (1, "),
}


@pytest.mark.parametrize(("text", "message"), WRONG_INPUTS.values(), ids=WRONG_INPUTS.keys())
def test_run_with_wrong_inputs(workshop: Workshop, text: str, message: str) -> None:
    given = text.format(model=workshop.model, labels=workshop.labels)
    assert message in error("run", workshop.espdl, "--input", given)


def test_run_with_an_input_twice(workshop: Workshop, batch: Path) -> None:
    message = error("run", workshop.espdl, "--input", batch, "--input", f"image={batch}")
    assert message == "error: input 'image': is given twice.\n"


def test_inputs_of_two(workshop: Workshop, tmp_path: Path) -> None:
    program = package.read(workshop.espdl)
    both = replace(program, inputs=(replace(program.inputs[0], name="a"), replace(program.inputs[0], name="a=b")))
    np.save(tmp_path / "x.npy", np.zeros(2))
    np.savez(tmp_path / "two.npz", **{"a": np.zeros(2), "a=b": np.ones(3)})
    path = tmp_path / "x.npy"
    found = read_inputs(both, [f"a=b={path}", f"a={path}"])
    assert {name: array.shape for name, array in found.items()} == {"a=b": (2,), "a": (2,)}
    assert {n: a.shape for n, a in read_inputs(both, [str(tmp_path / "two.npz")]).items()} == {"a": (2,), "a=b": (3,)}
    with pytest.raises(package.TinsmithError, match=r"holds one array\. Say which input it is: a="):
        read_inputs(both, [str(path)])
    with pytest.raises(package.TinsmithError, match=r"holds 2 arrays: \['a', 'a=b'\]"):
        read_inputs(both, [f"a={tmp_path / 'two.npz'}"])


def test_archives_are_the_same_every_time(tmp_path: Path) -> None:
    arrays = {"file": np.arange(3, dtype=np.int16), "a/b": np.zeros((2, 2), np.float32).T}
    for name in ("1.npz", "2.npz"):
        assert save_arrays(tmp_path / name, arrays) == tmp_path / name
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    with np.load(tmp_path / "1.npz") as found:
        assert {name: found[name].tolist() for name in found.files} == {k: v.tolist() for k, v in arrays.items()}


def test_file_names_are_safe_and_distinct() -> None:
    names = ["/a/Conv_output_0", "a/conv_output_0", "größe", "..", "", "x" * 300, "x" * 299]
    found = file_names(names)
    assert list(found) == names
    assert found["/a/Conv_output_0"] == "a_Conv_output_0.npy"
    assert found["a/conv_output_0"] == "a_conv_output_0_2.npy"
    assert found["größe"] == "größe.npy"
    assert len({file.casefold() for file in found.values()}) == len(names)
    assert all("/" not in file and len(file) < 200 and not file.startswith(".") for file in found.values())


def test_eval_beside_the_float_model(workshop: Workshop) -> None:
    options = ("--data", workshop.data, "--labels", workshop.labels, "--float", workshop.model)
    said = rows(ok("eval", workshop.espdl, *options))
    found = package.evaluate(
        package.read(workshop.espdl), workshop.data, workshop.labels, float_model=workshop.model, target="esp32s3"
    )
    assert said[0] == ["samples", "40"]
    assert said[1] == ["top-1", f"{found.top1 * 100:.2f}", "%", "float", "100.00", "%"]
    assert said[2][0] == "top-5"
    assert said[3] == ["agreement", "with", "float", f"{found.agreement * 100:.2f}", "%"]
    assert said[4] == ["net", "flips", f"{found.net_flips:+d}"]
    fidelity = found.outputs["scores"]
    assert said[-1][:3] == ["scores", f"{fidelity.snr_db:.1f}", f"{fidelity.cosine:.6f}"]


def test_eval_says_no_more_than_it_knows(workshop: Workshop) -> None:
    assert rows(ok("eval", workshop.espdl, "--data", workshop.data)) == [["samples", "40"]]


def test_eval_takes_the_options_of_data(workshop: Workshop, tmp_path: Path) -> None:
    np.save(tmp_path / "nhwc.npy", images(40, seed=2).transpose(0, 2, 3, 1) * 2 + 3)
    common = ("--labels", workshop.labels, "--float", workshop.model)
    turned = ("--data", tmp_path / "nhwc.npy", "--layout", "nhwc", "--mean", "3,3,3", "--std", "2")
    plain = ok("eval", workshop.espdl, "--data", workshop.data, *common, "--samples", "16")
    assert ok("eval", workshop.espdl, *turned, *common, "--samples", "16", "--target", "esp32s3") == plain


def test_eval_says_what_it_did_not_check(workshop: Workshop) -> None:
    said = ok("eval", workshop.espdl, "--data", workshop.data, "--assume-no-saturation")
    assert rows(said)[-1] == ["saturated", "sums", "not", "checked"]


def test_eval_with_labels_that_do_not_fit(workshop: Workshop, tmp_path: Path) -> None:
    np.save(tmp_path / "few.npy", np.zeros(39, np.int64))
    message = error("eval", workshop.espdl, "--data", workshop.data, "--labels", tmp_path / "few.npy")
    assert message == "error: labels: 39 labels were given for 40 samples.\n"


def test_eval_with_another_float_model(workshop: Workshop, tmp_path: Path) -> None:
    model = classifier(size=9)
    message = error("eval", workshop.espdl, "--data", workshop.data, "--float", saved(model, tmp_path / "m.onnx"))
    assert message.startswith("error: ")
    assert "m.onnx" in message
