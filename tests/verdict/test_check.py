"""`tinsmith.check`: what becomes of each node, and every reason why a model does not deploy."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

import tinsmith
from tests.graph.models import model, node
from tests.small_net import classifier, images, saved
from tests.verdict.nets import (
    MAP,
    branching,
    foreign,
    picking,
    softmax_of_large,
    two_foreign,
    two_unsupported,
    weights,
    wide_conv,
)
from tinsmith.errors import ModelError, RecipeError, UnsupportedError
from tinsmith.ops import absent
from tinsmith.verdict.result import Row, Verdict


def outcomes(verdict: Verdict) -> dict[str, str]:
    return {row.node: row.outcome for row in verdict.rows}


def rows(verdict: Verdict) -> dict[str, Row]:
    return {row.node: row for row in verdict.rows}


def test_a_model_that_deploys() -> None:
    verdict = tinsmith.check(classifier(), "esp32s3")
    assert verdict.deployable
    assert verdict.counts == {"int8": 5}
    assert [(row.node, row.change) for row in verdict.rows if not row.plain] == [("relu", "part of Conv 'conv'")]
    assert (verdict.target, verdict.problems, verdict.refused) == ("esp32s3", (), ())
    tinsmith.quantize(classifier(), images(2), "esp32s3")


def test_every_unsupported_node_is_named_and_the_rest_is_placed() -> None:
    verdict = tinsmith.check(two_unsupported())
    assert outcomes(verdict) == {"conv": "int8", "det": "refused", "relu": "int8", "sample": "refused"}
    assert [row.reasons for row in verdict.refused] == [(absent.reason("Det"),), (absent.reason("GridSample"),)]
    assert not verdict.deployable


def test_a_model_that_deploys_once_its_head_is_cut() -> None:
    verdict = tinsmith.check(picking())
    assert [row.node for row in verdict.refused] == ["top"]
    (note,) = (note for note in verdict.notes if "--outputs auto" in note)
    assert "then it deploys. It ends at a." in note
    assert not any("--outputs auto" in note for note in tinsmith.check(picking(), outputs="auto").notes)


def test_what_a_cut_head_does_not_help() -> None:
    refused = [node("Det", "a", "d", "det"), node("Mul", "a d", "e", "mul"), node("Conv", "e v", "f", "again")]
    verdict = tinsmith.check(picking(*refused))
    assert [row.node for row in verdict.refused] == ["det", "top"]
    assert any("then 1 of the refusals remains. It ends at f." in note for note in verdict.notes)


def test_a_pattern_for_the_head_alone_is_no_error() -> None:
    assert any("--outputs auto" in note for note in tinsmith.check(picking(), int16="^sigmoid$").notes)


def test_quantize_gives_the_same_reasons() -> None:
    with pytest.raises(UnsupportedError) as caught:
        tinsmith.quantize(two_unsupported(), np.zeros(MAP, np.float32))
    for row in tinsmith.check(two_unsupported()).refused:
        for reason in row.reasons:
            assert f"{row.operator} {row.node!r}: {reason}" in str(caught.value)


def test_a_node_has_all_its_reasons() -> None:
    net = model(
        [node("LSTM", "x w r _ lens _ _", "y", "lstm", hidden_size=4, clip=3.0)],
        {"x": (5, 2, 3)},
        "y",
        {"w": weights(1, 16, 3), "r": weights(1, 16, 4), "lens": np.array([5, 3], np.int32)},
    )
    (row,) = tinsmith.check(net).refused
    assert any("batch must be 1" in reason for reason in row.reasons)
    assert any("`sequence_lens`" in reason for reason in row.reasons)
    assert any("`clip`" in reason for reason in row.reasons)


def test_reasons_of_import_placement_and_trial_come_together() -> None:
    net = model(
        [
            node("Gemm", "x w b", "a", "gemm"),
            node("ReduceLogSumExp", "a axes", "s", "sum"),
            node("Relu", "a", "r", "relu"),
            foreign("Magic", "r", "z", "magic"),
            node("Reshape", "x square", "q", "square"),
            node("Det", "q", "c", "det"),
        ],
        {"x": (1, 64)},
        "s z c",
        {"w": weights(64, 8), "b": weights(8) * 1e6, "square": np.array([1, 8, 8]), "axes": np.array([1])},
        domains=["my.ops"],
    )
    verdict = tinsmith.check(net)
    reasons = {row.node: row.reasons[0] for row in verdict.refused}
    assert list(reasons) == ["sum", "magic", "det"]
    assert reasons["sum"].endswith("(Found in a trial with random input.)")
    assert "not part of ONNX" in reasons["magic"]
    assert outcomes(verdict)["relu"] == "int8"


def test_rewritten_nodes_say_how() -> None:
    net = model(
        [
            node("Pad", "x pads", "p", "pad"),
            node("Conv", "p w", "a", "conv"),
            node("BatchNormalization", "a s b m v", "n", "norm"),
            node("Dropout", "n", "d", "dropout"),
            node("Shape", "d", "shape", "shape"),
            node("Reshape", "d flat", "f", "reshape"),
            node("Sigmoid", "f", "g", "gate"),
            node("Mul", "f g", "y", "swish"),
        ],
        {"x": MAP},
        "y",
        {
            "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
            "w": weights(4, 4, 3, 3),
            **{name: np.abs(weights(4)) + 0.5 for name in "sbmv"},
            "flat": np.array([1, -1]),
        },
    )
    found = rows(tinsmith.check(net, "esp32p4"))
    assert found["pad"].change == "part of Conv 'conv'"
    assert found["norm"].change == "part of Conv 'conv'"
    assert found["conv"].plain
    assert (found["dropout"].outcome, found["dropout"].change) == ("removed", "not needed")
    assert found["gate"].change == "part of Swish 'swish'"
    assert (found["swish"].outcome, found["swish"].change, found["swish"].into) == ("int8", "becomes Swish", ("swish",))
    assert found["reshape"].plain


def test_a_function_that_becomes_one_table() -> None:
    net = model(
        [
            node("Softplus", "x", "a", "softplus"),
            node("Tanh", "a", "b", "tanh"),
            node("Mul", "x b", "c", "mish"),
            node("Sin", "c", "s", "sine"),
            node("Cos", "s", "y", "cosine"),
        ],
        {"x": MAP},
        "y",
    )
    verdict = tinsmith.check(net)
    assert verdict.deployable
    assert {row.outcome for row in verdict.rows} == {"int8"}
    assert rows(verdict)["cosine"].change == "becomes a table of 5 nodes"
    assert rows(verdict)["tanh"].change == "part of a table of 5 nodes 'cosine'"


def test_precisions_asked_for_and_those_the_runtime_imposes() -> None:
    verdict = tinsmith.check(classifier(), "esp32s3", int16="^gemm$")
    assert (rows(verdict)["gemm"].outcome, rows(verdict)["gemm"].why) == ("int16", "chosen by '^gemm$'")
    assert tinsmith.check(classifier(), "esp32s3", bits=16).counts == {"int16": 5}


def test_what_follows_a_foreign_node_is_looked_at_where_its_shape_is_known() -> None:
    verdict = tinsmith.check(two_foreign("b", "d"))
    assert outcomes(verdict) == {
        "conv": "int8",
        "magic": "refused",
        "relu": "int8",
        "more": "refused",
        "sigmoid": "int8",
        "det": "refused",
    }
    assert "'my.ops' is not part of ONNX" in rows(verdict)["more"].reasons[0]


def test_what_follows_a_foreign_node_of_unknown_shape_is_not_looked_at() -> None:
    verdict = tinsmith.check(two_foreign())
    assert outcomes(verdict) == {
        "conv": "int8",
        "magic": "refused",
        "relu": "unknown",
        "more": "refused",
        "sigmoid": "unknown",
        "det": "unknown",
    }
    assert "depends on 'magic'" in rows(verdict)["sigmoid"].why


def test_control_flow_is_one_reason_among_others() -> None:
    verdict = tinsmith.check(branching())
    assert outcomes(verdict)["if"] == "refused"
    assert outcomes(verdict)["conv"] == outcomes(verdict)["largest"] == "int8"
    assert "at run time" in rows(verdict)["if"].reasons[0]


def test_a_model_of_nothing_but_foreign_nodes() -> None:
    net = two_foreign()
    del net.graph.node[2:], net.graph.node[0]
    net.graph.node[0].input[0], net.graph.output[0].name = "x", "b"
    net.graph.ClearField("initializer")
    verdict = tinsmith.check(net)
    assert outcomes(verdict) == {"magic": "refused"}


def test_weights_that_are_not_numbers_do_not_hide_the_rest() -> None:
    net = two_unsupported()
    broken = weights(4, 4, 1, 1)
    broken[0] = np.nan
    net.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(broken, "w"))
    verdict = tinsmith.check(net)
    assert len(verdict.problems) == 1
    assert "'w': the weights hold NaN" in verdict.problems[0]
    assert [row.node for row in verdict.refused] == ["det", "sample"]


def test_a_verdict_is_of_the_part_that_is_meant() -> None:
    verdict = tinsmith.check(two_unsupported(), outputs=["r"])
    assert verdict.deployable
    assert outcomes(verdict) == {"conv": "int8", "relu": "int8"}
    cut = tinsmith.check(two_foreign("b", "d"), outputs="e")
    assert "det" not in outcomes(cut)
    assert [row.node for row in cut.refused] == ["magic", "more"]


def test_the_model_in_memory_is_left_alone() -> None:
    for net in (two_unsupported(), two_foreign("b"), branching()):
        before = net.SerializeToString()
        tinsmith.check(net)
        assert net.SerializeToString() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outputs": ["nowhere"]}, "no value is named 'nowhere'"),
        ({"input_shapes": {"nothing": (1, 2)}}, "no input 'nothing'"),
        ({"input_shapes": {"image": (1, 2)}}, "2 dimensions"),
    ],
)
def test_options_that_do_not_fit_are_errors(options: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        tinsmith.check(classifier(), **options)  # type: ignore[arg-type]


def test_open_dimensions_are_asked_for() -> None:
    open_one = classifier(size="H")
    with pytest.raises(ModelError, match="--input-shape"):
        tinsmith.check(open_one)
    assert tinsmith.check(open_one, input_shapes={"image": (1, 3, 8, 8)}).deployable


@pytest.mark.parametrize("options", [{"target": "esp33"}, {"bits": 4}, {"int16": "nowhere"}, {"esp_dl": "one"}])
def test_unknown_options_are_errors(options: dict[str, object]) -> None:
    with pytest.raises(RecipeError):
        tinsmith.check(classifier(), **options)  # type: ignore[arg-type]


def test_a_file_that_is_no_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"model\.onnx"):
        tinsmith.check(tmp_path / "model.onnx")


def test_json_holds_everything(tmp_path: Path) -> None:
    verdict = tinsmith.check(saved(two_unsupported(), tmp_path / "netz für alle.onnx"), "c")
    found = json.loads(verdict.to_json())
    assert found["deployable"] is False
    assert found["counts"] == {"int8": 2, "refused": 2}
    assert found["model"] == str(tmp_path / "netz für alle.onnx")
    assert [(row["node"], row["outcome"]) for row in found["rows"]] == list(outcomes(verdict).items())
    assert found["rows"][1]["reasons"] == list(verdict.rows[1].reasons)


def test_verdicts_are_values() -> None:
    assert tinsmith.check(softmax_of_large()) == tinsmith.check(softmax_of_large())
    with pytest.raises(AttributeError):
        tinsmith.check(wide_conv(8)).target = "c"  # type: ignore[misc]


def test_it_is_quick() -> None:
    blocks, nodes, constants = 40, [], {}
    for index in range(blocks):
        constants[f"w{index}"] = weights(32, 32, 3, 3, seed=index) / 17
        nodes.append(node("Conv", f"{'x' if not index else f'r{index - 1}'} w{index}", f"c{index}", pads=[1, 1, 1, 1]))
        nodes.append(node("Relu", f"c{index}", f"r{index}"))
    net = model(nodes, {"x": (1, 32, 28, 28)}, f"r{blocks - 1}", constants)
    tinsmith.check(classifier())
    started = time.process_time()
    assert tinsmith.check(net).deployable
    assert time.process_time() - started < 4
