"""Reconstruction measures against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from pipeline.evaluation.reconstruction import bits_per_pixel, reconstruction
from pipeline.evaluation.unmeasurable import Unmeasurable


def pictures(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_an_even_error_gives_the_formulas_figures() -> None:
    images = pictures(3) / 2
    measures = dict(reconstruction(images, images + 0.1))
    assert measures["mse"] == pytest.approx(0.01, rel=1e-5)
    assert measures["psnr"] == pytest.approx(10 * math.log10(4 / 0.01), rel=1e-5)
    assert 0.9 < measures["ssim"] < 1


def test_ssim_is_that_of_pictures_whose_black_is_zero() -> None:
    # flat pictures differ by the luminance term alone: (2ab + c) / (a^2 + b^2 + c), c = 0.01^2
    for dark, light in ((0.4, 0.6), (0.0, 0.5)):
        images = [torch.full((1, 3, 16, 16), value * 2 - 1) for value in (dark, light)]
        expected = (2 * dark * light + 1e-4) / (dark**2 + light**2 + 1e-4)
        assert dict(reconstruction(*images))["ssim"] == pytest.approx(expected, rel=1e-3)


def test_ssim_is_averaged_over_whole_windows_as_in_its_paper() -> None:
    # Wang et al.'s formula by hand: sigma 1.5, 11 x 11, population covariance, valid windows only.
    # scikit-image 0.26 (gaussian_weights, use_sample_covariance=False) gives the same to 1e-9.
    images, others = pictures(2) * 0.8, pictures(3)[1:]
    weights = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(weights, weights) / weights.sum() ** 2

    def local_mean(plane: np.ndarray) -> np.ndarray:
        return np.einsum("ijkl,kl->ij", sliding_window_view(plane, (11, 11)), window)

    expected = []
    for a, b in zip(images.double().flatten(0, 1), others.double().flatten(0, 1), strict=True):
        x, y = (a.numpy() + 1) / 2, (b.numpy() + 1) / 2
        mean_x, mean_y = local_mean(x), local_mean(y)
        var_x, var_y = local_mean(x * x) - mean_x**2, local_mean(y * y) - mean_y**2
        both = local_mean(x * y) - mean_x * mean_y
        above = (2 * mean_x * mean_y + 1e-4) * (2 * both + 9e-4)
        expected.append(above / ((mean_x**2 + mean_y**2 + 1e-4) * (var_x + var_y + 9e-4)))
    ssim = dict(reconstruction(images, others))["ssim"]
    assert ssim == pytest.approx(np.mean(expected), abs=1e-6)


def test_psnr_is_as_for_8_bit_pictures() -> None:
    images, others = pictures(1), pictures(2)[1:]
    error = ((images - others) * 127.5).double().square().mean().item()
    assert dict(reconstruction(images, others))["psnr"] == pytest.approx(
        10 * math.log10(255**2 / error)
    )


def test_means_weigh_every_picture_alike_whatever_the_batches() -> None:
    images = pictures(70)
    others = images * torch.linspace(0, 1, 70)[:, None, None, None]
    alone = [dict(reconstruction(images[i : i + 1], others[i : i + 1])) for i in range(70)]
    together = dict(reconstruction(images, others))
    for name, value in together.items():
        assert value == pytest.approx(sum(one[name] for one in alone) / 70)


def test_an_exact_copy_of_a_constant_picture_is_finite() -> None:
    black = torch.full((2, 3, 16, 16), -1.0)
    assert dict(reconstruction(black, black)) == {
        "mse": 0.0,
        "psnr": 100.0,
        "ssim": pytest.approx(1.0),
    }


def test_nothing_to_compare_is_said() -> None:
    with pytest.raises(Unmeasurable, match="no pictures"):
        dict(reconstruction(pictures(0), pictures(0)))
    with pytest.raises(Unmeasurable, match="11 pixels"):
        dict(reconstruction(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)))
    with pytest.raises(ValueError, match="others"):
        dict(reconstruction(pictures(1), pictures(2)))


def test_codes_cost_what_the_paper_says() -> None:
    assert bits_per_pixel((16, 16), 512, image_size=64) == 0.5625
    assert bits_per_pixel((20, 16), 1024, image_size=64) == 0.78125
