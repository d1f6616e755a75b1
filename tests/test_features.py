"""The neutral space: what pictures go through before and in the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from gallery import CHEAP, painted
from PIL import Image
from torch import nn

from pipeline.backbones import BACKBONES
from pipeline.evaluation.features import FeatureSpace, _enlarged, backbone_space
from pipeline.evaluation.perceptual import load_lpips

TORCH_HOME = Path(__file__).resolve().parents[2] / "shared" / "pretrained" / "torch"
weights_needed = pytest.mark.skipif(
    not (TORCH_HOME / "hub" / "checkpoints" / BACKBONES["squeeze"]).is_file(),
    reason="squeezenet's weights are not beside the project, in ../shared/pretrained/torch",
)


def noise(side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("side", [64, 128, 300])
def test_pictures_are_resized_as_clean_fid_does_it(side: int) -> None:
    ours = (_enlarged(torch.from_numpy(noise(side))).permute(0, 2, 3, 1).numpy() + 1) * 127.5
    for image, resized in zip(noise(side), ours, strict=True):
        for band in range(3):  # floating-point bands, clipped: clean-fid's resize_single_channel
            plane = Image.fromarray(image[:, :, band].astype(np.float32))
            theirs = np.asarray(plane.resize((128, 128), Image.Resampling.BICUBIC)).clip(0, 255)
            assert np.abs(resized[:, :, band] - theirs).max() < 1e-2


class Half(nn.Module):
    """Two layers, as the backbones in LPIPS give theirs."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return images * 0, images * 0.5


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = Half()
        self.scaling_layer = nn.Identity()
        self.weight = nn.Parameter(torch.zeros(1))


def test_the_last_layer_is_averaged_over_the_picture() -> None:
    space = backbone_space(Tiny())
    white = np.full((70, 32, 32, 3), 255, np.uint8)
    assert np.allclose(space(white), 0.5)
    assert space(white).shape == (70, 3)
    assert "Half" in space.name


@weights_needed
def test_squeezenets_features_are_those_of_torchvision() -> None:
    from torchvision.models import squeezenet1_1

    path = TORCH_HOME / "hub" / "checkpoints" / BACKBONES["squeeze"]
    theirs = squeezenet1_1()
    theirs.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    pictures = painted(0)[:4]
    floats = (_enlarged(torch.from_numpy(pictures)) + 1) / 2
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    spread = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    with torch.inference_mode():
        expected = theirs.eval().features((floats - mean) / spread).mean(dim=(2, 3)).numpy()
    found = backbone_space(load_lpips(TORCH_HOME, "squeeze"))(pictures)
    assert found.shape == (4, 512)
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


def test_no_pictures_have_no_features_and_wrong_ones_are_refused() -> None:
    with pytest.raises(ValueError, match="8-bit"):
        CHEAP(np.zeros((2, 8, 8, 3), np.float32))
    with pytest.raises(ValueError, match="features of"):
        FeatureSpace("one short", lambda images: np.zeros((len(images) - 1, 2)))(painted(0))
    with pytest.raises(ValueError, match="not finite"):
        FeatureSpace("broken", lambda images: np.full((len(images), 2), np.nan))(painted(0))
