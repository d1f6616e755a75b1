"""Plain pixels: what the features of simple pictures are."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.pixels import PIXEL_SPACE, pixel_features

EDGES, COLOURS = 576, 216


def test_an_even_picture_has_one_colour_and_no_edge() -> None:
    red = np.zeros((1, 32, 32, 3), np.uint8)
    red[..., 0] = 255
    (found,) = pixel_features(red)
    assert found.shape == (1200,)
    assert found[:EDGES].max() == 0
    for start in (EDGES, EDGES + COLOURS):
        colours = found[start : start + COLOURS]
        assert colours.nonzero()[0].tolist() == [5 * 36]
        assert colours.max() == 1
    assert found[-192:].reshape(3, 64).mean(axis=1).tolist() == [1, 0, 0]


def test_a_vertical_edge_lies_in_one_direction_and_a_turned_one_in_another() -> None:
    half = np.zeros((1, 64, 64, 3), np.uint8)
    half[:, :, 32:] = 255

    def directions(images: np.ndarray) -> np.ndarray:
        return pixel_features(images)[0, :EDGES].reshape(9, 64).sum(axis=1).nonzero()[0]

    assert directions(half).tolist() == [0]
    assert set(directions(half.swapaxes(1, 2).copy()).tolist()) == {4, 5}


@pytest.mark.parametrize("side", [16, 33, 64])
def test_pictures_of_any_size_and_none_have_the_same_number_of_features(side: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    assert PIXEL_SPACE(noise).shape == (3, 1200)
    assert PIXEL_SPACE(noise[:0]).shape == (0, 1200)
