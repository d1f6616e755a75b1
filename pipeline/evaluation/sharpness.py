"""How much fine detail pictures have beside real ones: no network, so it is there by default.

Features of a classifier hardly see softness; the radial power spectrum shows it plainly.
"""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.bootstrap import FEWEST, mean_interval
from pipeline.evaluation.scores import Figures
from pipeline.evaluation.unmeasurable import Unmeasurable

FINE = 0.25  # cycles a pixel: half of what a grid of pixels can show, waves of 4 pixels and shorter
LEAST_SIDE = 8  # pixels, for there to be such waves


def fine_energy(images: np.ndarray) -> np.ndarray:
    """The power of each picture's brightness at radial frequencies of at least `FINE`.

    Args:
        images: (N, H, W, 3) uint8.

    Returns:
        (N,) float64, > 0, in squared grey levels: of the picture seen through a Hann window, whose
        soft edge makes no detail of its own, and with what rounding to 8 bits adds, so that a flat
        picture has a logarithm too.
    """
    height, width = images.shape[1:3]
    if min(height, width) < LEAST_SIDE:
        raise Unmeasurable(f"sharpness takes pictures of at least {LEAST_SIDE} pixels a side")
    grey = images.mean(axis=3)
    window = np.outer(np.hanning(height), np.hanning(width))
    window /= np.sqrt(np.square(window).mean())
    grey = grey - (grey * window).mean(axis=(1, 2), keepdims=True) / window.mean()
    power = np.abs(np.fft.fft2(grey * window) / (height * width)) ** 2
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    fine = frequencies >= FINE
    energy: np.ndarray = power[:, fine].sum(axis=1) + fine.mean() / 36  # 1/12 a band, three bands
    return energy


def sharpness(images: np.ndarray, real: np.ndarray) -> Figures:
    """Fine detail of pictures as a share of that of real ones: the geometric mean over prompts.

    Args:
        images, real: (N, H, W, 3) uint8, row i both of the same prompt.

    Yields:
        sharpness (1: as much as the real ones), with its 95 % interval.

    Raises:
        Unmeasurable: there are no pictures, or too small ones.
    """
    if images.shape != real.shape:
        raise ValueError(f"pictures {images.shape}, real ones {real.shape}")
    if not len(images):
        raise Unmeasurable("there are no pictures")
    gains = np.log(fine_energy(images)) - np.log(fine_energy(real))
    yield "sharpness", float(np.exp(gains.mean()))
    if len(gains) >= FEWEST:
        low, high = np.exp(mean_interval(gains, seed=0))
        yield "sharpness_low", float(low)
        yield "sharpness_high", float(high)
