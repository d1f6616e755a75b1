"""Has the prior learned pictures by heart: the nearest training picture of each generated one.

Pictures are compared at 16 x 16 pixels, each the mean of its area, with training pictures as they
are and mirrored. So small, composition and colours count, and neither the grain nor the blur that
the decoder adds: at full size a blurred picture is nearer to everything than a sharp one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.evaluation.scores import Figures
from pipeline.evaluation.unmeasurable import Unmeasurable

SIDE = 16  # pixels, of the thumbnails that are compared
PERCENTILE = 5.0  # of the held-out pictures' distances; nearer than that is called a copy
BATCH = 256


@dataclass(frozen=True)
class Nearest:
    """The nearest training picture of each of N pictures.

    Attributes:
        rows: (N,) int64, which training picture.
        distances: (N,) float64, the root mean square difference of the thumbnails' values, in
            [0, 1].
    """

    rows: np.ndarray
    distances: np.ndarray


def nearest_training(images: np.ndarray, training: np.ndarray) -> Nearest:
    """Find each picture's nearest training picture.

    Args:
        images: (N, H, W, 3) uint8.
        training: (M, H, W, 3) uint8, M >= 1.

    Raises:
        Unmeasurable: there are no pictures on one side.
    """
    if not len(images) or not len(training):
        raise Unmeasurable("there are no pictures to compare")
    asked = _thumbnails(images)
    known = np.concatenate([_thumbnails(training), _thumbnails(training[:, :, ::-1])])
    known_squares = np.square(known).sum(axis=1)
    rows = np.empty(len(asked), dtype=np.int64)
    for start in range(0, len(asked), BATCH):
        part = asked[start : start + BATCH]
        # |a - b|^2 less |a|^2, which is the same for all b
        rows[start : start + BATCH] = (known_squares - 2 * part @ known.T).argmin(axis=1)
    distances = np.sqrt(np.square(asked - known[rows]).mean(axis=1))
    return Nearest(rows % len(training), distances)


def _thumbnails(images: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) uint8 -> (N, SIDE * SIDE * 3) float64 in [0, 1]."""
    small = [Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX) for image in images]
    return np.stack([np.asarray(image) for image in small]).reshape(len(images), -1) / 255.0


def memorising(generated: np.ndarray, held_out: np.ndarray) -> Figures:
    """Compare generated pictures' distances to training with those of real pictures held out.

    Args:
        generated: (N,) distances of generated pictures to their nearest training pictures.
        held_out: (M,) the same of real test pictures, which nobody can have copied.

    Yields:
        copies: the share of generated pictures nearer than 5 % of the held-out ones are (0.05 is
        what real pictures have); near_distance: how near that is; generated, held_out: medians.

    Raises:
        Unmeasurable: there are no pictures on one side.
    """
    if not len(generated) or not len(held_out):
        raise Unmeasurable("there are no pictures to compare")
    near = float(np.percentile(held_out, PERCENTILE))
    yield "copies", float((generated < near).mean())
    yield "near_distance", near
    yield "generated", float(np.median(generated))
    yield "held_out", float(np.median(held_out))
