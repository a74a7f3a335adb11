"""The accuracy comparison: what is kept, the statistics, the bounds and the page made of it."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # its files are scripts that import each other

import accuracy_plan as plan  # noqa: E402
import accuracy_tables as tables  # noqa: E402
import networks  # noqa: E402
import outcomes  # noqa: E402
import tinsmith  # noqa: E402
from accuracy_page import page  # noqa: E402
from accuracy_runs import Bench, float_outputs  # noqa: E402
from outcomes import OURS, PEER, Outcome, Run  # noqa: E402
from tests.small_net import answers, classifier, images, saved  # noqa: E402

LABELS = [0, 1, 2, 3] * 25
FLOATS = [0, 1, 2, 0] * 25
"""Three in four are right."""


def outcome(
    row: str = "default",
    wrong: int = 0,
    *,
    tool: str = OURS,
    network: str = "mobilenetv2",
    target: str = "esp32s3",
    draw: int | None = None,
    most: int | None = None,
) -> Outcome:
    """Answers of the float network, but for the first ``wrong`` of those it has right."""
    right = [index for index, (a, b) in enumerate(zip(LABELS, FLOATS, strict=True)) if a == b]
    found = list(FLOATS)
    for index in right[:wrong]:
        found[index] = 3
    run = Run(network, target, tool, row, {"recipe": row} if tool == PEER else {}, draw, most)
    facts = {"version": "1", "machine": "a machine", "measured": "2030-01-02"}
    return Outcome(run, LABELS, FLOATS, found, 20.0, 3.25, 6.0, **facts)


def case(tmp_path: Path) -> networks.Case:
    model, held = classifier(), images(12, seed=2)
    return networks.Case("small", saved(model, tmp_path / "m.onnx"), images(8), held, answers(model, held))


def test_figures_of_an_outcome() -> None:
    found = outcome(wrong=3)
    assert (found.samples, found.float_accuracy, found.accuracy, found.agreement) == (100, 75.0, 72.0, 97.0)
    assert found.net_flips == 3


def test_a_paired_difference_is_that_of_samples() -> None:
    found = outcome(wrong=3).to_float
    differences = np.array([-1.0] * 3 + [0.0] * 97)
    assert found == outcomes.Paired(100 * differences.mean(), 100 * differences.std() / 10)
    assert str(found) == "-3.00 ± 1.71"


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=50))
def test_paired_differences_are_antisymmetric_and_vanish_on_equals(pairs: list[tuple[bool, bool]]) -> None:
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    there, back = outcomes.paired(first, second), outcomes.paired(second, first)
    assert (there.points, there.error) == (-back.points, back.error)
    assert there.points == pytest.approx(100 * (first.mean() - second.mean()))
    assert outcomes.paired(first, first) == outcomes.Paired(0.0, 0.0)


def test_two_files_compare_on_the_same_samples_only() -> None:
    assert outcome(wrong=2).to_other(outcome("tqt", 5, tool=PEER)).points == 3.0
    with pytest.raises(ValueError, match="different samples"):
        outcome().to_other(replace(outcome(), labels=LABELS[::-1]))


def test_snr_of_outputs() -> None:
    reference = np.array([[3.0, 4.0]], np.float32)
    assert outcomes.snr_db(reference, reference) == math.inf
    assert outcomes.snr_db(reference + np.float32([[0.0, 0.5]]), reference) == 20.0
    assert outcomes.snr_db(reference, np.zeros_like(reference)) == -math.inf


def test_an_outcome_survives_being_kept(tmp_path: Path) -> None:
    found = replace(outcome(wrong=1), snr_db=math.inf, notes={"int16": ["a"]})
    outcomes.save(found, tmp_path)
    assert outcomes.kept(found.run, tmp_path) == found
    assert outcomes.all_kept(tmp_path) == [found]


def test_what_is_kept_is_found_only_for_the_very_same_run(tmp_path: Path) -> None:
    found = outcome()
    outcomes.save(found, tmp_path)
    assert outcomes.kept(replace(found.run, options={"effort": "fast"}), tmp_path) is None
    assert outcomes.kept(replace(found.run, target="esp32p4"), tmp_path) is None


def test_a_peers_failure_is_a_result_and_ours_is_tried_again(tmp_path: Path) -> None:
    for tool, there in ((PEER, True), (OURS, False)):
        lost = replace(outcome(tool=tool), answers=[], failed="no")
        outcomes.save(lost, tmp_path)
        assert (outcomes.kept(lost.run, tmp_path) is not None) == there


def test_every_planned_run_has_a_file_of_its_own() -> None:
    runs = list(plan.planned(plan.GROUPS, plan.NETWORKS, plan.TARGETS, None))
    runs += plan.planned(plan.GROUPS, plan.NETWORKS, plan.TARGETS, 8)
    assert len({run.place for run in runs}) == len(runs)
    assert {run.network for run in runs if run.draw is not None} == networks.TAKEN.keys()
    assert not [run for run in runs if run.row == "equalization-relu" and run.network == "kws"]
    assert {run.network for run in runs if run.row == "equalization-relu"} == set(plan.WITH_RELU6)


def test_runs_come_network_by_network() -> None:
    order = [run.network for run in plan.planned(plan.GROUPS, plan.NETWORKS, plan.TARGETS, None)]
    assert list(dict.fromkeys(order)) == list(plan.NETWORKS)
    assert sum(a != b for a, b in pairwise(order)) == len(plan.NETWORKS) - 1


@pytest.mark.parametrize(
    ("bound", "wrong", "missing", "text"),
    [
        (plan.Bound(accuracy=72.0), 3, 0.0, "≥ 72 %"),
        (plan.Bound(accuracy=72.0), 5, 2.0, "≥ 72 %"),
        (plan.Bound(drop=0.5), 1, 0.5, "float − 0.5"),
        (plan.Bound(drop=0.0), 0, 0.0, "float"),
        (plan.Bound(drop=0.5, flips=2), 2, 0.0, "float − 0.5 or 2 flips"),
        (plan.Bound(drop=0.5, flips=2), 3, 2.5, "float − 0.5 or 2 flips"),
    ],
)
def test_bounds(bound: plan.Bound, wrong: int, missing: float, text: str) -> None:
    assert (bound.missing(outcome(wrong=wrong)), str(bound)) == (missing, text)


def test_every_network_and_chip_has_a_bound_at_default_effort() -> None:
    assert all(plan.bounds(network, target, "default") for network in plan.NETWORKS for target in plan.TARGETS)
    assert plan.bounds("kws", "esp32s3", "fast") is None


def test_the_summary_compares_with_the_best_recipe() -> None:
    known = [outcome(wrong=3), outcome("default", 30, tool=PEER), outcome("minmax", 10, tool=PEER)]
    known += [outcome("mixed", 1, tool=PEER), outcome("tqt", 2, tool=PEER), outcome("default", 5, draw=0)]
    known += [replace(outcome("mse", 0, tool=PEER), answers=[], failed="no")]
    (row,) = tables.summary(tables.by_place(known)).rows
    assert row[0] == "mobilenetv2, esp32s3"
    assert row[3:6] == ("72.00", "-3.00 ± 1.71", "65.00 (minmax)")
    assert row[6].startswith("+7.00 ± ")
    assert (row[7], row[8][:5]) == ("73.00", "-1.00")
    assert row[9:] == ("≥ 72 %: kept", "float − 1: 2.00 below")


def test_many_layers_in_int16_are_counted() -> None:
    few, many = ([f"/f/{index}" for index in range(count)] for count in (tables.SHOWN, tables.SHOWN + 3))
    assert tables._layers(few) == ", ".join(f"`{name}`" for name in few)
    assert tables._layers(many) == f"{tables._layers(few)} and 3 more"


def test_the_page_shows_everything_that_is_kept() -> None:
    mixed = replace(
        outcome("mixed", 1, tool=PEER), seconds=50.0, notes={"int16": ["/f/Conv"], "snr_to_own_executor_db": 40.0}
    )
    lost = replace(outcome("mse", tool=PEER), answers=[], failed="Error: a | b\nc", seconds=math.nan)
    alone = outcome("equalize + round", 4)
    drawn = [outcome(wrong=index, draw=index) for index in plan.DRAWS]
    text = page([drawn[1], mixed, lost, alone, *drawn[2:], drawn[0], outcome(wrong=3), outcome(most=8)])
    assert "Measured 2030-01-02 with tinsmith 1 and esp-ppq 1, on a machine." in text
    assert "### mobilenetv2, esp32s3: 100 samples, float 75.00 %" in text
    assert "| tinsmith default | 72.00 | -3.00 ± 1.71 | 97.00 | +3 | 20.00 | 3.2 | ≥ 72 %: kept |" in text
    assert text.count("| 50.0* |") == 2
    assert "| mobilenetv2, esp32s3 |  | 3.2 |  |  |  |  | 50.0* |  |" in text
    assert "| esp-ppq mse | fails: Error: a \\| b c |" in text
    assert "- esp-ppq mixed: in int16 `/f/Conv`." in text
    assert "- esp-ppq mixed: its own executor computes something else; signal to difference 40 dB." in text
    assert "| 75.00 (20.0) | 74.00 (20.0) | 73.00 (20.0) | 72.00 (20.0) | 71.00 (20.0) | 71.00 … 75.00 |" in text
    assert "128 of mobilenetv2" in text
    (row,) = [line for line in text.splitlines() if "| 71.00 (20.0) |" in line and "…" not in line]
    assert row.startswith("| mobilenetv2, esp32s3 |  | 71.00 (20.0) |")
    assert row.endswith("| 72.00 (20.0) |  |")


def test_tables_of_the_page_are_tables() -> None:
    lines = page([outcome(), outcome("default", 2, tool=PEER)]).splitlines()
    for line, following in pairwise(lines):
        if line.startswith("|") and following.startswith("|"):
            assert line.count("|") == following.count("|")


def test_a_page_of_nothing_says_so() -> None:
    assert "Measured never" in page([])


def test_a_page_of_several_states_of_the_code_says_so() -> None:
    assert "different states" in page([outcome(), replace(outcome("fast"), version="2")])
    assert "different states" not in page([outcome(), outcome("fast")])


def test_our_run_is_measured_once(tmp_path: Path) -> None:
    run, asked = Run("small", "esp32p4", OURS, "fast", {"effort": "fast"}), []

    def read() -> networks.Case:
        asked.append(1)
        return case(tmp_path)

    bench = Bench(tmp_path / "results")
    first = bench.measure(run, read)
    assert first == bench.measure(run, read)
    assert len(asked) == 1
    assert (first.samples, first.float_accuracy, len(first.answers)) == (12, 100.0, 12)
    assert first.seconds > 0
    again = Bench(tmp_path / "results", again=True).measure(run, read)
    assert (again.answers, again.notes["sha256"]) == (first.answers, first.notes["sha256"])
    assert len(asked) == 2


def test_our_figures_are_those_of_evaluate(tmp_path: Path) -> None:
    known = case(tmp_path)
    found = Bench(tmp_path / "results").measure(Run("small", "esp32s3", OURS, "int8", {}), lambda: known)
    program = tinsmith.quantize(known.model, known.calibration, "esp32s3").program
    same = tinsmith.evaluate(program, known.samples, known.labels, known.model)
    (fidelity,) = same.outputs.values()
    assert (found.accuracy, found.agreement, found.net_flips) == (
        pytest.approx(100 * same.top1),
        pytest.approx(100 * same.agreement),
        same.net_flips,
    )
    assert found.snr_db == pytest.approx(fidelity.snr_db)


STUB = """#!{python}
import json, shutil, sys
folder, given = sys.argv[6], {given!r}
report = {{"version": "0", "failed": None, "not_exported": None, "int16": [], "seconds": 1.0, "cpu_seconds": 2.0}}
report |= {report!r}
if report["failed"] is None:
    import numpy as np
    count = len(np.load(sys.argv[8]))
    np.save(folder + "/outputs.npy", np.load(given + "/own.npy")[:count])
    if report["not_exported"] is None:
        shutil.copy(given + "/model.espdl", folder)
print("chatter")
print(json.dumps(report))
"""


def peers(tmp_path: Path, size: int, identity: bool = False, **report: str) -> tuple[Outcome, networks.Case]:
    """An outcome of a peer that writes our program without the layouts recorded, and computes the same."""
    model, held = classifier(size=size), images(12, seed=2, size=size)
    known = networks.Case("small", saved(model, tmp_path / "m.onnx"), images(8, size=size), held, answers(model, held))
    program = replace(tinsmith.quantize(known.model, known.calibration, "esp32p4").program, metadata={})
    tinsmith.write(program, tmp_path / "model.espdl")
    as_file = held if identity else held.transpose(0, 2, 3, 1)
    own = tinsmith.dequantize(program, tinsmith.simulate(program, {"image": as_file}, "esp32p4"))["scores"]
    np.save(tmp_path / "own.npy", own)
    stub = tmp_path / "peer"
    stub.write_text(STUB.format(python=sys.executable, given=str(tmp_path), report=report))
    stub.chmod(0o755)
    run = Run("small", "esp32p4", PEER, "default", {"recipe": "default"})
    return Bench(tmp_path / "results", str(stub)).measure(run, lambda: known), known


@pytest.mark.parametrize("identity", [False, True])
def test_a_peers_file_is_run_with_the_layout_its_own_executor_had(tmp_path: Path, identity: bool) -> None:
    found, _ = peers(tmp_path, 3, identity)  # 3×3×3: shapes do not tell
    assert found.answers == np.load(tmp_path / "own.npy").argmax(axis=1).tolist()
    assert found.notes["snr_to_own_executor_db"] == math.inf
    assert (found.seconds, found.cpu_seconds, found.version, found.own_executor) == (1.0, 2.0, "0", False)
    assert (tmp_path / "results/small/esp32p4/esp-ppq-default.espdl").is_file()


def test_a_peers_file_that_cannot_be_had_is_replaced_by_its_own_executor(tmp_path: Path) -> None:
    found, _ = peers(tmp_path, 8, not_exported="KeyError: no")
    assert found.answers == np.load(tmp_path / "own.npy").argmax(axis=1).tolist()
    assert (found.own_executor, found.notes["refused"]) == (True, "KeyError: no")


def test_a_peers_recipe_that_fails_says_why(tmp_path: Path) -> None:
    found, known = peers(tmp_path, 8, failed="RuntimeError: no")
    assert (found.failed, list(found.answers), found.samples) == ("RuntimeError: no", [], len(known.samples))


def test_a_peer_that_is_none_is_a_failure(tmp_path: Path) -> None:
    run = Run("small", "esp32p4", PEER, "default", {"recipe": "default"})
    found = Bench(tmp_path / "results", "false").measure(run, lambda: case(tmp_path))
    assert found.failed == "exit status 1: "
    with pytest.raises(ValueError, match="no interpreter"):
        Bench(tmp_path / "other").measure(run, lambda: case(tmp_path))


def test_what_we_refuse_is_a_failure_with_the_reason(tmp_path: Path) -> None:
    run = Run("small", "esp32p4", OURS, "odd", {"bits": 9})
    found = Bench(tmp_path / "results").measure(run, lambda: case(tmp_path))
    assert found.failed is not None
    assert "bits" in found.failed


def test_float_outputs_are_those_of_these_samples(tmp_path: Path) -> None:
    known = case(tmp_path)
    first = float_outputs(known, tmp_path / "results")
    turned = float_outputs(replace(known, samples=known.samples[::-1].copy()), tmp_path / "results")
    np.testing.assert_array_equal(turned, first[::-1])


@pytest.mark.parametrize("name", ["signdigits", "resnet8", pytest.param("mobilenetv2", marks=pytest.mark.slow)])
def test_draws_never_calibrate_on_held_samples(name: str) -> None:
    from tests.shared import shared_path

    found = [networks.drawn(name, shared_path("data"), draw) for draw in (0, 0, 1)]
    assert [len(one.calibration) for one in found] == [64] * 3
    np.testing.assert_array_equal(found[0].calibration, found[1].calibration)
    assert not np.array_equal(found[0].calibration, found[2].calibration)
    held = {sample.tobytes() for sample in found[0].samples}
    assert not held & {sample.tobytes() for one in found for sample in one.calibration}
    assert len(found[0].samples) == len(networks.CASES[name](shared_path("data")).samples) - networks.TAKEN[name]


def test_the_command_writes_the_page_from_what_is_kept(tmp_path: Path) -> None:
    outcomes.save(outcome(wrong=3), tmp_path / "results")
    command = [sys.executable, str(BENCHMARKS / "accuracy.py"), "--results", str(tmp_path / "results")]
    shown = subprocess.run([*command, "--page", str(tmp_path / "page.md")], capture_output=True, text=True, check=True)
    assert "Default effort beside esp-ppq" in shown.stdout
    assert (tmp_path / "page.md").read_text("utf-8") == page([outcome(wrong=3)])
