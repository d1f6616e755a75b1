"""Pictures on their way into a model, and the order of the code store."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.codes.encode import coded_views, store_rows
from pipeline.data.captioned import PaintedTexts
from pipeline.data.pairs import Pair
from pipeline.data.views import shifted, to_float, to_uint8


def test_every_pixel_value_survives_the_way_there_and_back():
    values = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3)
    floats = to_float(values)
    assert float(floats.min()) == -1
    assert float(floats.max()) == 1
    assert torch.equal(to_uint8(floats), values)


def test_a_shift_moves_the_picture_by_whole_pixels_within_its_bounds():
    image = torch.arange(64.0).view(1, 1, 8, 8).expand(20, 1, 8, 8)
    moved = shifted(image, max_shift=2, generator=torch.Generator().manual_seed(0))
    corners = {float(picture[0, 4, 4]) for picture in moved}
    allowed = {float(8 * (4 + dy) + 4 + dx) for dy in range(-2, 3) for dx in range(-2, 3)}
    assert corners <= allowed
    assert len(corners) > 5
    assert torch.equal(shifted(image, max_shift=0), image)


class Means:
    """Stands for a VQ-VAE: a picture's code is the brightness of its middle."""

    def parameters(self):
        return iter([torch.zeros(1)])

    def encode(self, images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        return to_uint8(images)[:, 3:4, 3:4, 0].long()


def pair(number: int, split: str) -> Pair:
    return Pair(number, f"{number}.png", split, "a ship", "", "a ship", "YES", ())


def test_the_store_holds_every_pair_once_as_it_is_and_training_pairs_again_shifted():
    pairs = [pair(0, "train"), pair(1, "test"), pair(2, "train"), pair(3, "val")]
    ramp = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)
    images = torch.from_numpy(np.broadcast_to(ramp, (4, 8, 8, 3)).copy())
    painted = PaintedTexts(images, torch.zeros(4, 2))
    records = list(coded_views(Means(), painted, pairs, views=3, max_shift=2, seed=1))
    assert [name for _, name in records] == [
        "0.png", "1.png", "2.png", "3.png", "0.png", "2.png", "0.png", "2.png",
    ]  # fmt: skip
    assert store_rows(pairs, records=len(records)).tolist() == [0, 1, 2, 3, 0, 2, 0, 2]
    codes = [int(grid[0, 0]) for grid, _ in records]
    assert codes[:4] == [27] * 4
    assert set(codes[4:]) != {27}


def test_a_store_without_training_pairs_is_just_its_pairs():
    assert store_rows([pair(0, "test")], records=1).tolist() == [0]
