"""Intervals: against normal theory, and how often they hold the truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from pipeline.evaluation.bootstrap import difference_interval, mean_interval, share_interval
from pipeline.evaluation.unmeasurable import Unmeasurable

TRIALS = 400
Draw = Callable[[np.random.Generator], np.ndarray]
DRAWS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng: rng.normal(size=20), 0.0),
    "skewed": (lambda rng: rng.exponential(size=20), 1.0),
    "yes or no": (lambda rng: (rng.random(20) < 0.8).astype(float), 0.8),
}


def coverage(draw: Draw, truth: float, interval: Callable[[np.ndarray], tuple[float, float]]):
    found = [interval(draw(np.random.default_rng([7, trial]))) for trial in range(TRIALS)]
    return np.mean([low <= truth <= high for low, high in found])


@pytest.mark.parametrize("name", DRAWS)
def test_twenty_values_are_enough_for_an_interval_that_covers(name: str) -> None:
    draw, truth = DRAWS[name]
    assert coverage(draw, truth, lambda values: mean_interval(values, seed=0)) >= 0.93


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95, 0.99])
def test_shares_cover_near_one_too(share: float) -> None:
    assert coverage(lambda rng: rng.random(20) < share, share, share_interval) >= 0.93


def test_pictures_of_one_prompt_are_not_counted_as_independent() -> None:
    prompts = np.repeat(np.arange(60), 4).tolist()

    def draw(
        rng: np.random.Generator,
    ) -> np.ndarray:  # a prompt is hard or easy: they fail together
        return (rng.random((60, 4)) < rng.beta(0.5, 0.5, size=(60, 1))).ravel().astype(float)

    assert coverage(draw, 0.5, share_interval) < 0.85
    assert coverage(draw, 0.5, lambda v: share_interval(v, by=prompts)) >= 0.925
    assert coverage(draw, 0.5, lambda v: mean_interval(v, seed=0, by=prompts)) >= 0.92


def test_a_large_sample_has_the_interval_of_the_normal_theory_and_of_scipy() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=400)
    low, high = mean_interval(values, seed=0)
    error = 1.96 * values.std(ddof=1) / 20
    assert low == pytest.approx(values.mean() - error, abs=0.03)
    assert high == pytest.approx(values.mean() + error, abs=0.03)
    theirs = bootstrap(
        (values,), np.mean, n_resamples=2000, method="BCa", rng=np.random.default_rng(0)
    )
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.03)


def test_the_seed_alone_decides_and_constant_values_leave_no_doubt() -> None:
    values = np.arange(20.0)
    assert mean_interval(values, seed=3) == mean_interval(values, seed=3)
    assert mean_interval(np.full(20, 0.25), seed=0) == (0.25, 0.25)


def test_all_right_is_not_certain() -> None:
    low, high = share_interval(np.ones(100, bool))
    assert high == 1.0
    assert low == pytest.approx(binomtest(100, 100).proportion_ci(method="wilson").low, abs=2e-3)
    assert share_interval(np.zeros(100, bool)) == pytest.approx((0.0, 1 - low))
    # 100 pictures of 25 prompts that are all right tell what 25 do
    prompts = np.repeat(np.arange(25), 4).tolist()
    assert share_interval(np.ones(100, bool), by=prompts)[0] == share_interval(np.ones(25, bool))[0]


def test_a_share_has_wilsons_interval() -> None:
    right = np.arange(300) < 210
    theirs = binomtest(210, 300).proportion_ci(method="wilson")
    assert share_interval(right) == pytest.approx((theirs.low, theirs.high), abs=2e-3)
    assert share_interval(right, weights=np.full(300, 0.1)) == pytest.approx(share_interval(right))


def test_partners_cancel_what_they_share() -> None:
    rng = np.random.default_rng(0)
    prompts = rng.normal(0, 10, 100)
    first, second = prompts + rng.normal(0, 1, 100), prompts + 1 + rng.normal(0, 1, 100)
    low, high = difference_interval(first, second, seed=0)
    assert 0 < low < 1 < high
    assert mean_interval(first, seed=0)[1] > mean_interval(second, seed=0)[0]
    flipped = difference_interval(second, first, seed=0)
    assert (-flipped[1], -flipped[0]) == pytest.approx((low, high), abs=0.05)


def test_too_few_units_have_no_interval() -> None:
    for few in (np.ones(0), np.ones(1), np.ones(19)):
        with pytest.raises(Unmeasurable, match="at least 20"):
            mean_interval(few, seed=0)
        with pytest.raises(Unmeasurable, match="at least 20"):
            share_interval(few)
    with pytest.raises(Unmeasurable, match="at least 20"):
        mean_interval(np.arange(100.0), seed=0, by=[i % 19 for i in range(100)])


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match="units"):
        mean_interval(np.ones(30), seed=0, by=["a"])
    with pytest.raises(ValueError, match="expected"):
        share_interval(np.full(30, 1.5))
    with pytest.raises(ValueError, match="one value"):
        mean_interval(np.ones((30, 2)), seed=0)
    with pytest.raises(ValueError, match="pairs of"):
        difference_interval(np.ones(30), np.ones(31), seed=0)
