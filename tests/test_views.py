"""Pictures on their way into a model."""

from __future__ import annotations

import torch

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
