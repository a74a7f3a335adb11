"""Layers in int16 as a budget and a drop say: what is promised is measured again, by other means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import tinsmith
from tests.algorithms.scalable import canonical, model, samples
from tests.cli.shell import ok
from tests.quantized_net import with_pairs
from tests.small_net import answers, classifier, images, saved
from tinsmith.algorithms.drop import angle, disagreement
from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.errors import DataError, RecipeError
from tinsmith.ops import operators
from tinsmith.pipeline import promoting
from tinsmith.recipe import Recipe
from tinsmith.simulator.legality import violations

TARGETS = ["esp32s3", "esp32p4"]
CHOICES: dict[str, dict[str, Any]] = {
    "budget": {"int16_budget": 0.1},
    "drop": {"max_drop": 2.0},
    "both": {"int16_budget": 0.1, "max_drop": 0.0},
    "fast": {"int16_budget": 0.6, "effort": "fast"},
    "best": {"int16_budget": 0.1, "effort": "best"},
    "no algorithms": {"int16_budget": 0.6, "algorithms": []},
    "named algorithms": {"max_drop": 1.0, "algorithms": ["classic_equalize", "correct_bias"]},
}


def undecided() -> onnx.ModelProto:
    """Conv, Relu, Conv, Relu, Flatten, Gemm: twelve classes of which several are close in many samples."""
    rng = np.random.default_rng(0)
    scale = 6 ** rng.uniform(-1, 1, 12)
    constants = {
        "w1": rng.standard_normal((12, 3, 3, 3)) / 5 * scale[:, None, None, None],
        "b1": rng.standard_normal(12) / 5 * scale,
        "w2": rng.standard_normal((12, 12, 3, 3)) / 10 / scale[None, :, None, None],
        "b2": rng.standard_normal(12) / 5,
        "w3": rng.standard_normal((12, 192)) / 14,
        "b3": rng.standard_normal(12) / 20,
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="first", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["a1"], name="act1"),
        helper.make_node("Conv", ["a1", "w2", "b2"], ["c2"], name="second", pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Relu", ["c2"], ["a2"], name="act2"),
        helper.make_node("Flatten", ["a2"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], name="classes", transB=1),
    ]
    return model(nodes, {"x": (1, 3, 8, 8)}, {"y": (1, 12)}, constants)


NET = undecided()
_, FLOAT = canonical(NET)
DATA = np.concatenate([sample["x"] for sample in samples(FLOAT, 32)])
UNSEEN = DATA[3::4]


def scores(array: np.ndarray) -> np.ndarray:
    """The float network's."""
    run = FloatNodes(FLOAT.nodes, FLOAT.outputs)
    return np.concatenate([run({"x": sample[None]})["y"] for sample in array])


def chip(quantized: tinsmith.Quantized, array: np.ndarray) -> np.ndarray:
    """The chip's, by the interpreter."""
    found: np.ndarray = tinsmith.dequantize(quantized.program, quantized.simulate(array, compiled=False))["y"]
    return found


def drop(quantized: tinsmith.Quantized) -> float:
    """Errors of samples that no weights were fitted to, distances between classes of all samples."""
    return disagreement(chip(quantized, UNSEEN), scores(UNSEEN), scores(DATA))


def noise(quantized: tinsmith.Quantized) -> float:
    wanted = scores(UNSEEN)
    return float(np.square(chip(quantized, UNSEEN) - wanted).sum() / np.square(wanted).sum())


def promoted(quantized: tinsmith.Quantized) -> set[str]:
    return {name for name, decision in quantized.placement.items() if decision.reason.startswith("promoted for ")}


def share(quantized: tinsmith.Quantized) -> float:
    """Of the multiply-accumulates, of what is promoted."""
    macs = {node.name: operators()[node.op_type].cost(node).macs for node in FLOAT.nodes}
    return sum(macs[name] for name in promoted(quantized)) / sum(macs.values())


def fast(target: str = "esp32s3", **choices: Any) -> tinsmith.Quantized:
    return tinsmith.quantize(NET, DATA, target, effort="fast", **choices)


def told(quantized: tinsmith.Quantized) -> list[str]:
    words = ("in int16", "int16 in the file", "to int16", "was promoted", "not reached")
    return [note for note in quantized.notes if any(word in note for word in words)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES.keys())
def test_what_is_promoted_is_in_the_file(target: str, choices: Mapping[str, Any]) -> None:
    """Decisions, table, metadata and program agree; the program is legal, and both ways to run it give the same."""
    found = tinsmith.quantize(NET, DATA, target, **choices)
    names = promoted(found)
    assert names
    assert {row.layer for row in found.table() if row.reason.startswith("promoted for ")} <= names
    assert {row.layer for row in found.table() if row.precision == "int16"} == names
    assert found.choices.int16 == {name: found.placement[name].reason for name in found.placement if name in names}
    assert found.choices.won.endswith(", layers promoted")
    snr = found.choices.snr_db[found.choices.won]
    assert snr == pytest.approx(-10 * np.log10(noise(found)), abs=0.01)
    assert snr > found.choices.snr_db[found.choices.won.removesuffix(", layers promoted")]
    assert not violations(found.program, found.target)
    wide = {value.name for value in found.program.outputs if value.dtype.bits == 16}
    assert wide == ({"y"} if "classes" in names else set())
    assert np.array_equal(found.simulate(DATA[:4])["y"], found.simulate(DATA[:4], compiled=False)["y"])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("budget", [0.02, 0.1, 0.6, 1.0])
def test_a_budget_is_kept(target: str, budget: float) -> None:
    """The share is at most the budget, what it says; the outputs come closer, as far as it says."""
    found, plain = fast(target, int16_budget=budget), fast(target)
    assert share(found) <= budget
    if budget == 0.02:
        assert promoted(found) == set()
        line = "there is none left that gains anything within 2.0 % of the multiply-accumulates."
        assert told(found) == [f"no layer was promoted: {line}"]
        assert found.program.constants == plain.program.constants
        assert found.formats == plain.formats
        return
    before, after = noise(plain), noise(found)
    assert after < before
    count = "one layer" if len(promoted(found)) == 1 else f"{len(promoted(found))} layers"
    assert told(found)[0] == (
        f"{count} in int16 ({100 * share(found):.1f} % of the multiply-accumulates): "
        f"drop {drop(plain):.2f} → {drop(found):.2f} points, "
        f"{-10 * np.log10(before):.1f} → {-10 * np.log10(after):.1f} dB at the outputs."
    )
    if budget == 1.0:
        assert promoted(found) == set(found.placement)
        assert after < 1e-4 * before


def test_a_larger_budget_gains_more() -> None:
    found = [noise(fast("esp32p4", int16_budget=budget)) for budget in (0.1, 0.6, 1.0)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 3


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("wanted", [20.0, 5.0, 1.0, 0.05])
def test_a_drop_is_met(target: str, wanted: float) -> None:
    """On samples the weights were not fitted to, and with fewer steps it would not be."""
    found = tinsmith.quantize(NET, DATA, target, max_drop=wanted)
    default = tinsmith.quantize(NET, DATA, target)
    assert drop(found) <= wanted
    assert bool(promoted(found)) == (drop(default) > wanted)
    if not promoted(found):
        assert told(found) == [f"no layer had to go to int16: the drop is {drop(default):.2f} points."]
        assert found.program.constants == default.program.constants
    assert not any("not reached" in note for note in found.notes)


def test_a_drop_that_a_budget_does_not_reach() -> None:
    found = tinsmith.quantize(NET, DATA, "esp32s3", max_drop=0.01, int16_budget=0.1)
    assert 0 < share(found) <= 0.1
    missed = (
        f"a drop of 0.01 points is not reached within 10.0 % of the multiply-accumulates: {drop(found):.3g} are left."
    )
    assert told(found)[-1] == missed
    nothing = tinsmith.quantize(NET, DATA, "esp32s3", max_drop=0.01, int16_budget=0.02)
    assert promoted(nothing) == set()
    assert [note.split(":")[0] for note in told(nothing)] == [
        "no layer was promoted",
        "a drop of 0.01 points is not reached within 2.0 % of the multiply-accumulates",
    ]


def test_a_drop_needs_no_more_than_the_budget() -> None:
    """With both, nothing is promoted beyond what the drop takes."""
    little = fast("esp32p4", max_drop=10.0, int16_budget=1.0)
    assert drop(fast("esp32p4")) > 10.0 >= drop(little)
    assert promoted(little) == promoted(fast("esp32p4", max_drop=10.0))
    assert promoted(little) < promoted(fast("esp32p4", int16_budget=1.0))


@pytest.mark.parametrize("target", TARGETS)
def test_labels_make_it_accuracy(target: str) -> None:
    """On all samples; labels that the chip gets right are no reason to promote, whatever the float network says."""
    wanted = scores(DATA).argmax(1)
    plain = fast(target)
    mistakes = np.count_nonzero(chip(plain, DATA).argmax(1) != wanted)
    assert mistakes
    lost = 100 * mistakes / len(DATA)
    found = fast(target, max_drop=0.0, labels=wanted)
    right = np.count_nonzero(chip(found, DATA).argmax(1) == wanted)
    assert right == len(DATA)
    assert f"accuracy lost {lost:.2f} → 0.00 points" in told(found)[0]
    assert promoted(fast(target, max_drop=lost, labels=wanted)) == set()
    assert promoted(fast(target, max_drop=0.0, labels=chip(plain, DATA).argmax(1))) == set()


def test_labels_of_more_samples_than_are_tuned_with() -> None:
    """100 samples, of which the walk and the judge see 64: accuracy is that of all."""
    data = np.concatenate([DATA, np.concatenate([sample["x"] for sample in samples(FLOAT, 68, seed=7)])])
    wanted = scores(data).argmax(1)
    mistakes = chip(tinsmith.quantize(NET, data, "esp32s3", effort="fast"), data).argmax(1) != wanted
    assert mistakes[:64].any()
    assert mistakes[64:].any()
    found = tinsmith.quantize(NET, data, "esp32s3", effort="fast", labels=wanted, max_drop=100.0)
    assert told(found) == [
        f"no layer had to go to int16: the accuracy lost is {np.count_nonzero(mistakes):.2f} points."
    ]


def test_labels_too_few_to_tell() -> None:
    """One of 32 is 3.1 points."""
    wanted = scores(DATA).argmax(1)
    note = "each of the 32 samples with labels is 3.1 points: 3 takes more of them."
    assert note in fast(max_drop=3.0, labels=wanted).notes
    for enough in (4.0, 0.0):
        assert not any("takes more of them" in line for line in fast(max_drop=enough, labels=wanted).notes)


def test_layers_that_scopes_fix_stay() -> None:
    scopes = [{"layers": ["^classes$", "^first$"], "bits": 8}]
    found = fast(int16_budget=1.0, scopes=scopes)
    assert promoted(found) == {"second", "act2", "flat"}
    assert {name: found.placement[name].precision for name in ("first", "act1", "classes")} == {
        "first": "int8",
        "act1": "int8",
        "classes": "int8",
    }
    assert {value.dtype.bits for value in (*found.program.inputs, *found.program.outputs)} == {8}
    assert not any("int16 in the file" in note for note in found.notes)


def test_inputs_and_outputs_that_become_wider_are_named() -> None:
    found = fast(int16_budget=1.0)
    assert [v.dtype.bits for v in (*found.program.inputs, *found.program.outputs)] == [16, 16]
    assert told(found)[1] == "now int16 in the file: 'x', 'y'. Scopes with bits = 8 keep layers in int8."
    (note,) = (note for note in fast(int16_budget=0.1).notes if "int16 in the file" in note)
    assert note.startswith("now int16 in the file: 'y'.")


def test_layers_in_int16_by_name_are_no_promotion() -> None:
    """They count neither as gained nor as spent, and keep their reason."""
    found = fast(int16=["^classes$"], int16_budget=0.6)
    assert found.placement["classes"].reason == "chosen by '^classes$'"
    assert promoted(found) == {"second", "act2", "flat"}
    assert "3 layers in int16 (47.4 % of" in told(found)[0]
    every = fast(int16=["."], max_drop=50.0, int16_budget=0.5)
    assert told(every) == [f"no layer had to go to int16: the drop is {drop(every):.2f} points."]
    assert told(fast(int16=["."], int16_budget=0.5))[0].startswith("no layer was promoted: there is none left")


def test_weights_are_fitted_to_the_new_widths() -> None:
    """Promoted layers after tuning are closer than without, and what stays in int8 is rounded for the data again."""
    for target in TARGETS:
        tuned = tinsmith.quantize(NET, DATA, target, int16_budget=0.1)
        assert tuned.choices.won == "equalized, rounded for the data, layers promoted"
        assert noise(tuned) < 0.5 * noise(fast(target, int16_budget=0.1))


def test_the_same_data_give_the_same_file(tmp_path: Path) -> None:
    """Twice, and from the recipe in the file."""
    first = tinsmith.quantize(NET, DATA, "esp32s3", max_drop=2.0, int16_budget="90%").save(tmp_path / "a").espdl
    again = tinsmith.quantize(NET, DATA, "esp32s3", max_drop=2.0, int16_budget="90%").save(tmp_path / "b").espdl
    third = tinsmith.quantize(NET, DATA, recipe=first).save(tmp_path / "c").espdl
    assert Recipe.read(first).int16_budget == 0.9
    assert first.read_bytes() == again.read_bytes() == third.read_bytes()


def test_several_outputs() -> None:
    """The drop is that of the worst one."""
    rng = np.random.default_rng(0)
    constants = {name: rng.standard_normal(shape) for name, shape in CONSTANTS.items()}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], name="one", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Conv", ["b", "w2"], ["y"], name="two"),
        helper.make_node("Conv", ["b", "w3"], ["z"], name="three"),
    ]
    proto = model(nodes, {"x": (1, 3, 6, 6)}, {"y": (1, 4, 6, 6), "z": (1, 5, 6, 6)}, constants)
    data = rng.standard_normal((16, 3, 6, 6)).astype(np.float32)

    def worst(quantized: tinsmith.Quantized) -> float:
        _, net = canonical(proto)
        run = FloatNodes(net.nodes, net.outputs)
        found = tinsmith.dequantize(quantized.program, quantized.simulate(data[3::4]))
        wanted = [run({"x": sample[None]}) for sample in data[3::4]]
        return max(angle(found[name], np.concatenate([one[name] for one in wanted])) for name in "yz")

    before = worst(tinsmith.quantize(proto, data, "esp32p4", effort="fast"))
    found = tinsmith.quantize(proto, data, "esp32p4", effort="fast", max_drop=before / 2)
    assert promoted(found)
    assert worst(found) <= before / 2
    with pytest.raises(DataError, match=r"labels: the model has 0 outputs with class scores\. Leave the labels out"):
        tinsmith.quantize(proto, data, max_drop=1.0, labels=np.zeros(16, int))


CONSTANTS = {"w1": (8, 3, 3, 3), "w2": (4, 8, 1, 1), "w3": (5, 8, 1, 1), "zero": ()}


def comparison(*, floats: bool) -> onnx.ModelProto:
    """Conv, Greater; the Conv's result is an output or not."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], name="one", pads=[1] * 4),
        helper.make_node("Greater", ["a", "zero"], ["above"], name="greater"),
    ]
    constants = {"w1": rng.standard_normal(CONSTANTS["w1"]), "zero": np.zeros(())}
    proto = model(nodes, {"x": (1, 3, 4, 4)}, {"a": (1, 8, 4, 4)} if floats else {}, constants)
    proto.graph.output.append(helper.make_tensor_value_info("above", TensorProto.BOOL, [1, 8, 4, 4]))
    return proto


@pytest.mark.parametrize("option", ["max_drop", "int16_budget"])
def test_outputs_that_are_no_floats_tell_nothing(option: str) -> None:
    data = np.random.default_rng(0).standard_normal((8, 3, 4, 4)).astype(np.float32)
    with pytest.raises(RecipeError, match=rf"{option}: cannot be measured: 'above' are no floats\. End the model"):
        tinsmith.quantize(comparison(floats=False), data, "esp32p4", **{option: 1.0})  # type: ignore[arg-type]
    found = tinsmith.quantize(comparison(floats=True), data, "esp32p4", effort="fast", int16_budget=1.0)
    assert promoted(found) >= {"one"}


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_samples(count: int) -> None:
    """Nothing is kept from anybody, and nothing is tuned."""
    found = tinsmith.quantize(NET, DATA[:count], "esp32s3", max_drop=0.0)
    unseen = DATA[3:count:4] if count > 3 else DATA[:count]
    assert disagreement(chip(found, unseen), scores(unseen)) == 0.0


def test_models_with_ranges_of_their_own_are_promoted_with_data() -> None:
    proto = with_pairs(classifier())
    found = tinsmith.quantize(proto, images(16), "esp32s3", int16_budget=0.2)
    assert promoted(found) == {"pool", "flatten", "gemm"}
    with pytest.raises(RecipeError, match="int16_budget: needs calibration data"):
        tinsmith.quantize(with_pairs(classifier()), int16_budget=0.2)


def test_labels_that_are_no_class() -> None:
    labels = np.array([0, 1, 2, 12, 13])
    with pytest.raises(DataError, match=r"labels: the label of sample 3 is 12, of 12 classes\."):
        tinsmith.quantize(NET, DATA[:5], max_drop=1.0, labels=labels)


def test_bits_16_leaves_nothing_to_choose() -> None:
    with pytest.raises(RecipeError, match="int16_budget chooses layers to run in int16, and bits = 16 has all there"):
        fast(int16_budget=0.1, bits=16)


def test_what_the_chip_refuses_is_not_promoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where there are no formats nor where a rule would be broken: fewer steps are taken, or none."""
    original = promoting._Promoting._trial

    def refusing(limit: int) -> Any:
        def trial(self: Any, nodes: frozenset[str]) -> Any:
            return original(self, nodes) if len(nodes) <= limit else None

        return trial

    monkeypatch.setattr(promoting._Promoting, "_trial", refusing(4))
    for choices in ({"int16_budget": 1.0}, {"max_drop": 0.0}):
        some = tinsmith.quantize(NET, DATA, "esp32s3", **choices)  # type: ignore[arg-type]
        assert promoted(some) == {"second", "act2", "flat", "classes"}
    assert "a drop of 0 points is not reached" in told(some)[-1]
    monkeypatch.setattr(promoting._Promoting, "_trial", refusing(0))
    assert told(fast(int16_budget=1.0)) == [
        "no layer was promoted: int16 within 100.0 % of the multiply-accumulates does not bring the outputs closer."
    ]
    assert [note.split(":")[0] for note in told(fast(max_drop=0.0))] == [
        "no layer was promoted",
        "a drop of 0 points is not reached",
    ]


def test_the_command_says_what_became_of_it(tmp_path: Path) -> None:
    data = images(40)
    saved(classifier(), tmp_path / "model.onnx")
    np.save(tmp_path / "data.npy", data)
    np.save(tmp_path / "labels.npy", answers(classifier(), data))
    common = ("quantize", tmp_path / "model.onnx", "--data", tmp_path / "data.npy", "--effort", "fast", "-o", tmp_path)
    said = ok(*common, "--int16-budget", "10%", "--max-drop", "0.5", "--labels", tmp_path / "labels.npy", "--table")
    notes = [line for line in said.splitlines() if line.startswith("note: ")]
    assert any(" in int16 (3.9 % of the multiply-accumulates): accuracy lost " in note for note in notes)
    assert "note: now int16 in the file: 'scores'. Scopes with bits = 8 keep layers in int8." in notes
    assert "promoted for" in said
    assert "labels_sha256" in tinsmith.read(tmp_path / "model.espdl").metadata
