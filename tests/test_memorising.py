"""Copies are found, and real pictures are not taken for copies."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.memorising import memorising, nearest_training
from pipeline.evaluation.unmeasurable import Unmeasurable


def pictures(count: int, seed: int, side: int = 64) -> np.ndarray:
    """Random pictures of large patches."""
    small = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return small.repeat(side // 8, axis=1).repeat(side // 8, axis=2)


def test_copies_are_found_mirrored_ones_too() -> None:
    training = pictures(20, 0)
    nearest = nearest_training(np.stack([training[7], training[3][:, ::-1]]), training)
    assert nearest.rows.tolist() == [7, 3]
    assert nearest.distances.tolist() == [0.0, 0.0]


def test_grain_is_not_counted() -> None:
    training = pictures(5, 0)
    grain = np.random.default_rng(1).integers(-20, 21, training.shape)
    grainy = np.clip(training.astype(int) + grain, 0, 255).astype(np.uint8)
    nearest = nearest_training(grainy, training)
    assert nearest.rows.tolist() == list(range(5))
    assert nearest.distances.max() < 0.02


def test_the_nearest_agrees_with_brute_force() -> None:
    images, training = pictures(300, 1, side=16), pictures(30, 2, side=16)
    nearest = nearest_training(images, training)
    for i in (0, 255, 256, 299):
        differences = (images[i] / 255.0)[None] - training / 255.0
        mirrored = (images[i] / 255.0)[None] - training[:, :, ::-1] / 255.0
        away = np.sqrt(np.square([differences, mirrored]).mean(axis=(2, 3, 4)))
        assert nearest.distances[i] == pytest.approx(away.min())
        assert away[:, nearest.rows[i]].min() == pytest.approx(away.min())


def test_constant_pictures_are_apart_by_their_difference() -> None:
    black, white = np.zeros((1, 64, 64, 3), np.uint8), np.full((1, 64, 64, 3), 255, np.uint8)
    assert nearest_training(black, white).distances.tolist() == [1.0]


def test_the_share_of_copies_is_five_percent_of_held_out_pictures_themselves() -> None:
    held_out = np.random.default_rng(0).uniform(0.1, 0.3, 1000)
    assert dict(memorising(held_out, held_out))["copies"] == pytest.approx(0.05)
    copied = dict(memorising(np.full(10, 0.01), held_out))
    assert copied["copies"] == 1.0
    assert copied["generated"] == 0.01
    assert copied["near_distance"] == pytest.approx(0.11, abs=0.005)
    assert dict(memorising(np.full(10, 0.5), held_out))["copies"] == 0.0


def test_no_pictures_are_unmeasurable() -> None:
    none = np.empty((0, 64, 64, 3), np.uint8)
    for images, training in ((none, pictures(1, 0)), (pictures(1, 0), none)):
        with pytest.raises(Unmeasurable, match="no pictures"):
            nearest_training(images, training)
    with pytest.raises(Unmeasurable, match="no pictures"):
        dict(memorising(np.empty(0), np.ones(1)))
