"""A neutral space for pictures: the features of a network that never met this project's models.

The network is whichever LPIPS stands on, trained on ImageNet's photographs. Pictures go in as
clean-fid has it (Parmar et al. 2022, https://arxiv.org/abs/2104.11222): 8 bits first, then resized
bicubically with antialiasing. Resizing and rounding in another way moves distances more than most
models differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 128  # pixels: as small as SqueezeNet still has 7 x 7 places to average
BATCH = 64


@dataclass(frozen=True)
class FeatureSpace:
    """Where pictures are compared.

    Attributes:
        name: what a report calls the space: a distance without it means nothing.
        extract: pictures (N, H, W, 3) uint8 -> features (N, D).
        kid_unit: in which KID is given there: raw features of a backbone make thousands of it.
    """

    name: str
    extract: Callable[[np.ndarray], np.ndarray]
    kid_unit: float = 1.0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Features (N, D) of pictures (N, H, W, 3) uint8, N >= 0.

        Raises:
            ValueError: the pictures are no 8-bit ones, or the features not one row each, or not
                finite.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise ValueError(f"pictures {images.shape} of {images.dtype}, expected 8-bit RGB")
        found = self.extract(images)
        if found.ndim != 2 or len(found) != len(images):
            raise ValueError(f"{len(images)} pictures have features of {found.shape}")
        if not np.isfinite(found).all():
            raise ValueError(f"{self.name}: features that are not finite")
        return found


def backbone_space(lpips: nn.Module) -> FeatureSpace:
    """The space of LPIPS's own backbone: its last layer, averaged over the picture.

    That layer is the deepest that LPIPS reads: SqueezeNet 1.1's last fire module (512 numbers),
    VGG-16's relu5_3 (512), AlexNet's relu5 (256). Distances of different nets do not compare.

    Args:
        lpips: from `perceptual.load_lpips` or `find_lpips`, on any device.
    """

    scale, net = lpips.get_submodule("scaling_layer"), lpips.get_submodule("net")

    @torch.inference_mode()
    def extract(images: np.ndarray) -> np.ndarray:
        device = next(lpips.parameters()).device
        rows = [
            net(scale(_enlarged(part.to(device))))[-1].mean(dim=(2, 3)).cpu()
            for part in torch.from_numpy(images).split(BATCH)
        ]
        return torch.cat(rows).numpy()

    return FeatureSpace(f"{type(net).__name__}'s last layer at {SIDE} pixels", extract, 1000.0)


def _enlarged(images: Tensor) -> Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, SIDE, SIDE) in [-1, 1], resized as Pillow does float bands."""
    floats = images.permute(0, 3, 1, 2).float()
    if floats.shape[2:] != (SIDE, SIDE):
        floats = F.interpolate(floats, (SIDE, SIDE), mode="bicubic", antialias=True)
    return floats.clamp(0, 255) / 127.5 - 1
