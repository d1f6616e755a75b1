"""Sample pictures of the same prompts, painted again and again, and a cheap space for them."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter

from pipeline.evaluation.features import FeatureSpace
from pipeline.sample.paint import paint
from pipeline.sample.scene import KINDS, Scene, draw_scene
from pipeline.sample.words import title

COUNT = 120  # twelve scenes of each kind
SIDE = 64
BLOCK = 8


@cache
def scenes() -> tuple[Scene, ...]:
    """What the prompts ask for; the kinds take turns."""
    return tuple(
        draw_scene(KINDS[i % len(KINDS)], np.random.default_rng([1, i])) for i in range(COUNT)
    )


def prompts() -> list[str]:
    return [title(scene) for scene in scenes()]


def kinds() -> np.ndarray:
    return np.array([scene.kind for scene in scenes()])


@cache
def painted(draw: int) -> np.ndarray:
    """(COUNT, SIDE, SIDE, 3) uint8: a picture of each scene, others for another `draw`."""
    return np.stack(
        [
            np.asarray(paint(scene, size=SIDE, rng=np.random.default_rng([2, draw, i])))
            for i, scene in enumerate(scenes())
        ]
    )


@cache
def of_random_titles() -> np.ndarray:
    """(COUNT, SIDE, SIDE, 3) uint8: well painted, each of a scene that nobody asked for."""
    generators = [np.random.default_rng([3, i]) for i in range(COUNT)]
    drawn = [draw_scene(KINDS[rng.integers(len(KINDS))], rng) for rng in generators]
    return np.stack(
        [
            np.asarray(paint(scene, size=SIDE, rng=rng))
            for scene, rng in zip(drawn, generators, strict=True)
        ]
    )


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    soft = gaussian_filter(images.astype(float), (0, sigma, sigma, 0))
    return np.rint(soft).astype(np.uint8)


def _means_and_spreads(images: np.ndarray) -> np.ndarray:
    count, height, width, _ = images.shape
    blocks = images.reshape(count, height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3)
    blocks = blocks.astype(float) / 32  # such that the kernel sees more than its constant
    spreads = 3 * blocks.std(axis=(2, 4))
    return np.concatenate([blocks.mean(axis=(2, 4)), spreads], axis=-1).reshape(count, -1)


CHEAP = FeatureSpace("means and spreads of 8 x 8 pixels", _means_and_spreads)
