"""Projections: against the decomposition itself, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.projection import pca, tsne
from pipeline.evaluation.unmeasurable import Unmeasurable


def latents(count: int, size: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, size)).astype(np.float32)


def test_pca_is_the_singular_value_decomposition() -> None:
    rows = latents(40)
    centred = rows.astype(np.float64) - rows.astype(np.float64).mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    assert np.allclose(np.abs(pca(rows)), np.abs(left[:, :2] * values[:2]))


def test_tsne_keeps_clusters_apart_and_repeats_itself() -> None:
    rows = np.concatenate([latents(30, 80), latents(30, 80) + 8])
    first, second = tsne(rows, seed=0), tsne(rows, seed=0)
    assert np.array_equal(first, second)
    middles = first[:30].mean(axis=0), first[30:].mean(axis=0)
    assert np.linalg.norm(middles[0] - middles[1]) > 2 * first[:30].std(axis=0).max()


@pytest.mark.parametrize("count", [5, 7])
def test_few_latents_are_projected_too(count: int) -> None:
    assert np.isfinite(tsne(latents(count), seed=0)).all()
    assert pca(latents(3)).shape == (3, 2)


@pytest.mark.parametrize("rows", [np.empty((0, 6)), latents(2), np.ones((8, 6))])
def test_too_few_or_equal_latents_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(Unmeasurable):
        pca(rows)
    with pytest.raises(Unmeasurable):
        tsne(rows, seed=0)
