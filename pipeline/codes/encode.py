"""Filling the code store: every captioned picture, and shifted views of the training ones.

A prior that sees several views of a painting overfits later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from pipeline.codes.store import Record
from pipeline.data.captioned import CaptionedImages
from pipeline.data.pairs import Pair
from pipeline.data.views import random_shifts, shift_by, to_float
from pipeline.models.vqvae import VQVAE

BATCH = 128


def encoded_views(
    vqvae: VQVAE,
    captioned: CaptionedImages,
    pairs: Sequence[Pair],
    *,
    views: int,
    max_shift: int,
    seed: int,
) -> Iterator[Record]:
    """Yield the store's records: all pairs as they are, then further views of the training pairs.

    Args:
        captioned: the pictures and caption embeddings of `pairs`, in their order.
        views: of each training picture, the first as it is.
        max_shift: of the further views, in pixels each way.
        seed: of the shifts.
    """
    device = next(vqvae.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    in_training = np.fromiter((pair.split == "train" for pair in pairs), bool, len(pairs))
    training = torch.from_numpy(np.flatnonzero(in_training))
    for view in range(views if len(training) else 1):
        rows_of_view = torch.arange(len(pairs)) if view == 0 else training
        for rows in rows_of_view.split(BATCH):
            images = to_float(captioned.images[rows].to(device))
            shifts = torch.zeros(len(rows), 2, dtype=torch.int64)
            if view > 0 and max_shift:
                shifts = random_shifts(len(rows), max_shift=max_shift, generator=generator)
                images = shift_by(images, shifts)
            codes = vqvae.encode(images, captioned.text_embeds[rows].to(device)).cpu().numpy()
            for row, grid, shift in zip(rows.tolist(), codes, shifts.tolist(), strict=True):
                pair = pairs[row]
                yield Record(grid, pair.image, pair.id, view, tuple(shift))
