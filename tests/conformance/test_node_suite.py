"""The single-operator cases of ONNX's own test suite: quantized within the formats' error, or refused for a reason.

`node_cases` says in which forms the cases are tried, `node_limits` how close the results have to be, and
`node_refusals.toml` what is refused; ``python -m tests.conformance.node_suite --write`` writes that anew.
Other versions of ONNX have other cases and other operators to refuse: with them, only what is quantized is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from zlib import crc32

import numpy as np
import onnx
import pytest

from tests.conformance.node_cases import Case, cases, first_sample, forms
from tests.conformance.node_limits import LARGER, limits, too_generous
from tests.conformance.node_refusals import counted, expected_refusal, patterns, table, written_for
from tests.conformance.node_runs import Outcome, essence, measured, outcome

SAME_ONNX = onnx.__version__ == written_for()
SHARES = 24
"""Parts into which the cases are divided, by their names."""
FULL = [("esp32s3", 8, share) for share in range(SHARES)] + [("esp32s3", 16, share) for share in range(SHARES)]
SAMPLED = [("esp32p4", 8, 2), ("esp32p4", 16, 5), ("c", 8, 8), ("c", 16, 11), ("esp32p4", 8, 14), ("c", 8, 17)]
QUICK = [("esp32s3", 8, 0), ("esp32s3", 16, 1), ("esp32p4", 8, 2), ("c", 8, 8)]


def _share(number: int) -> list[Case]:
    return [case for case in cases() if crc32(case.name.encode()) % SHARES == number]


def _wrong(found: Outcome, bits: int) -> Iterable[str]:
    """What a case does that it must not."""
    label = f"{found.case.name} ({found.case.form})"
    yield from (f"{label}: {problem}" for problem in found.problems)
    expected = expected_refusal(found.case, bits)
    if found.refusal != expected and SAME_ONNX:
        yield f"{label}: refused for {found.refusal or 'nothing'!r}, expected {expected or 'nothing'!r}"
    elif not found.refusal:
        ratio, steps, parts = limits(found.case.name, bits)
        if not found.snr >= ratio:
            yield f"{label}: {found.snr:.1f} dB, expected {ratio}"
        if not found.steps <= steps:
            yield f"{label}: {found.steps:.1f} steps, expected {steps}"
        if not found.parts <= parts:
            yield f"{label}: {found.parts:.1f} parts per million, expected {parts}"


def _check(share: tuple[str, int, int], record: Callable[[str, object], None]) -> None:
    target, bits, number = share
    outcomes = [outcome(case, target, bits) for case in _share(number)]
    record(f"node cases on {target}, int{bits}", counted(outcomes))
    assert [line for found in outcomes for line in _wrong(found, bits)] == []


@pytest.mark.parametrize("share", QUICK, ids=str)
def test_some_cases(share: tuple[str, int, int], record_property: Callable[[str, object], None]) -> None:
    _check(share, record_property)


@pytest.mark.slow
@pytest.mark.parametrize("share", [share for share in FULL + SAMPLED if share not in QUICK], ids=str)
def test_all_cases(share: tuple[str, int, int], record_property: Callable[[str, object], None]) -> None:
    _check(share, record_property)


def _one_of_each(count: int) -> list[Case]:
    """Cases of different operators that are quantized."""
    found: dict[str, Case] = {}
    for case in cases():
        if case.operator not in found and not expected_refusal(case, 8):
            found[case.operator] = case
    return sorted(found.values(), key=lambda case: crc32(case.name.encode()))[:count]


@pytest.mark.skipif(not SAME_ONNX, reason="the table is about another version of ONNX")
@pytest.mark.parametrize("part", range(3))
def test_tuning_takes_any_case(part: int) -> None:
    chosen = [*_one_of_each(60), _case("less"), _case("equal")][part::3]
    outcomes = [outcome(case, "esp32s3", 8, effort="default") for case in chosen]
    assert [(found.case.name, found.refusal, found.problems) for found in outcomes if found.problems] == []
    assert all(found.refusal == expected_refusal(found.case, 8) for found in outcomes)


@pytest.mark.skipif(not SAME_ONNX, reason="the table is about another version of ONNX")
def test_every_entry_of_the_table_is_about_a_case() -> None:
    operators = {case.operator for case in cases()}
    for entry in table():
        assert entry.reason
        assert set(entry.operators) <= operators
        for pattern in entry.patterns:
            met = [case for case in cases() if fnmatchcase(case.name, pattern)]
            assert met, pattern
            assert all(expected_refusal(case, entry.bits or 8) == entry.reason for case in met), pattern


def test_every_exception_is_about_a_case() -> None:
    for larger in LARGER:
        for pattern in larger.patterns:
            assert any(fnmatchcase(case.name, pattern) for case in cases()), pattern


@pytest.mark.slow
@pytest.mark.skipif(not SAME_ONNX, reason="the table is about another version of ONNX")
def test_every_exception_is_needed() -> None:
    excepted = [pattern for larger in LARGER for pattern in larger.patterns]
    chosen = [case for case in cases() if any(fnmatchcase(case.name, pattern) for pattern in excepted)]
    assert too_generous(measured({bits: [outcome(case, "esp32s3", bits) for case in chosen] for bits in (8, 16)})) == []


def test_limits_that_nothing_needs_are_named() -> None:
    found = too_generous({("tan", 8): (40.0, 0.0, 0.0), ("log", 8): (21.0, 0.0, 0.0), ("log", 16): (55.0, 0.0, 0.0)})
    assert "tan: needs no exception" in found
    assert "log: needs no exception" not in found
    assert not [line for line in found if line.startswith("log …")]
    found = too_generous({("log", 8): (24.0, 0.0, 0.0), ("log", 16): (55.0, 0.0, 0.0)})
    assert "log …: 24.0 dB at 8 bits, 18.0 allowed" in found


def test_patterns_match_their_cases_and_no_others() -> None:
    members = {"cast_a_to_b", "cast_a_to_c", "cast_x", "pad"}
    found = patterns(members, {"cast_b_to_c", "cast_b", "padding"})
    assert found == ["cast_a*", "cast_x", "pad"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("model: one node cannot run on esp32s3:\n  Cast 'a.b': the runtime has no such operator.",
         "the runtime has no such operator"),
        ("'x: y': the weights hold NaN. Training diverged.", "the weights hold NaN"),
        ("input 'x': holds UINT8, not floats.", "holds no floats"),
        ("Range 'r': the shape of 'y' depends on what it is fed with. Cut it.",
         "the shape of … depends on what it is fed with"),
    ],
)  # fmt: skip
def test_the_essence_of_a_message(message: str, reason: str) -> None:
    assert essence(message) == reason


def _case(name: str) -> Case:
    return next(case for case in cases() if case.name == name)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("relu", ["x"]),
        ("gather_0", ["data indices", "data"]),
        ("conv_with_strides_padding", ["x W", "x"]),
        ("layer_normalization_2d_axis0", ["X W B", "X"]),
        ("where_example", ["condition x y", "x y", "x", "condition"]),
        ("dequantizelinear", ["x x_scale x_zero_point", "x_scale", "x"]),
    ],
)
def test_forms(name: str, found: list[str]) -> None:
    tried = list(forms(_case(name)))
    assert [" ".join(value.name for value in form.model.graph.input) for form in tried] == found
    for form in tried:
        onnx.checker.check_model(form.model)
        assert set(form.feeds) == {value.name for value in form.model.graph.input}


def test_the_first_sample_of_a_sequence() -> None:
    *_, constant = forms(_case("gru_defaults"))
    alone = first_sample(constant)
    assert alone is not None
    assert alone.feeds["X"].shape == (1, 1, 2)
    assert np.allclose(alone.expected["Y_h"], constant.expected["Y_h"][:, :1])


def test_integers_that_stand_for_real_numbers() -> None:
    *_, last = forms(_case("dequantizelinear"))
    assert last.feeds["x"].tolist() == _case("dequantizelinear").expected["y"].tolist()


def test_a_wrong_result_is_noticed() -> None:
    case = _case("tanh")
    found = replace(case, expected={"y": case.expected["y"] * np.float32(1.1)})
    (wrong,) = _wrong(outcome(found, "esp32s3", 8), 8)
    assert "dB, expected 25" in wrong
    (wrong,) = _wrong(Outcome(case, refusal="no"), 8)
    assert "refused for 'no', expected 'nothing'" in wrong
