"""The Fréchet distance between two sets of embeddings, seen as normal distributions (not FID).

Dowson and Landau 1982, doi:10.1016/0047-259X(82)90077-X; Heusel et al. 2017 made it a measure of
generated pictures, https://arxiv.org/abs/1706.08500. FID takes Inception's features.
"""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.unmeasurable import Unmeasurable


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """|m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)), without a matrix root.

    With S1 = A'A and S2 = B'B, for centred rows A and B, the eigenvalues of S1 S2 are the squared
    singular values of A B', so the last trace is their sum. That stays exact and real where there
    are fewer pictures than dimensions and the covariances are singular.

    Args:
        first: (N, D), N >= 2.
        second: (M, D), M >= 2.

    Returns:
        The (squared) distance, >= 0. Small sets are too far from each other by chance: compare only
        distances of sets of the same sizes.

    Raises:
        Unmeasurable: a set has fewer than two embeddings.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"embeddings of {first.shape} and of {second.shape}")
    if min(len(first), len(second)) < 2:
        raise Unmeasurable("the Fréchet distance takes at least two pictures in each set")
    (mean_a, a), (mean_b, b) = _centred(first), _centred(second)
    shared = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    spread = np.square(a).sum() + np.square(b).sum() - 2 * shared
    # Equal sets differ by rounding alone, which may fall below zero.
    return max(0.0, float(np.square(mean_a - mean_b).sum() + spread))


def _centred(embeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean (D,), and rows R, at most D of them, so that R'R is the covariance."""
    embeds = embeds.astype(np.float64)
    mean = embeds.mean(axis=0)
    rows = (embeds - mean) / np.sqrt(len(embeds) - 1)
    if len(rows) > rows.shape[1]:
        rows = np.asarray(np.linalg.qr(rows, mode="r"))
    return mean, rows
