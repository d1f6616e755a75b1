"""LPIPS, the perceptual distance of two pictures, from weights on this machine alone.

Zhang et al. 2018, https://arxiv.org/abs/1801.03924, by the lpips package, whose own loading would
ask the network for a backbone that is not there, and unpickle what it finds. Here both parts are
read by us: tensors only, and every one of them must fit.
"""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.backbones import BACKBONES, SMALLEST
from pipeline.errors import UserError
from pipeline.evaluation.unmeasurable import Unmeasurable

SLICE = re.compile(r"^slice\d+\.")  # lpips cuts a backbone's layers into slices, numbers unchanged


def load_lpips(folder: Path | str, net: str) -> nn.Module:
    """Build LPIPS on a backbone below a folder laid out as TORCH_HOME.

    Args:
        folder: with the weights in hub/checkpoints, under torchvision's name for them.
        net: "alex", "vgg" or "squeeze".

    Returns:
        The measure, in evaluation mode, on the CPU, for images in [-1, 1].

    Raises:
        UserError: the net is unknown, or its weights are not there or not those.
    """
    folder = Path(folder)
    if net not in BACKBONES:
        raise UserError(f"lpips net = {net!r}: allowed are {', '.join(BACKBONES)}")
    path = folder / "hub" / "checkpoints" / BACKBONES[net]
    if not path.is_file():
        raise UserError(f"{path}: no such file; LPIPS with the {net} net needs its weights")
    import lpips

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # lpips uses torchvision's older arguments
        measure = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)
    _load_backbone(measure.net, _tensors(path), path)
    heads = Path(lpips.__file__).parent / "weights" / f"v{measure.version}" / f"{net}.pth"
    measure.load_state_dict(_tensors(heads), strict=False)  # the backbone's tensors are not in it
    return measure.eval().requires_grad_(False)


def find_lpips(folder: Path | str) -> nn.Module | None:
    """LPIPS on whichever backbone `folder` holds; None where it holds none.

    Raises:
        UserError: the weights are damaged.
    """
    folder = Path(folder)
    for net, file in BACKBONES.items():
        if (folder / "hub" / "checkpoints" / file).exists():
            return load_lpips(folder, net)
    return None


@torch.inference_mode()
def lpips_distances(
    measure: nn.Module, first: Tensor, second: Tensor, *, batch_size: int
) -> np.ndarray:
    """LPIPS of pairs of pictures.

    Args:
        measure: from `load_lpips`.
        first: (N, 3, H, W) in [-1, 1], on the measure's device.
        second: the same, the other picture of each pair.
        batch_size: pairs at a time.

    Returns:
        (N,) float64, 0 for equal pictures.

    Raises:
        Unmeasurable: there are no pairs, or they are too small for the measure's backbone.
    """
    if first.shape != second.shape or first.ndim != 4:
        raise ValueError(f"pictures {tuple(first.shape)} and {tuple(second.shape)}")
    if not len(first):
        raise Unmeasurable("there are no pairs of pictures")
    net = str(measure.pnet_type)
    if min(first.shape[2:]) < SMALLEST[net]:
        raise Unmeasurable(f"{net} takes pictures of at least {SMALLEST[net]} pixels a side")
    batches = zip(first.split(batch_size), second.split(batch_size), strict=True)
    return torch.cat([measure(a, b).flatten().double().cpu() for a, b in batches]).numpy()


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError):
        raise UserError(f"{path}: not a file of weights, or a damaged one") from None


def _load_backbone(slices: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Fill lpips' slices ("slice2.3.weight") from torchvision's weights ("features.3.weight")."""
    wanted = {name: f"features.{SLICE.sub('', name)}" for name in slices.state_dict()}
    try:
        slices.load_state_dict({name: weights[source] for name, source in wanted.items()})
    except (KeyError, RuntimeError, TypeError, AttributeError):
        raise UserError(f"{path}: not the weights of this backbone") from None
