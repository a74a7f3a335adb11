"""What a trial with random input finds."""

from __future__ import annotations

import numpy as np
import pytest

import tinsmith
from tests.graph.models import model, node
from tests.verdict.nets import exponentials_of_large, softmax_of_large, weights, wide_conv
from tinsmith.ops.call import Call
from tinsmith.targets import TARGETS


def test_formats_that_cannot_be_are_found_without_data() -> None:
    verdict = tinsmith.check(exponentials_of_large())
    (row,) = verdict.refused
    assert row.node == "sum"
    assert "overflows beyond -1" in row.reasons[0]


def test_a_softmax_of_large_input_runs_in_int16_without_being_told() -> None:
    verdict = tinsmith.check(softmax_of_large())
    assert verdict.deployable
    assert any("'softmax' would run in int16" in note for note in verdict.notes)
    assert not any("int16" in note for note in tinsmith.check(softmax_of_large(), int16="softmax").notes)


def test_a_trial_goes_on_behind_the_first_failure() -> None:
    net = model(
        [
            node("Gemm", "x w b", "a", "gemm"),
            node("ReduceLogSumExp", "a axes", "s", "first"),
            node("Gemm", "s v c", "d", "again"),
            node("ReduceLogSumExp", "d axes", "y", "second"),
        ],
        {"x": (1, 64)},
        "y",
        {
            "w": weights(64, 8),
            "b": weights(8) * 1e6,
            "v": weights(1, 8),
            "c": weights(8) * 1e6,
            "axes": np.array([1]),
        },
    )
    assert [row.node for row in tinsmith.check(net).refused] == ["first", "second"]


def test_broken_rules_name_the_node_they_are_about(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from tinsmith import ops

    def too_wide(call: Call) -> str | None:
        return "is too wide: make it narrower." if call.arg(0).data.shape[-1] > 8 else None

    known = dict(ops.operators())
    known["Sigmoid"] = replace(known["Sigmoid"], rules=(too_wide,))
    monkeypatch.setattr(ops, "operators", lambda: known)
    monkeypatch.setattr("tinsmith.simulator.legality.find", lambda op_type, subject="": known[op_type])
    net = model(
        [
            node("Sigmoid", "x", "a", "narrow"),
            node("Concat", "a a", "b", "twice", axis=1),
            node("Sigmoid", "b", "y", "wide"),
        ],
        {"x": (1, 8)},
        "y",
    )
    (row,) = tinsmith.check(net).refused
    assert row.node == "wide"
    assert row.reasons == ("is too wide: make it narrower. (Found in a trial with random input.)",)


def test_sums_are_proved_by_the_weights_where_they_can_be() -> None:
    (note,) = tinsmith.check(wide_conv(8), "esp32s3").notes
    assert note == ("trial with random input: 1 of 1 layer cannot saturate the accumulators, by the weights alone.")


def test_sums_that_need_data_are_counted_and_the_worst_is_named() -> None:
    (note,) = tinsmith.check(wide_conv(512), "esp32s3").notes
    assert "0 of 1 layer cannot saturate" in note
    # 256 products of 127 (or 64) · 127 and 256 of -127 · -128, in 20 bits.
    assert "the sums of 'wide' would be" in note
    weight = 64
    share = (256 * 127 * weight + 256 * 128 * weight) / 2**19
    assert f"{share:.1f} times the range" in note


@pytest.mark.parametrize("target", [name for name in TARGETS if name != "esp32s3"])
def test_other_chips_do_not_saturate(target: str) -> None:
    assert tinsmith.check(wide_conv(512), target).notes == ()


def test_a_model_for_positive_numbers_is_tried_with_those() -> None:
    net = model(
        [node("Log", "x", "a", "log"), node("Sqrt", "x", "b", "root"), node("Add", "a b", "y", "add")],
        {"x": (1, 8)},
        "y",
    )
    verdict = tinsmith.check(net, "c")
    assert (verdict.deployable, verdict.notes) == (True, ())


def test_a_model_that_takes_no_random_numbers_is_said_to_be_untried() -> None:
    net = model(
        [
            node("Neg", "x", "n", "negative"),
            node("Exp", "x", "e", "exp"),
            node("Sub", "n e", "d", "less"),
            node("Log", "d", "y", "log"),
        ],
        {"x": (1, 8)},
        "y",
    )
    verdict = tinsmith.check(net, "c")
    assert verdict.deployable
    assert "no trial" in verdict.notes[0]


def test_a_float_model_that_does_not_run_does_not_deploy() -> None:
    net = model(
        [node("Relu", "x", "a", "relu"), node("Reshape", "a shape", "y", "reshape")],
        {"x": (1, 8)},
        "y",
        {"shape": np.array([3, 7])},
    )
    verdict = tinsmith.check(net)
    assert not verdict.deployable
    assert any("does not run" in problem for problem in verdict.problems)


def test_trials_are_the_same_every_time() -> None:
    assert tinsmith.check(wide_conv(512)).notes == tinsmith.check(wide_conv(512)).notes
