"""What calibration samples are good for: outliers, halves, repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import tinsmith
from tests.calibrate.nets import conv_net, pictures
from tests.small_net import classifier, images
from tinsmith.calibrate.exponents import choose_exponent, error_of
from tinsmith.calibrate.guidance import Guidance, SampleNote, far_out, guidance
from tinsmith.calibrate.observe import observe
from tinsmith.calibrate.per_sample import RECORDED, Share, error_of_shares, least_error_exponent
from tinsmith.calibrate.stats import Stats
from tinsmith.errors import DataError
from tinsmith.pipeline import examine
from tinsmith.quant.rounding import Rounding
from tinsmith.recipe import Recipe

HALF_UP = Rounding.HALF_UP
magnitudes = st.floats(1e-3, 1e3)


def seen(count: int, seed: int = 0) -> tuple[dict[str, Sequence[Share]], Stats]:
    rng = np.random.default_rng(seed)
    shares: dict[str, Sequence[Share]] = {}
    samples = pictures(rng, count)
    stats = observe(conv_net(rng), ["x", "c", "r", "y"], samples, rounding=HALF_UP, shares=shares)
    return shares, stats


def test_the_shares_add_up_to_the_whole() -> None:
    shares, stats = seen(7)
    for name, found in shares.items():
        assert len(found) == 7
        assert (min(s.minimum for s in found), max(s.maximum for s in found)) == (
            stats[name].minimum,
            stats[name].maximum,
        )
        assert sum(s.square_sum for s in found) == stats[name].square_sum
        assert sum(s.nonzero for s in found) == stats[name].nonzero
        for bits in (8, 16):
            exponent = least_error_exponent(found, bits)
            assert exponent == choose_exponent(stats[name], bits)
            assert exponent is not None
            assert error_of_shares(found, exponent, bits) == pytest.approx(error_of(stats[name], exponent, bits))


def test_recording_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    net, samples = conv_net(rng), pictures(rng, 5)
    plain = observe(net, ["c", "y"], samples, rounding=HALF_UP)
    recorded = observe(net, ["c", "y"], samples, rounding=HALF_UP, shares={})
    assert [recorded[name].candidates for name in plain] == [plain[name].candidates for name in plain]


def test_the_record_ends() -> None:
    shares: dict[str, Sequence[Share]] = {}
    observe(conv_net(np.random.default_rng(0)), ["y"], pictures(np.random.default_rng(1), 1) * (RECORDED + 3),
            rounding=HALF_UP, shares=shares)  # fmt: skip
    assert len(shares["y"]) == RECORDED


def test_zeros_have_no_exponent() -> None:
    zero = Share(0.0, 0.0, 0.0, 0.0, {})
    assert least_error_exponent([zero, zero], 8) is None
    shares, _ = seen(3)
    assert least_error_exponent([zero, *shares["c"]], 8) == least_error_exponent(shares["c"], 8)


def test_an_exponent_nobody_watched_costs_infinitely_much() -> None:
    shares, _ = seen(3)
    assert error_of_shares(shares["c"], -50, 8) == np.inf


@given(st.lists(st.floats(1.0, 1.99), min_size=16, max_size=40), st.integers(0, 15), st.floats(2.5, 50.0))
def test_a_sample_far_beyond_all_others_is_found(usual: list[float], place: int, factor: float) -> None:
    reach = [*usual]
    reach[place] = factor * max(value for index, value in enumerate(usual) if index != place)
    found = far_out(reach)
    assert list(found) == [place]
    assert found[place] == pytest.approx(factor)


@given(st.lists(st.floats(1.0, 1.99), min_size=0, max_size=60))
def test_usual_samples_are_no_outliers(usual: list[float]) -> None:
    assert far_out(usual) == {}


def test_two_outliers_do_not_hide_each_other() -> None:
    assert far_out([1.0] * 20 + [9.0, 10.0]) == {20: 9.0, 21: 10.0}
    assert far_out([1.0] * 20 + [3.0, 3.1]) == {}, "several must be farther off than one"
    assert far_out([1.0] * 16 + [9.0, 10.0]) == {}, "two of eighteen are too many to be unusual"


@pytest.mark.parametrize("reach", [[1.0] * 14 + [99.0], [0.0] * 19 + [99.0], [0.0] * 19, []])
def test_where_nothing_can_be_told(reach: list[float]) -> None:
    assert far_out(reach) == {}


def test_an_outlier_is_named_with_value_and_factor() -> None:
    data = images(16)
    data[5] *= 20
    found = tinsmith.quantize(classifier(), data, effort="fast")
    assert found.calibration is not None
    (outlier,) = found.calibration.outliers
    assert outlier.sample == "sample 5"
    assert list(outlier.factors.values()) == sorted(outlier.factors.values(), reverse=True)
    assert outlier.factors["active"] >= 2
    value = next(iter(outlier.factors))
    assert any(
        note.startswith(
            f"calibration: sample 5 reaches {outlier.factors[value]:.1f} times as far as the others at {value!r}"
        )
        for note in found.notes
    )


def test_an_outlier_does_not_make_the_others_unstable() -> None:
    data = np.repeat(images(8), 2, axis=0)
    data[5] *= 9
    found = examine(classifier(), data)
    assert len(found.outliers) == 1
    assert (found.stable, found.unstable) == (True, ())


def test_pictures_are_named_by_their_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for index in range(20):
        Image.fromarray(rng.integers(120, 136, (8, 8, 3), np.uint8)).save(tmp_path / f"{index}.png")
    Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(tmp_path / "wild.png")
    Image.fromarray(np.full((8, 8, 3), 128, np.uint8)).save(tmp_path / "black.png")
    found = examine(classifier(), tmp_path, mean=128, std=8)
    assert [Path(outlier.sample).name for outlier in found.outliers] == ["wild.png"]
    assert [Path(name).name for name in found.constant] == ["black.png"]


def test_repeated_and_constant_samples() -> None:
    data = images(16)
    data[7] = data[2]
    data[9] = data[2]
    data[4] = 0.5
    found = examine(classifier(), data)
    assert found.repeated == (("sample 7", "sample 2"), ("sample 9", "sample 2"))
    assert found.constant == ("sample 4",)
    assert "calibration: 2 samples are there twice, sample 7 as sample 2." in found.notes
    assert "calibration: one sample holds one number only, sample 4." in found.notes


def test_one_repetition_among_many_is_no_note() -> None:
    data = images(16)
    data[7] = data[2]
    found = examine(classifier(), data)
    assert len(found.repeated) == 1
    assert not any("twice" in note for note in found.notes)


def test_samples_that_all_hold_one_number_are_meant_so() -> None:
    notes = [SampleNote.of(str(value), {"x": np.full((1, 4), value, np.float32)}) for value in range(9)]
    assert guidance(9, notes, {}, 8).constant == ()


def test_single_numbers_are_not_constant() -> None:
    assert not SampleNote.of("a", {"x": np.ones((1, 1), np.float32)}).constant
    assert not SampleNote.of("a", {"x": np.arange(4.0), "state": np.zeros(4)}).constant
    assert SampleNote.of("a", {"x": np.ones(4), "state": np.zeros(4)}).constant


def test_equal_samples_have_equal_digests() -> None:
    one, other = (SampleNote.of("a", {"x": array}) for array in (np.ones((2, 2))[::-1], np.ones((2, 2))))
    assert one.digest == other.digest
    assert SampleNote.of("a", {"x": np.zeros((2, 2))}).digest != one.digest


def test_halves_that_disagree_ask_for_more() -> None:
    """Samples at odd places are a sixteenth as large as the others."""
    data = images(16)
    data[1::2] /= 16
    found = examine(classifier(), data)
    assert found.stable is False
    by_name = {unstable.value: unstable for unstable in found.unstable}
    assert by_name["image"].halves[0] == by_name["image"].exponent
    assert by_name["image"].halves[1] is not None
    assert by_name["image"].halves[1] < by_name["image"].exponent
    assert [unstable.cost for unstable in found.unstable] == sorted((u.cost for u in found.unstable), reverse=True)
    (note,) = (note for note in found.notes if "add samples" in note)
    assert note.startswith(f"calibration: {len(found.unstable)} of {found.values} values would take another exponent")


def test_a_giant_hides_what_halves_would_tell() -> None:
    """After it, samples are watched at coarse exponents only: no reason to call them unstable."""
    data = np.repeat(images(12), 2, axis=0)
    data[2] *= 500
    found = examine(classifier(), data)
    assert [outlier.sample for outlier in found.outliers] == ["sample 2"]
    assert found.unstable == ()


def test_halves_that_agree_are_stable() -> None:
    data = np.repeat(images(8), 2, axis=0)
    found = examine(classifier(), data)
    assert (found.stable, found.unstable) == (True, ())


@pytest.mark.parametrize(("count", "stable"), [(1, None), (3, None), (4, True)])
def test_too_few_to_tell(count: int, stable: bool | None) -> None:
    found = examine(classifier(), np.repeat(images(1), count, axis=0))
    assert found.stable is stable
    assert found.notes == ()


def test_the_result_of_quantizing_has_it_too() -> None:
    quantized = tinsmith.quantize(classifier(), images(12), effort="fast")
    assert quantized.calibration == examine(classifier(), images(12))
    assert isinstance(quantized.calibration, Guidance)
    assert quantized.calibration.samples == 12


@pytest.mark.parametrize("bits", [8, 16])
def test_methods_are_compared(bits: int) -> None:
    """Each chooses what quantizing with it chooses where no rule interferes, and none has less error than mse."""
    data = images(16)
    data[3] *= 9
    recipe = Recipe.of(bits=bits, percentile=99.0, effort="fast")
    found = examine(classifier(), data, recipe=recipe, methods=True)
    rows = {row.value: row for row in found.methods}
    assert {value: row.layer for value, row in rows.items()} == {
        "image": "", "active": "relu", "pooled": "pool", "scores": "gemm",
    }  # fmt: skip
    assert (rows["image"].minimum, rows["image"].maximum) == (data.min(), data.max())
    for method in ("minmax", "percentile", "kl"):
        formats = tinsmith.quantize(classifier(), data, recipe=recipe, calibration=method).formats
        assert rows["image"].exponents[method] == formats.values["image"].exponent
    for row in found.methods:
        assert row.decibels["mse"] == 0
        assert min(row.decibels.values()) == 0
    assert rows["image"].exponents["percentile"] < rows["image"].exponents["minmax"]
    assert rows["image"].decibels["percentile"] > 0
    assert examine(classifier(), data, recipe=recipe).methods == ()


def test_without_data_there_is_nothing_to_say() -> None:
    from tests.quantized_net import with_pairs

    assert tinsmith.quantize(with_pairs(classifier())).calibration is None
    with pytest.raises(DataError, match=r"calibration data: there are none\."):
        examine(with_pairs(classifier()), None)


def test_too_few_to_tune_is_a_note() -> None:
    assert (
        "weights are not tuned: 3 samples, and 8 are the least; add samples."
        in tinsmith.quantize(classifier(), images(3)).notes
    )
    assert (
        "weights are not tuned: one sample, and 8 are the least; add samples."
        in tinsmith.quantize(classifier(), images(1)).notes
    )
