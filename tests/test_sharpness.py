"""Sharpness: fine detail beside real pictures', which softness lacks and noise has too much of."""

from __future__ import annotations

import gallery
import numpy as np
import pytest

from pipeline.evaluation.headlines import better
from pipeline.evaluation.sharpness import fine_energy, sharpness
from pipeline.evaluation.unmeasurable import Unmeasurable


def noisy(images: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 12, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


def test_real_pictures_are_as_sharp_as_real_ones_soft_ones_less_noisy_ones_more() -> None:
    real, other = gallery.painted(0), gallery.painted(1)
    found = {
        name: dict(sharpness(images, real))
        for name, images in {
            "real": other,
            "soft": gallery.blurred(other, 0.7),
            "softer": gallery.blurred(other, 1.5),
            "noisy": noisy(other),
        }.items()
    }
    assert found["real"]["sharpness_low"] < 1 < found["real"]["sharpness_high"]
    assert found["real"]["sharpness"] == pytest.approx(1, abs=0.25)
    soft, softer = found["soft"], found["softer"]
    assert softer["sharpness_high"] < soft["sharpness_low"] < soft["sharpness_high"] < 0.7
    assert found["noisy"]["sharpness_low"] > found["real"]["sharpness_high"]


def test_the_energy_is_that_of_waves_of_four_pixels_and_shorter() -> None:
    places = np.arange(64)
    waves = {
        length: np.broadcast_to(
            np.rint(128 + 100 * np.cos(2 * np.pi * places / length))[None, None, :, None],
            (1, 64, 64, 3),
        ).astype(np.uint8)
        for length in (3, 8)
    }
    assert fine_energy(waves[3])[0] == pytest.approx(100**2 / 2, rel=0.02)
    assert fine_energy(waves[8])[0] < 1


def test_a_picture_without_any_detail_has_a_figure_all_the_same() -> None:
    flat = np.full((25, 16, 16, 3), 200, np.uint8)
    assert dict(sharpness(flat, flat))["sharpness"] == pytest.approx(1)


def test_no_pictures_and_tiny_ones_are_unmeasurable() -> None:
    for shape in ((0, 16, 16, 3), (3, 4, 4, 3)):
        with pytest.raises(Unmeasurable):
            list(sharpness(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)))


def test_it_is_best_at_one_so_neither_way_is_called_better() -> None:
    assert better("sharpness.generated") == "neither"
