"""Is one picture a crop or another scan of another? Lay one over the other and see how they fit.

A perceptual hash forgives other sizes, colours and compression, but cut off a margin of a twentieth
and a third of its bits change. So each picture is aligned with the few of which it may be a part
(`windows`) by Gauss-Newton steps over scale and position on both axes (Baker and Matthews,
"Lucas-Kanade 20 Years On", https://doi.org/10.1023/B:VISI.0000011205.11775.fd).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.cores import cores_here
from pipeline.download.windows import SIDE, candidates

FIRST_STEPS, FURTHER_STEPS = 2, 4
PROMISING = (
    0.75  # correlation of detail after the first steps below which there are no further ones
)
GRID = 32  # samples a side while aligning
LARGEST_CROP = 0.3  # an alignment that scales by more than this has run away
# Of 300 watercolours of fruit, many alike to the eye, different ones reach 0.94; their crops, scans
# and turns by one degree rarely stay below 0.96.
FIT = 0.95
CHUNK = 256


def aligned_pairs(thumbnails: np.ndarray, folder: Path) -> np.ndarray:
    """Find the pairs of pictures of which one, cropped by up to 14 % a side or not, is the other.

    Args:
        thumbnails: uint8 (N, SIDE, SIDE), of `thumbnail`.
        folder: for what grows with the pictures, see `on_disk`.

    Returns:
        int64 (E, 2) of indices.
    """
    if len(thumbnails) < 2:
        return np.empty((0, 2), dtype=np.int64)
    # BLAS would cut sums into as many parts as there are cores, and change their last digits.
    with threadpool_limits(1), ThreadPoolExecutor(max_workers=cores_here()) as pool:
        pairs, boxes = candidates(thumbnails, pool, folder)

        def fit(start: int) -> np.ndarray:
            here, at = pairs[start : start + CHUNK], boxes[start : start + CHUNK]
            at, score = _align(thumbnails, here, at, steps=FIRST_STEPS)
            here, at = here[score >= PROMISING], at[score >= PROMISING]
            _, score = _align(thumbnails, here, at, steps=FURTHER_STEPS)
            return here[score >= FIT]

        found = list(pool.map(fit, range(0, len(pairs), CHUNK)))
    return np.concatenate([np.empty((0, 2), dtype=np.int64), *found])


def _align(
    thumbnails: np.ndarray, pairs: np.ndarray, boxes: np.ndarray, *, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fit the box of the second picture that is the first.

    In the inverse compositional form the first picture's gradients stand for those of the box: they
    are solved once a picture, and a step costs one look at the box.

    Returns:
        The boxes, float32 (C, 4), and how alike the details are in them, in [-1, 1]: (C,).
    """
    first, row = np.unique(pairs[:, 0], return_inverse=True)
    whole = np.tile(np.array([0, 0, 1, 1], dtype=np.float32), (len(first), 1))
    target = _sample(thumbnails, first, whole)  # (F, GRID²)
    solver = _solver(target)[row]  # (C, 4, GRID²)
    target = target[row]
    left, top, width, height = boxes.T
    for _ in range(steps):
        now = _sample(thumbnails, pairs[:, 1], np.stack([left, top, width, height], axis=1))
        difference = _same_tone(now, target) - target
        moves = (solver @ difference[:, :, None])[:, :, 0]
        across, wider, down, higher = np.clip(moves, -0.05, 0.05).T
        left, width = left - width * across / (1 + wider), width / (1 + wider)
        top, height = top - height * down / (1 + higher), height / (1 + higher)
    boxes = np.stack([left, top, width, height], axis=1)
    score = _detail(target, _sample(thumbnails, pairs[:, 1], boxes))
    sane = np.maximum(abs(width - 1), abs(height - 1)) <= LARGEST_CROP
    return boxes, np.where(sane, score, -1.0)


def _points() -> tuple[np.ndarray, np.ndarray]:
    """Where a box is looked at, in shares of its sides: x and y, (GRID²,) each.

    The outermost strip is left out: frames and scanner edges are there.
    """
    middle = ((np.arange(GRID) + 1.5) / (GRID + 2)).astype(np.float32)
    y, x = np.meshgrid(middle, middle, indexing="ij")
    return x.ravel(), y.ravel()


def _solver(target: np.ndarray) -> np.ndarray:
    """Matrices that turn differences into moves of left, width, top, height: (F, 4, GRID²)."""
    x, y = _points()
    grid = target.reshape(-1, GRID, GRID)
    dy, dx = (g.reshape(target.shape) * (GRID + 2) for g in np.gradient(grid, axis=(1, 2)))
    jacobian = np.stack([dx, dx * x, dy, dy * y], axis=1)  # (F, 4, GRID²)
    normal = (jacobian @ jacobian.transpose(0, 2, 1)).astype(np.float64)
    # A picture without detail in a direction cannot be placed in it: the ridge leaves it be.
    normal += (1e-4 * np.trace(normal, axis1=1, axis2=2)[:, None, None] + 1.0) * np.eye(4)
    return np.asarray(np.linalg.solve(normal, jacobian), dtype=np.float32)


def _same_tone(samples: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Give samples their target's brightness and contrast: another scan has its own. (C, GRID²)."""
    spread = np.maximum(samples.std(axis=1, keepdims=True), 1e-3)
    samples = (samples - samples.mean(axis=1, keepdims=True)) / spread
    return np.asarray(
        samples * target.std(axis=1, keepdims=True) + target.mean(axis=1, keepdims=True)
    )


def _sample(thumbnails: np.ndarray, which: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Look at a box (left, top, width, height) of each picture: float32 (C, GRID²), bilinear."""
    x, y = _points()
    across = np.clip((boxes[:, :1] + boxes[:, 2:3] * x) * SIDE - 0.5, 0, SIDE - 1.001)
    down = np.clip((boxes[:, 1:2] + boxes[:, 3:4] * y) * SIDE - 0.5, 0, SIDE - 1.001)
    left, top = across.astype(np.int32), down.astype(np.int32)
    u, v = across - left, down - top
    flat = thumbnails.reshape(-1)
    at = which[:, None] * (SIDE * SIDE) + top * SIDE + left
    above = flat[at] * (1 - u) + flat[at + 1] * u
    below = flat[at + SIDE] * (1 - u) + flat[at + SIDE + 1] * u
    return np.asarray(above * (1 - v) + below * v)


def _detail(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of two sets of (C, GRID²) samples without their broad light and shade: (C,)."""
    rows = []
    for samples in (a, b):
        grid = samples.reshape(-1, GRID, GRID)
        edge = GRID - 6
        broad = np.mean([grid[:, i : i + edge] for i in range(7)], axis=0)
        broad = np.mean([broad[:, :, i : i + edge] for i in range(7)], axis=0)
        fine = (grid[:, 3:-3, 3:-3] - broad).reshape(len(grid), edge * edge)
        fine = fine - fine.mean(axis=1, keepdims=True)
        rows.append(fine / np.maximum(np.linalg.norm(fine, axis=1, keepdims=True), 1e-6))
    return np.asarray((rows[0] * rows[1]).sum(axis=1))
