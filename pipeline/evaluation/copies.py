"""Has the prior learned pictures by heart, or strayed from them: the nearest training picture.

A prior trained on shifted views recites shifted views, so a picture is laid on every training
picture at each shift of up to four pixels, as it is and mirrored. Laid so, both are compared by the
means of small blocks, each band less its own mean: composition and contrasts count, neither grain
nor an even darkening.

What it does not catch: a copy that is turned, scaled or moved by more than the shift, one of far
less contrast, or one that repeats a part of a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.evaluation.bootstrap import LEVEL, RESAMPLES, share_interval
from pipeline.evaluation.unmeasurable import Unmeasurable

MAX_SHIFT = 4  # pixels each way, as training moves its views
BLOCKS = 16  # that a picture's side is cut into; with half as many, other pictures look alike
PERCENTILE = 5.0  # of the held-out pictures' distances; nearer than that is called a copy
AT_A_TIME = 4096  # training pictures
FEWEST = 20  # pictures a side: a twentieth of fewer is no picture


@dataclass(frozen=True)
class Nearest:
    """The nearest training picture of each of N pictures.

    Attributes:
        rows: (N,) int64, which training picture.
        distances: (N,) float64, the root mean square difference of the blocks' values, in [0, 1].
    """

    rows: np.ndarray
    distances: np.ndarray


@dataclass(frozen=True)
class Middles:
    """The middles of N pictures, as they are and then mirrored, to be laid on training pictures.

    Nothing beyond an edge of these counts so.

    Attributes:
        blocks: (2 N, D) values.
        side: of a block, in pixels.
        max_shift: pixels each way.
    """

    blocks: Tensor
    side: int
    max_shift: int

    @classmethod
    @torch.inference_mode()
    def of(cls, images: np.ndarray, *, max_shift: int = MAX_SHIFT) -> Middles:
        """Those of pictures (N, H, W, 3) uint8.

        Raises:
            Unmeasurable: there are none, or they are too small to be shifted.
        """
        if not len(images):
            raise Unmeasurable("there are no pictures to compare")
        if min(images.shape[1:3]) < 4 * max_shift:
            raise Unmeasurable(f"pictures of {images.shape[1:3]} are too small to be shifted")
        side = max(1, min(images.shape[1:3]) // BLOCKS)
        means = _block_means(np.concatenate([images, images[:, :, ::-1]]), side)
        return cls(_laid(means, side, max_shift, max_shift, max_shift), side, max_shift)

    @torch.inference_mode()
    def nearest(self, gaps: np.ndarray, rows: np.ndarray) -> Nearest:
        """The nearest of all training pictures; of two that are as near, the first.

        Args:
            gaps, rows: (parts, 2 N) what `lay` found on each part of the training pictures, rows
                counted through them.
        """
        part = gaps.argmin(axis=0)[None]
        best, row = (torch.from_numpy(np.take_along_axis(a, part, axis=0)[0]) for a in (gaps, rows))
        squares = (best + self.blocks.square().sum(dim=1)).clamp(min=0) / self.blocks.shape[1]
        nearer = squares.view(2, -1).min(dim=0)  # as it is, or mirrored
        chosen = row.view(2, -1).gather(0, nearer.indices[None])[0]
        return Nearest(chosen.numpy(), nearer.values.double().sqrt().numpy())


@torch.inference_mode()
def lay(every: Sequence[Middles], training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lay middles on training pictures (M, H, W, 3) uint8, at each shift; 44 KB each at 64 pixels.

    Args:
        every: several pictures' middles, of as many pictures, shifted as far.

    Returns:
        How far the nearest of these is from each, |a - b|^2 less |a|^2, and its row: float32 and
        int64, each (len(every), 2 N).
    """
    side, max_shift = every[0].side, every[0].max_shift
    known = _block_means(training, side)
    best = [torch.full((len(asked.blocks),), torch.inf) for asked in every]
    rows = [torch.zeros(len(asked.blocks), dtype=torch.int64) for asked in every]
    for down in range(2 * max_shift + 1):
        for right in range(2 * max_shift + 1):
            laid = _laid(known, side, down, right, max_shift)
            squares = laid.square().sum(dim=1)[None]
            for number, asked in enumerate(every):
                # |a - b|^2 less |a|^2, which is the same for all b
                gaps = torch.addmm(squares, asked.blocks, laid.T, alpha=-2)
                found = gaps.min(dim=1)
                rows[number] = torch.where(found.values < best[number], found.indices, rows[number])
                best[number] = torch.minimum(best[number], found.values)
    return torch.stack(best).numpy(), torch.stack(rows).numpy()


def nearest_views(
    images: np.ndarray, training: np.ndarray, *, max_shift: int = MAX_SHIFT
) -> Nearest:
    """Find each picture's nearest training picture, shifted or mirrored as may be.

    2,000 training pictures of 64 pixels take 20 ms for each picture, on one core; time grows with
    their number, memory does not.

    Args:
        images: (N, H, W, 3) uint8.
        training: (M, H, W, 3) uint8.
        max_shift: pixels each way.

    Raises:
        Unmeasurable: there are no pictures on one side, or they are too small to be shifted.
    """
    if not len(images) or not len(training):
        raise Unmeasurable("there are no pictures to compare")
    if images.shape[1:] != training.shape[1:]:
        raise ValueError(f"pictures {images.shape[1:]}, training pictures {training.shape[1:]}")
    asked, gaps, rows = Middles.of(images, max_shift=max_shift), [], []
    for start in range(0, len(training), AT_A_TIME):
        gap, row = lay([asked], training[start : start + AT_A_TIME])
        gaps.append(gap[0])
        rows.append(row[0] + start)
    return asked.nearest(np.stack(gaps), np.stack(rows))


def _block_means(images: np.ndarray, block: int) -> Tensor:
    """(N, 3, H - block + 1, W - block + 1) in [0, 1]: the mean of the block at every pixel."""
    planes = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    height, width = (side - block + 1 for side in images.shape[1:3])
    means = torch.empty(len(images), 3, height, width)
    for own, part in zip(means.split(256), planes.split(256), strict=True):
        own[:] = F.avg_pool2d(part.float() / 255, block, stride=1)
    return means


def _laid(means: Tensor, block: int, down: int, right: int, max_shift: int) -> Tensor:
    """(N, D): the blocks of a window that starts `down`, `right`, each band less its mean."""
    height, width = (side + block - 1 - 2 * max_shift for side in means.shape[2:])
    rows = slice(down, down + height - block + 1, block)
    columns = slice(right, right + width - block + 1, block)
    window = means[:, :, rows, columns]
    return (window - window.mean(dim=(2, 3), keepdim=True)).flatten(1)


def copies(
    generated: np.ndarray, held_out: np.ndarray, *, seed: int
) -> Iterator[tuple[str, float]]:
    """Compare distances to training: nearer than real pictures that nobody can have copied?

    Both sides must be blurred alike, so the held-out pictures have to be *reconstructions* of real
    test pictures; and both of the same prompts, one picture each.

    Args:
        generated: (N,) `nearest_views` distances of generated pictures.
        held_out: (M,) the same of reconstructed held-out ones.
        seed: of the bootstrap.

    Yields:
        copies: the share of generated pictures nearer than 5 % of the held-out ones (0.05 is what
        real pictures have), copies_low and copies_high: its 95 % interval, in which the threshold
        varies too. further: how often a generated picture is further from training than a held-out
        one, in [0, 1]: 0.5 for the true distribution, less where training is copied, more where
        pictures are like no real one. further_z: the same as a rank test in standard deviations
        (Meehan et al. 2020, https://arxiv.org/abs/2004.05675, their C_T of a single cell).
        distance, held_out_distance: medians; threshold; n.

    Raises:
        Unmeasurable: there are fewer than 20 pictures on one side.
    """
    if min(len(generated), len(held_out)) < FEWEST:
        raise Unmeasurable(f"copies are told by at least {FEWEST} pictures on each side")
    threshold = np.percentile(held_out, PERCENTILE)
    near = generated < threshold
    generator = np.random.default_rng(seed)
    shares = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        limit = np.percentile(generator.choice(held_out, len(held_out)), PERCENTILE)
        shares[i] = (generator.choice(generated, len(generated)) < limit).mean()
    low, high = np.quantile(shares, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    least, most = share_interval(near)  # the bootstrap sees no doubt in none and all
    further, z = _ranks(generated, held_out)
    yield "copies", float(near.mean())
    yield "copies_low", min(float(low), least)
    yield "copies_high", max(float(high), most)
    yield "further", further
    yield "further_z", z
    yield "distance", float(np.median(generated))
    yield "held_out_distance", float(np.median(held_out))
    yield "threshold", float(threshold)
    yield "n", float(len(generated))


def _ranks(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """P(first > second), ties by half, and Mann and Whitney's z of it."""
    ordered = np.sort(second)
    below = np.searchsorted(ordered, first, "left") + np.searchsorted(ordered, first, "right")
    pairs = len(first) * len(second)
    wins = below.sum() / 2
    spread = np.sqrt(pairs * (len(first) + len(second) + 1) / 12)
    return float(wins / pairs), float((wins - pairs / 2) / spread)
