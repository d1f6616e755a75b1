"""A space of plain pixels, for where no trained network is at hand: colours, edges, a thumbnail.

Nothing in it is learned, so it cannot have met a model. It is for telling labels apart (see
`labels`): of the twelve commonest labels of 6,674 watercolours of fruit, a classifier on it tells
0.83 of held-out pictures right, on SqueezeNet's features 0.90.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.evaluation.features import FeatureSpace

CELLS = 8  # a side, in which edges and mean colours are told
DIRECTIONS = 9  # of edges, as in Dalal and Triggs 2005 (doi:10.1109/CVPR.2005.177)
LEVELS = 6  # of each band in the histograms of colours
BATCH = 64


def pixel_features(images: np.ndarray) -> np.ndarray:
    """What a picture shows at a glance.

    Args:
        images: (N, H, W, 3) uint8, H and W at least 8.

    Returns:
        (N, 1200) float32: square roots of edge strength by direction in 8 x 8 cells and of the
        shares of 216 colours in the picture and in its middle; mean colours of the cells.
    """
    if not len(images):
        return np.empty((0, CELLS**2 * (DIRECTIONS + 3) + 2 * LEVELS**3), np.float32)
    parts = []
    for part in torch.from_numpy(np.ascontiguousarray(images)).split(BATCH):
        floats = part.permute(0, 3, 1, 2).float() / 255
        cells = F.adaptive_avg_pool2d(floats, CELLS).flatten(1)
        middle = part[:, part.shape[1] // 4 : -(part.shape[1] // 4)]
        middle = middle[:, :, part.shape[2] // 4 : -(part.shape[2] // 4)]
        parts.append(torch.cat([_edges(floats), _colours(part), _colours(middle), cells], dim=1))
    return torch.cat(parts).numpy()


def _edges(images: Tensor) -> Tensor:
    """(B, DIRECTIONS * CELLS * CELLS) of images in [0, 1]: how strong, in each direction."""
    grey = F.pad(images.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = grey[:, :, 1:-1, 2:] - grey[:, :, 1:-1, :-2]
    down = grey[:, :, 2:, 1:-1] - grey[:, :, :-2, 1:-1]
    angle = torch.atan2(down, across) / math.pi % 1 * DIRECTIONS
    away = (angle - torch.arange(DIRECTIONS)[:, None, None]).abs()  # (B, DIRECTIONS, H, W)
    away = torch.minimum(away, DIRECTIONS - away)
    strength = (1 - away).clamp(min=0) * torch.hypot(across, down)
    return F.adaptive_avg_pool2d(strength, CELLS).flatten(1).sqrt()


def _colours(images: Tensor) -> Tensor:
    """(B, LEVELS^3) of images (B, H, W, 3) uint8: the root of each colour's share."""
    levels = images.long() * LEVELS // 256
    colours = (levels * torch.tensor([LEVELS**2, LEVELS, 1])).sum(dim=3).flatten(1)
    colours = colours + torch.arange(len(images))[:, None] * LEVELS**3
    counts = torch.bincount(colours.flatten(), minlength=len(images) * LEVELS**3)
    return (counts.view(len(images), -1) / (images.shape[1] * images.shape[2])).sqrt()


PIXEL_SPACE = FeatureSpace("plain pixels", pixel_features)
