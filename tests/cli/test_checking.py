"""``tinsmith check``: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.shell import error, ok, rows, tinsmith
from tests.graph.models import model, node
from tests.small_net import classifier, saved
from tests.verdict.nets import two_foreign, two_unsupported, weights, wide_conv


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return saved(classifier(), tmp_path / "good.onnx")


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return saved(two_unsupported(), tmp_path / "bad.onnx")


def test_a_model_that_deploys(good: Path) -> None:
    printed = ok("check", good, "--target", "esp32p4")
    assert printed.startswith(f"{good} on esp32p4, ESP-DL 3.3.9: deploys\n")
    assert ["relu", "Relu", "int8", "part", "of", "Conv", "'conv'"] in rows(printed)
    assert ["4", "nodes", "int8", "as", "they", "are"] in rows(printed)
    assert "gemm" not in printed


def test_all_shows_every_node(good: Path) -> None:
    printed = ok("check", good, "--all")
    assert [row[0] for row in rows(printed) if row[-1] == "int8" or "int8" in row] == [
        "conv",
        "relu",
        "pool",
        "flatten",
        "gemm",
    ]


def test_a_model_that_does_not_deploy_ends_with_1(bad: Path) -> None:
    outcome = tinsmith("check", bad)
    assert (outcome.code, outcome.err) == (1, "")
    assert outcome.out.startswith(f"{bad} on esp32s3, ESP-DL 3.3.9: does not deploy: 2 nodes are refused\n")
    assert "refused: Det 'det'; GridSample 'sample': the runtime has no such operator." in outcome.out


def test_what_could_not_be_looked_at_is_said(tmp_path: Path) -> None:
    outcome = tinsmith("check", saved(two_foreign(), tmp_path / "model.onnx"))
    assert outcome.code == 1
    (line,) = (row for row in rows(outcome.out) if row[0] == "relu")
    assert line[:8] == ["relu", "and", "2", "more", "Relu,", "Sigmoid,", "Det", "unknown"]
    assert "depends on 'magic'" in outcome.out


def test_nodes_of_the_same_fate_share_a_line(tmp_path: Path) -> None:
    nodes, constants, last = [], {}, "x"
    for index in range(4):
        nodes.append(node("Conv", f"{last} w{index}", f"c{index}", f"conv{index}"))
        nodes.append(node("BatchNormalization", f"c{index} s s s s", f"n{index}", f"norm{index}"))
        constants[f"w{index}"], last = weights(4, 4, 1, 1, seed=index), f"n{index}"
    net = model(nodes, {"x": (1, 4, 8, 8)}, last, {**constants, "s": abs(weights(4)) + 0.5})
    printed = ok("check", saved(net, tmp_path / "model.onnx"), "--target", "c")
    assert ["norm0", "and", "3", "more", "BatchNormalization", "int8", "part", "of", "Conv"] in rows(printed)


def test_notes_follow(tmp_path: Path) -> None:
    printed = ok("check", saved(wide_conv(512), tmp_path / "model.onnx"))
    assert "\nnote: trial with random input: 0 of 1 layer cannot saturate" in printed


def test_json(good: Path, bad: Path) -> None:
    assert json.loads(ok("check", good, "--json"))["deployable"] is True
    outcome = tinsmith("check", bad, "--json")
    assert outcome.code == 1
    assert json.loads(outcome.out)["counts"] == {"int8": 2, "refused": 2}


def test_options_reach_the_verdict(good: Path, bad: Path, tmp_path: Path) -> None:
    assert json.loads(ok("check", good, "--json", "--int16", "^gemm$"))["counts"] == {"int8": 4, "int16": 1}
    assert json.loads(ok("check", good, "--json", "--bits", "16"))["counts"] == {"int16": 5}
    assert json.loads(ok("check", bad, "--json", "--outputs", "r"))["deployable"] is True
    assert json.loads(ok("check", good, "--json", "--esp-dl", "3.3.5", "--target", "c"))["esp_dl"] == "3.3.5"
    open_one = saved(classifier(size="H"), tmp_path / "open.onnx")
    assert "--input-shape" in error("check", open_one)
    assert "deploys" in ok("check", open_one, "--input-shape", "image=1,3,8,8")


@pytest.mark.parametrize("options", [("--target", "esp33"), ("--outputs", "nowhere"), ("--int16", "nowhere")])
def test_mistakes_end_with_2(good: Path, options: tuple[str, ...]) -> None:
    assert error("check", good, *options, code=2).startswith("error: ")


def test_a_file_that_is_no_model_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    assert "model.onnx" in error("check", tmp_path / "model.onnx", code=2)
    assert "does not exist" in error("check", tmp_path / "absent.onnx", code=2)
