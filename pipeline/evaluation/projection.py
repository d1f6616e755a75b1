"""Latents on paper: two coordinates each, by PCA and by t-SNE."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from pipeline.evaluation.unmeasurable import Unmeasurable

PERPLEXITY = 30.0  # of t-SNE's neighbourhoods; van der Maaten and Hinton suggest 5 to 50
TSNE_INPUTS = 50  # principal components that t-SNE starts from, as in its paper


def pca(latents: np.ndarray) -> np.ndarray:
    """The two directions of most variance, by a full decomposition: no draw, no seed.

    Args:
        latents: (N, D), N >= 3, D >= 2; a grid of latents flattened.

    Returns:
        (N, 2) float64.

    Raises:
        Unmeasurable: there are too few latents, or all are the same.
    """
    return _components(latents, 2)


def tsne(latents: np.ndarray, *, seed: int) -> np.ndarray:
    """t-SNE (van der Maaten and Hinton 2008) of the first 50 principal components, begun from PCA.

    Runs on one thread: with more, sums in another order would move the points from run to run.

    Args:
        latents: (N, D), N >= 5; a grid of latents flattened.
        seed: of scikit-learn's own draws.

    Returns:
        (N, 2) float64.

    Raises:
        Unmeasurable: there are too few latents, or all are the same.
    """
    if len(latents) < 5:
        raise Unmeasurable("t-SNE takes at least five pictures")
    inputs = _components(latents, TSNE_INPUTS)
    perplexity = min(PERPLEXITY, (len(latents) - 1) / 3)
    with threadpool_limits(limits=1):
        tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
        points: np.ndarray = tsne.fit_transform(inputs)
    return points.astype(np.float64)


def _components(latents: np.ndarray, count: int) -> np.ndarray:
    if len(latents) < 3:
        raise Unmeasurable("a projection takes at least three pictures")
    if (latents == latents[0]).all():
        raise Unmeasurable("all latents are the same")
    with threadpool_limits(limits=1):
        pca = PCA(min(count, *latents.shape), svd_solver="full")
        points: np.ndarray = pca.fit_transform(latents.astype(np.float64))
    return points
