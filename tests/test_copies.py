"""Copies are found, shifted, mirrored and blurred ones too, and real pictures are not called so."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from gallery import SIDE, blurred
from scipy.stats import mannwhitneyu, norm

from pipeline.data.views import shifted, to_float, to_uint8
from pipeline.evaluation.copies import copies, nearest_views
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.sample.paint import paint
from pipeline.sample.scene import KINDS, draw_scene


@cache
def painted(stream: int, count: int) -> np.ndarray:
    generators = [np.random.default_rng([stream, i]) for i in range(count)]
    scenes = [draw_scene(KINDS[i % len(KINDS)], rng) for i, rng in enumerate(generators)]
    pictures = [paint(s, size=SIDE, rng=rng) for s, rng in zip(scenes, generators, strict=True)]
    return np.stack([np.asarray(picture) for picture in pictures])


def training() -> np.ndarray:
    return painted(5, 160)


def decoded(images: np.ndarray) -> np.ndarray:
    """What a decoder makes of pictures: soft, and a little off."""
    off = np.random.default_rng(0).normal(0, 6, images.shape)
    return np.clip(blurred(images, 0.8) + off, 0, 255).astype(np.uint8)


def moved(images: np.ndarray, most: int) -> np.ndarray:
    generator = torch.Generator().manual_seed(0)
    return to_uint8(
        shifted(to_float(torch.from_numpy(images)), max_shift=most, generator=generator)
    ).numpy()


@cache
def held_out() -> np.ndarray:
    return nearest_views(decoded(painted(6, 80)), training()).distances


def measured(images: np.ndarray) -> dict[str, float]:
    return dict(copies(nearest_views(images, training()).distances, held_out(), seed=0))


def darker(images: np.ndarray) -> np.ndarray:
    return np.clip(images.astype(int) - 20, 0, 255).astype(np.uint8)


def flatter(images: np.ndarray) -> np.ndarray:
    return (images // 2 + 64).astype(np.uint8)


COPIES = {
    "as they are": lambda images: images,
    "shifted": lambda images: moved(images, 4),
    "shifted, through the decoder": lambda images: decoded(moved(images, 4)),
    "mirrored and shifted": lambda images: moved(images[:, :, ::-1].copy(), 4),
    "darker by 20 levels": darker,
}


@pytest.mark.parametrize("kind", COPIES)
def test_recited_training_pictures_are_called_copies(kind: str) -> None:
    found = measured(COPIES[kind](training()[:40]))
    assert found["copies"] >= 0.95
    assert found["further"] < 0.05
    assert found["further_z"] < -5


def test_a_prior_that_recites_every_second_picture_is_found_out() -> None:
    made = decoded(painted(7, 80))
    made[::2] = decoded(moved(training()[60:100], 4))
    found = measured(made)
    assert found["copies"] == pytest.approx(0.52, abs=0.05)
    assert found["copies_low"] > 0.3


def test_other_real_pictures_are_at_chance() -> None:
    found = measured(decoded(painted(7, 80)))
    assert found["copies_low"] < 0.05 < found["copies_high"]
    assert found["copies"] < 0.15
    assert abs(found["further_z"]) < 3


def test_pictures_like_no_real_one_are_further_which_no_copies_would_not_tell() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    found = measured(noise.repeat(8, axis=1).repeat(8, axis=2))
    assert found["copies"] == 0.0
    assert 0 < found["copies_high"] < 0.2  # of 40 pictures, none is not never
    assert found["further"] == 1.0
    assert found["further_z"] > 5


def test_a_copy_moved_too_far_or_of_half_the_contrast_is_not_caught() -> None:
    far = np.roll(training()[:40], 12, axis=2)
    for missed in (far, flatter(training()[:40])):
        assert measured(missed)["copies"] < 0.5


def test_the_nearest_agrees_with_laying_each_on_each_by_hand() -> None:
    images, known = painted(8, 3), training()[:7]
    found = nearest_views(images, known, max_shift=2)

    def blocks(picture: np.ndarray) -> np.ndarray:  # 60 x 60 pixels
        means = picture.reshape(15, 4, 15, 4, 3).mean(axis=(1, 3)) / 255
        return means - means.mean(axis=(0, 1))

    for row, image in enumerate(images):
        away = [
            [
                np.sqrt(np.square(blocks(view[2:62, 2:62]) - blocks(other[y : y + 60, x : x + 60])))
                for view in (image, image[:, ::-1])
                for y in range(5)
                for x in range(5)
            ]
            for other in known
        ]
        nearest = np.sqrt(np.square(away).mean(axis=(2, 3, 4))).min(axis=1)
        assert found.rows[row] == nearest.argmin()
        assert found.distances[row] == pytest.approx(nearest.min(), abs=1e-5)


def test_the_rank_test_is_mann_and_whitneys() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.3, 1, 80), rng.normal(0, 1, 60)
    found = dict(copies(first, second, seed=0))
    theirs = mannwhitneyu(first, second, use_continuity=False, method="asymptotic")
    assert found["further"] == pytest.approx(theirs.statistic / (80 * 60))
    assert 2 * norm.sf(abs(found["further_z"])) == pytest.approx(theirs.pvalue)


def test_too_few_or_too_small_pictures_are_unmeasurable() -> None:
    none = np.empty((0, 64, 64, 3), np.uint8)
    with pytest.raises(Unmeasurable, match="no pictures"):
        nearest_views(none, training())
    with pytest.raises(Unmeasurable, match="no pictures"):
        nearest_views(training(), none)
    with pytest.raises(Unmeasurable, match="too small"):
        nearest_views(np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(Unmeasurable, match="at least 20"):
        dict(copies(np.ones(19), np.ones(100), seed=0))
    with pytest.raises(ValueError, match="training pictures"):
        nearest_views(np.zeros((1, 32, 32, 3), np.uint8), training())
