"""The drop: what is expected agrees with what is counted over many draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinsmith.algorithms.drop import angle, disagreement, drop, is_scores, stays_ahead, top1_lost
from tinsmith.errors import DataError


def counted(scores: np.ndarray, deviation: float | np.ndarray, draws: int, rng: np.random.Generator) -> float:
    """Percent of draws in which another class wins, over all samples."""
    best = scores.argmax(axis=1)
    found = [
        np.mean((scores + deviation * rng.standard_normal(scores.shape)).argmax(axis=1) != best) for _ in range(draws)
    ]
    return 100 * float(np.mean(found))


@pytest.mark.parametrize(
    ("samples", "classes", "deviation"), [(64, 2, 0.3), (64, 10, 0.5), (64, 300, 0.4), (200, 5, 2)]
)
def test_expected_disagreement_is_what_is_counted(
    samples: int, classes: int, deviation: float, rng: np.random.Generator
) -> None:
    scores = 1.5 * rng.standard_normal((samples, classes))
    often = counted(scores, deviation, 800, rng)
    expected = [disagreement(scores + deviation * rng.standard_normal(scores.shape), scores) for _ in range(10)]
    # Each of the 10 is within a few percent of what is counted, as one count on so few samples is not.
    assert np.mean(expected) == pytest.approx(often, rel=0.08)
    assert np.std(expected) < 0.1 * often
    once = [counted(scores, deviation, 1, rng) for _ in range(50)]
    assert np.std(expected) < np.std(once) / 2


def test_samples_may_have_errors_of_different_sizes(rng: np.random.Generator) -> None:
    scores = rng.standard_normal((100, 200))
    sizes = np.where(np.arange(100) < 50, 0.2, 1.0)[:, None]
    often = counted(scores, sizes, 500, rng)
    assert disagreement(scores + sizes * rng.standard_normal(scores.shape), scores) == pytest.approx(often, rel=0.05)


def test_probability_of_two_classes_has_a_closed_form() -> None:
    for margin, deviation in ((0.5, 1.0), (3.0, 0.7), (0.0, 2.0)):
        closed = 0.5 * math.erfc(-margin / deviation / 2)
        assert stays_ahead(np.array([margin, 0.0]), deviation) == pytest.approx(closed, abs=1e-6)


def test_equal_scores_win_equally_often() -> None:
    assert stays_ahead(np.zeros(7), 1.0) == pytest.approx(1 / 7, abs=1e-4)


def test_classes_level_with_the_best_are_no_mistake(rng: np.random.Generator) -> None:
    """Scores behind a Relu, of which several are zero, say: which of them wins says nothing."""
    scores = np.zeros((8, 6))
    assert disagreement(scores + 0.1 * rng.standard_normal(scores.shape), scores) == 0.0
    scores = np.tile([2.0, 2.0, 1.0, 0.0], (64, 1))
    noisy = scores + 0.01 * rng.standard_normal(scores.shape)
    assert disagreement(noisy, scores) == pytest.approx(0, abs=1e-9)


def test_scores_that_are_all_smaller_change_no_order(rng: np.random.Generator) -> None:
    scores = rng.standard_normal((32, 10))
    assert disagreement(0.8 * scores + 3, scores) == pytest.approx(0, abs=1e-9)
    noisy = scores + 0.3 * rng.standard_normal(scores.shape)
    assert disagreement(0.5 * noisy, scores) == pytest.approx(disagreement(noisy, scores), rel=0.02)


def test_no_error_no_disagreement(rng: np.random.Generator) -> None:
    scores = rng.standard_normal((8, 4)).astype(np.float32)
    assert disagreement(scores, scores) == 0.0


def test_few_samples_tell_how_often_another_class_wins(rng: np.random.Generator) -> None:
    """Errors of 16 samples and distances of 64, of 20,000: each time nearly what counting on all gives."""
    scores = rng.standard_normal((20_000, 10))
    chip = scores + 0.05 * rng.standard_normal(scores.shape)
    counted = 100 * np.mean(chip.argmax(1) != scores.argmax(1))
    subsets = [rng.permutation(len(scores))[:64] for _ in range(16)]
    smooth = [disagreement(chip[some[:16]], scores[some[:16]], scores[some]) for some in subsets]
    rough = [disagreement(chip[some[:16]], scores[some[:16]]) for some in subsets]
    assert np.mean(smooth) == pytest.approx(counted, rel=0.15)
    assert np.std(smooth) < 0.3 * counted
    assert np.std(rough) > 2 * np.std(smooth)
    assert disagreement(scores[:16], scores[:16], scores[:64]) == 0.0


def test_a_single_known_class(rng: np.random.Generator) -> None:
    """Samples in which all classes are level have no distance to spread."""
    scores = np.zeros((4, 5))
    assert disagreement(scores + rng.standard_normal(scores.shape), scores, scores) == 0.0


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 2.0), st.floats(1.2, 4.0))
def test_larger_errors_cost_more(seed: int, deviation: float, factor: float) -> None:
    rng = np.random.default_rng(seed)
    scores, error = rng.standard_normal((16, 12)), deviation * rng.standard_normal((16, 12))
    error -= scores * (error * scores).sum() / (scores * scores).sum()  # no stretch
    assert 0 <= disagreement(scores + error, scores) <= disagreement(scores + factor * error, scores) + 1.0 <= 101


def test_angle() -> None:
    ones = np.ones((2, 3, 4), np.float32)
    assert angle(2 * ones, ones) == pytest.approx(0)
    assert angle(-ones, ones) == pytest.approx(200)
    assert angle(np.array([[1.0, 1.0]]), np.array([[1.0, 0.0]])) == pytest.approx(100 - 100 / math.sqrt(2))
    assert angle(0 * ones, 0 * ones) == 0
    assert angle(ones, 0 * ones) == 100


def test_scores_have_one_axis() -> None:
    assert is_scores((5, 10))
    assert is_scores((5, 1, 10, 1))
    assert not is_scores((5, 1))
    assert not is_scores((5, 10, 10))


def test_top1_lost() -> None:
    labels = np.array([0, 1, 1, 0])
    wanted = np.array([[1, 0], [0, 1], [0, 1], [0, 1.0]])
    chip = np.array([[0, 1], [0, 1], [0, 1], [0, 1.0]])
    assert top1_lost(chip, wanted, labels) == 25
    assert top1_lost(wanted, chip, labels) == -25


def test_drop_takes_the_output_that_loses_most(rng: np.random.Generator) -> None:
    scores, features = rng.standard_normal((20, 10)), rng.standard_normal((20, 3, 4))
    near, far = scores + 0.01 * rng.standard_normal(scores.shape), features + rng.standard_normal(features.shape)
    assert drop({"s": near, "f": far}, {"s": scores, "f": features}) == angle(far, features)
    assert drop({"s": near}, {"s": scores}) == disagreement(near, scores)
    best = np.argmax(scores, axis=1)
    assert drop({"s": near, "f": far}, {"s": scores, "f": features}, best) == top1_lost(near, scores, best)


def test_labels_need_class_scores() -> None:
    features = np.ones((2, 3, 4))
    with pytest.raises(DataError, match="0 outputs with class scores"):
        drop({"f": features}, {"f": features}, np.array([0, 1]))
    scores = np.ones((2, 3))
    with pytest.raises(DataError, match="3 for 2 samples"):
        drop({"s": scores}, {"s": scores}, np.array([0, 1, 2]))
