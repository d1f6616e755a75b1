"""The views of a picture that BLIP learns from: moved, mirrored, cropped, lit another way, softer.

Hues stay as they are: captions name colours, and leave open how bright or deep they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.data.views import blurred, coarsened, shifted
from pipeline.training.blip_settings import ViewSettings

SIGMAS = (0.5, 1.5)  # of the blur, in pixels
GREY = (0.299, 0.587, 0.114)  # how bright red, green and blue are


def augmented(pixels: Tensor, settings: ViewSettings) -> Tensor:
    """A view of each picture, by torch's global generator.

    Args:
        pixels: (B, 3, H, W) float, normalised or not.
    """
    if settings.jitter:
        pixels = _relit(pixels, settings.jitter)
    if settings.soft_share:
        pixels = _softened(pixels, settings.soft_share)
    if settings.smallest_crop < 1:
        return _cropped(pixels, settings)
    pixels = shifted(pixels, max_shift=settings.max_shift)
    if settings.mirror:
        mirrored = (torch.rand(len(pixels)) < 0.5).to(pixels.device)
        pixels = torch.where(mirrored[:, None, None, None], pixels.flip(3), pixels)
    return pixels


def _cropped(pixels: Tensor, settings: ViewSettings) -> Tensor:
    """A rectangle of each, its sides drawn one by one, enlarged to the whole; shifts may leave the
    picture, whose edge is then mirrored.
    """
    batch, height = len(pixels), pixels.shape[2]
    sides = settings.smallest_crop + (1 - settings.smallest_crop) * torch.rand(batch, 1)
    sides = (sides * (1 + 0.1 * (2 * torch.rand(batch, 2) - 1))).clamp(max=1.0)
    reach = 1 - sides + 2 * settings.max_shift / height
    middle = (2 * torch.rand(batch, 2) - 1) * reach
    signs = torch.ones(batch)
    if settings.mirror:
        signs = signs - 2 * (torch.rand(batch) < 0.5).float()
    theta = torch.zeros(batch, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = sides[:, 0] * signs, sides[:, 1]
    theta[:, :, 2] = middle
    grid = F.affine_grid(theta.to(pixels.device), list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def _softened(pixels: Tensor, share: float) -> Tensor:
    """Some of them blurred, as many as if they had been stored half as large: what is soft and yet
    shows all shall count as that, when pictures of a painter are judged.
    """
    count = round(share * len(pixels))
    chosen = torch.randperm(len(pixels))[:count].to(pixels.device)
    soft, coarse = chosen.tensor_split(2)
    low, high = SIGMAS
    pixels = pixels.clone()
    sigma = low + (high - low) * float(torch.rand(()))
    if len(soft):
        pixels[soft] = blurred(pixels[soft], sigma).to(pixels.dtype)  # autocast convolves in bf16
    if len(coarse):
        pixels[coarse] = coarsened(pixels[coarse], 2)
    return pixels


def _relit(pixels: Tensor, strength: float) -> Tensor:
    """Brighter or darker, of more or less contrast, of deeper or paler colours."""
    light, contrast, depth = (
        (strength * (2 * torch.rand(3, len(pixels), 1, 1, 1) - 1)).to(pixels.device).unbind()
    )
    weights = torch.tensor(GREY, device=pixels.device).view(1, 3, 1, 1)
    grey = (pixels * weights).sum(1, keepdim=True)
    mean = grey.mean((2, 3), keepdim=True)
    pixels = grey + (1 + depth) * (pixels - grey)
    return mean + (1 + contrast) * (pixels - mean) + light
