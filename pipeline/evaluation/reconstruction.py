"""How much of a picture survives its codes: MSE, PSNR, SSIM, and what the codes cost."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pipeline.evaluation.scores import Figures
from pipeline.evaluation.unmeasurable import Unmeasurable

PERFECT_PSNR = 100.0  # dB: an exact copy's is infinite, and would make the mean so
SSIM_WINDOW = 11  # pixels: the Gaussian window of the paper, in torchmetrics' default
BORDER = SSIM_WINDOW // 2  # where the window would reach beyond the picture
BATCH = 64
SSIM_BATCH = 4  # its windows take 25 MB a picture of 64 pixels


@torch.inference_mode()
def reconstruction(images: Tensor, reconstructions: Tensor) -> Figures:
    """MSE, PSNR and SSIM (Wang et al. 2004, doi:10.1109/TIP.2003.819861) of reconstructions.

    PSNR is taken a picture and then averaged, as tokenizer papers do, which gives a little more
    than the PSNR of the mean error. Its peak is the whole range of values, as 255 is for 8-bit
    pictures: 2 on the [-1, 1] scale. The source's figures (MSE 0.240 beside 6.58 dB) fit a peak of
    1 instead; if its values ranged over [-1, 1], its PSNR is understated by 6.02 dB.

    SSIM is averaged where its window lies inside the picture, as in the paper and in scikit-image.
    torchmetrics' own mean includes a mirrored border: 29 % of a 64-pixel picture, and 0.006 more.

    Args:
        images: (N, 3, H, W) in [-1, 1].
        reconstructions: the same of what was decoded.

    Yields:
        mse (of values in [-1, 1]; a quarter of it on the [0, 1] scale), psnr in dB (at most 100 a
        picture), ssim in [-1, 1].

    Raises:
        Unmeasurable: there are no pictures, or they are too small for SSIM's window.
    """
    yield from means(picture_figures(images, reconstructions))


@torch.inference_mode()
def picture_figures(images: Tensor, reconstructions: Tensor) -> dict[str, np.ndarray]:
    """What `reconstruction` takes the means of: each figure's values, (N,) float64.

    Raises:
        Unmeasurable: there are no pictures, or they are too small for SSIM's window.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio as psnr

    if images.shape != reconstructions.shape or images.ndim != 4:
        raise ValueError(f"images {tuple(images.shape)}, others {tuple(reconstructions.shape)}")
    if not len(images):
        raise Unmeasurable("there are no pictures")
    if min(images.shape[2:]) < SSIM_WINDOW:
        raise Unmeasurable(f"SSIM takes pictures of at least {SSIM_WINDOW} pixels a side")
    found: dict[str, list[Tensor]] = {"mse": [], "psnr": [], "ssim": []}
    for real, made in zip(images.split(BATCH), reconstructions.split(BATCH), strict=True):
        errors = (real.double() - made.double()).square().mean(dim=(1, 2, 3))
        # SSIM compares means by their ratio, so it has to see brightness: black is 0, not -1.
        real, made = (real.double() + 1) / 2, (made.double() + 1) / 2
        decibels = torch.as_tensor(
            psnr(made, real, data_range=1.0, reduction="none", dim=(1, 2, 3))
        )
        parts = (errors, decibels.clamp(max=PERFECT_PSNR), _ssim(made, real))
        for name, part in zip(found, parts, strict=True):
            found[name].append(part.cpu())
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def means(figures: Mapping[str, np.ndarray]) -> Figures:
    """The mean over pictures of each of their figures."""
    for name in ("mse", "psnr", "ssim"):
        values = torch.from_numpy(figures[name])
        yield name, float(sum(part.sum() for part in values.split(BATCH)) / len(values))


def _ssim(first: Tensor, second: Tensor) -> Tensor:
    """(B,) of pictures in [0, 1]: the mean over the windows that lie inside."""
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    parts = []
    for some in zip(first.split(SSIM_BATCH), second.split(SSIM_BATCH), strict=True):
        found = ssim(*some, data_range=1.0, reduction="none", return_full_image=True)
        parts.append(found[1][..., BORDER:-BORDER, BORDER:-BORDER].mean(dim=(1, 2, 3)))
    return torch.cat(parts)


def picture_errors(images: Tensor, reconstructions: Tensor) -> np.ndarray:
    """The `mse` of each picture, (N,) float64, without the work for SSIM."""
    return (images.double() - reconstructions.double()).square().mean(dim=(1, 2, 3)).numpy()


def mean_psnr(errors: np.ndarray) -> float:
    """The `psnr` of pictures by their errors (N,).

    Raises:
        Unmeasurable: there are no pictures.
    """
    if not len(errors):
        raise Unmeasurable("there are no pictures")
    return float((10 * (4 / torch.from_numpy(errors)).log10()).clamp(max=PERFECT_PSNR).mean())


def bits_per_pixel(code_shape: tuple[int, int], n_embed: int, *, image_size: int) -> float:
    """What a picture's codes cost, written down plainly: log2(n_embed) bits each.

    Args:
        code_shape: (h, w) of the code grid, both levels in it where there are two.
        n_embed: how many values a code has.
        image_size: the picture's side in pixels.
    """
    return math.prod(code_shape) * math.log2(n_embed) / image_size**2
