"""Distances of distributions: by hand, and on pictures whose faults are known."""

from __future__ import annotations

import numpy as np
import pytest
from gallery import CHEAP, COUNT, blurred, kinds, of_random_titles, painted

from pipeline.evaluation.distribution import distribution, kernel_distance
from pipeline.evaluation.frechet import frechet_distance
from pipeline.evaluation.unmeasurable import Unmeasurable


def measured(made: np.ndarray) -> dict[str, float]:
    return dict(distribution(CHEAP(painted(0)), CHEAP(made), seed=0))


def normal(count: int, size: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, size))


def test_every_measure_is_its_definition() -> None:
    real, made = normal(50, 4, 0), normal(50, 4, 1) * 1.3 + 0.5
    found = dict(distribution(real, made, seed=0))
    assert found["n"] == 50
    assert found["fd"] == pytest.approx(frechet_distance(real, made))
    h = [
        (x @ z / 4 + 1) ** 3 + (y @ w / 4 + 1) ** 3 - (x @ w / 4 + 1) ** 3 - (z @ y / 4 + 1) ** 3
        for i, (x, y) in enumerate(zip(real, made, strict=True))
        for j, (z, w) in enumerate(zip(real, made, strict=True))
        if i != j
    ]
    assert found["kid"] == pytest.approx(np.mean(h)) == kernel_distance(real, made)

    def reach(points: np.ndarray) -> list[float]:
        return [sorted(np.linalg.norm(points - p, axis=1))[5] for p in points]

    balls = [np.linalg.norm(made - p, axis=1) <= r for p, r in zip(real, reach(real), strict=True)]
    theirs = [np.linalg.norm(real - p, axis=1) <= r for p, r in zip(made, reach(made), strict=True)]
    assert found["precision"] == np.any(balls, axis=0).mean()
    assert found["recall"] == np.any(theirs, axis=0).mean()
    assert found["density"] == pytest.approx(np.sum(balls, axis=0).mean() / 5)
    assert found["coverage"] == np.any(balls, axis=1).mean()
    for name in ("fd", "kid", "precision", "recall", "density", "coverage"):
        assert found[f"{name}_low"] < found[name] <= found[f"{name}_high"]


def test_real_pictures_of_the_same_prompts_are_at_no_distance() -> None:
    found = measured(painted(1))
    sigma = (found["kid_high"] - found["kid_low"]) / 4
    assert abs(found["kid"]) < 3 * sigma
    assert found["precision"] > 0.9
    assert found["recall"] > 0.9
    assert found["coverage"] > 0.9
    assert found["density"] == pytest.approx(1, abs=0.25)


def test_kid_has_no_bias_where_titles_are_shared_which_the_three_sum_form_has() -> None:
    paired, three_sums = [], []
    for seed in range(60):
        titles = normal(40, 3, seed) * 2
        real, made = titles + normal(40, 3, seed + 100), titles + normal(40, 3, seed + 200)
        paired.append(kernel_distance(real, made))
        k = [(a @ b.T / 3 + 1) ** 3 for a, b in ((real, real), (made, made), (real, made))]
        within = [(m.sum() - np.trace(m)) / (40 * 39) for m in k[:2]]
        three_sums.append(sum(within) - 2 * k[2].mean())
    for values, unbiased in ((paired, True), (three_sums, False)):
        off = np.mean(values) / (np.std(values) / np.sqrt(60))
        assert (abs(off) < 3) == unbiased


def test_blur_raises_kid_and_a_slight_one_hardly() -> None:
    real, slight, strong = (measured(blurred(painted(1), s))["kid"] for s in (0.01, 0.5, 1.0))
    assert strong > 5 * abs(slight) > 5 * abs(real)
    assert measured(blurred(painted(1), 1.0))["kid_low"] > 0


def test_the_order_of_the_prompts_does_not_matter() -> None:
    real, made = CHEAP(painted(0)), CHEAP(painted(1))
    order = np.random.default_rng(0).permutation(COUNT)
    first = dict(distribution(real, made, seed=0))
    again = dict(distribution(real[order], made[order], seed=0))
    for name in ("fd", "kid", "precision", "recall", "density", "coverage"):
        assert again[name] == pytest.approx(first[name])


def test_a_kind_left_out_loses_recall_and_not_precision() -> None:
    made = painted(1).copy()
    missing = np.flatnonzero(kinds() == "ship")
    made[missing] = painted(2)[missing - 1]  # the kind before, in other pictures
    whole, found = measured(painted(1)), measured(made)
    assert found["recall"] < whole["recall"] - 0.03
    assert found["precision"] >= whole["precision"] - 0.02


def test_pictures_of_other_titles_are_further_than_those_of_the_same() -> None:
    other = of_random_titles()
    same, others = measured(painted(1)), measured(other)
    assert others["fd"] > 1.2 * same["fd"]
    assert others["coverage"] < same["coverage"]


def test_what_is_right_everywhere_is_not_certain() -> None:
    found = dict(distribution(normal(50, 2, 0), normal(50, 2, 0), seed=0))
    assert found["precision"] == found["precision_high"] == 1.0
    assert 0.9 < found["precision_low"] < 1.0


def test_too_few_prompts_are_unmeasurable_and_unequal_sets_an_error() -> None:
    with pytest.raises(Unmeasurable, match="40 prompts"):
        dict(distribution(normal(39, 4, 0), normal(39, 4, 1), seed=0))
    with pytest.raises(ValueError, match="one row a prompt"):
        dict(distribution(normal(50, 4, 0), normal(49, 4, 1), seed=0))
