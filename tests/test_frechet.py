"""The Fréchet distance against closed forms and the matrix root of its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from pipeline.evaluation.frechet import frechet_distance
from pipeline.evaluation.unmeasurable import Unmeasurable


def normal(count: int, size: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, size))


@pytest.mark.parametrize(("count", "other"), [(60, 80), (20, 7), (5, 12)])
def test_it_is_the_definition_with_its_matrix_root(count: int, other: int) -> None:
    first, second = normal(count, 6, 0), normal(other, 6, 1) @ normal(6, 6, 2) + 1
    a, b = np.cov(first.T), np.cov(second.T)
    apart = np.square(first.mean(axis=0) - second.mean(axis=0)).sum()
    expected = apart + np.trace(a + b - 2 * np.real(sqrtm(a @ b)))
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-5)


def test_in_one_dimension_it_is_the_closed_form() -> None:
    first, second = normal(50, 1, 0) * 3 + 2, normal(40, 1, 1)
    expected = (first.mean() - second.mean()) ** 2 + (first.std(ddof=1) - second.std(ddof=1)) ** 2
    assert frechet_distance(first, second) == pytest.approx(expected)


def test_a_shift_costs_its_square_with_fewer_pictures_than_dimensions_too() -> None:
    for count in (4, 300):
        embeds = normal(count, 64, 0).astype(np.float32)
        assert frechet_distance(embeds, embeds) == pytest.approx(0, abs=1e-9)
        assert frechet_distance(embeds, embeds + 0.5) == pytest.approx(16, rel=1e-4)


def test_it_is_the_same_both_ways_and_zero_for_constants() -> None:
    first, second = normal(30, 8, 0), normal(12, 8, 1) * 2
    assert frechet_distance(first, second) == pytest.approx(frechet_distance(second, first))
    assert frechet_distance(np.ones((3, 4)), np.ones((2, 4))) == 0.0


def test_one_picture_has_no_covariance() -> None:
    with pytest.raises(Unmeasurable, match="at least two pictures"):
        frechet_distance(np.ones((1, 4)), np.ones((5, 4)))
    with pytest.raises(ValueError, match="embeddings of"):
        frechet_distance(np.ones((3, 4)), np.ones((3, 5)))
