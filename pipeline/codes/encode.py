"""The order of the code store: which record holds which pair's codes, and of which view.

All captioned pairs come first, in the table's order, as they are; then, a view at a time, the
training pairs again, shifted by some pixels. A prior that sees several views of a painting learns
it by heart later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from pipeline.data.captioned import PaintedTexts
from pipeline.data.pairs import Pair
from pipeline.data.views import shifted, to_float
from pipeline.models.vqvae import VQVAE

BATCH = 128


def coded_views(
    vqvae: VQVAE,
    painted: PaintedTexts,
    pairs: Sequence[Pair],
    *,
    views: int,
    max_shift: int,
    seed: int,
) -> Iterator[tuple[np.ndarray, str]]:
    """Yield codes (h, w) and the picture's file name, a record at a time, in the store's order."""
    device = next(vqvae.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    for view in range(views):
        for rows in _view_rows(pairs, view).split(BATCH):
            images = to_float(painted.images[rows].to(device))
            if view > 0:
                images = shifted(images, max_shift=max_shift, generator=generator)
            codes = vqvae.encode(images, painted.text_embeds[rows].to(device))
            for row, grid in zip(rows.tolist(), codes.cpu().numpy(), strict=True):
                yield grid, pairs[row].image


def store_rows(pairs: Sequence[Pair], *, records: int) -> torch.Tensor:
    """The pair (its index) that each record of the store shows.

    Args:
        pairs: the captioned pairs that the store was made from.
        records: how many records the store has.

    Returns:
        (records,) int64.
    """
    training = max(1, len(_view_rows(pairs, 1)))
    views = 1 + (records - len(pairs)) // training
    return torch.cat([_view_rows(pairs, view) for view in range(views)])


def _view_rows(pairs: Sequence[Pair], view: int) -> torch.Tensor:
    return torch.tensor([i for i, p in enumerate(pairs) if view == 0 or p.split == "train"])
