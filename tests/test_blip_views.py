"""Views of pictures: they move, mirror and relight, and keep hues and sizes."""

from __future__ import annotations

import pytest
import torch

from pipeline.training.blip_settings import ViewSettings
from pipeline.training.blip_views import augmented

STILL = {"max_shift": 0, "mirror": False, "smallest_crop": 1.0, "jitter": 0.0, "soft_share": 0.0}


def views(pixels: torch.Tensor, **changes) -> torch.Tensor:
    torch.manual_seed(0)
    return augmented(pixels, ViewSettings(**{**STILL, **changes}))


def test_without_augmentation_a_picture_stays_as_it_is():
    pixels = torch.rand(2, 3, 16, 16)
    assert torch.equal(views(pixels), pixels)


def test_half_of_the_pictures_are_mirrored():
    ramp = torch.linspace(0, 1, 16).expand(200, 3, 16, 16)
    for crop in (1.0, 0.8):
        seen = views(ramp, mirror=True, smallest_crop=crop)
        turned = (seen[:, 0, 0, 12] < seen[:, 0, 0, 3]).float().mean()
        assert 0.35 < float(turned) < 0.65


def test_a_crop_shows_a_part_enlarged_and_stays_within_the_picture():
    ramp = torch.linspace(0, 1, 32).expand(64, 3, 32, 32)
    seen = views(ramp, smallest_crop=0.5)
    assert seen.shape == ramp.shape
    span = seen.amax((1, 2, 3)) - seen.amin((1, 2, 3))
    assert float(span.min()) < 0.6
    assert float(span.max()) <= 1.0
    steps = seen[:, 0, 0].diff(dim=1)
    assert (steps[:, 2:-2] > 0).all()  # nothing is mirrored where nothing lies outside


def test_light_changes_and_hues_do_not():
    red = torch.tensor([0.8, 0.2, 0.2]).view(1, 3, 1, 1).expand(50, 3, 8, 8)
    seen = views(red, jitter=0.3)
    assert float((seen - red).abs().mean((1, 2, 3)).max()) > 0.05
    assert (seen[:, 0] > seen[:, 1]).all()
    torch.testing.assert_close(seen[:, 1], seen[:, 2])


def test_softening_keeps_the_type_where_convolutions_are_cast():
    with torch.autocast("cpu", torch.bfloat16):
        assert views(torch.rand(8, 3, 16, 16), soft_share=0.5).dtype == torch.float32


@pytest.mark.parametrize("batch", [0, 1, 2, 3])
def test_a_batch_of_any_size_and_side_is_softened(batch):
    pixels = torch.rand(batch, 3, 15, 15)
    assert views(pixels, soft_share=0.7).shape == pixels.shape


def test_some_pictures_are_softened_and_keep_their_brightness():
    noise = torch.rand(40, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    seen = views(noise, soft_share=0.5)
    changed = (seen != noise).flatten(1).any(1)
    assert int(changed.sum()) == 20
    assert float(seen[changed].std()) < 0.7 * float(noise.std())
    torch.testing.assert_close(seen.mean((2, 3)), noise.mean((2, 3)), atol=0.05, rtol=0)
