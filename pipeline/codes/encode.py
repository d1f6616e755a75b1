"""Filling the code store: every captioned picture, and shifted views of the training ones.

A prior that sees several views of a painting overfits later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.codes.store import Record
from pipeline.data.captioned import CaptionedImages
from pipeline.data.pairs import Pair
from pipeline.data.views import random_shifts, shift_by, to_float
from pipeline.models.vqvae import VQVAE
from pipeline.seeds import derive_seed

BATCH = 128


class ViewBatches:
    """What is encoded at a time: all pairs as they are, then further views of the training pairs.

    An item is the view's number, 0 for pictures as they are, and the rows of its pairs, int64.

    Args:
        views: of each training picture, the first as it is.
    """

    def __init__(self, pairs: Sequence[Pair], *, views: int) -> None:
        in_training = np.fromiter((pair.split == "train" for pair in pairs), bool, len(pairs))
        self._all = torch.arange(len(pairs))
        self._training = torch.from_numpy(np.flatnonzero(in_training))
        self._of_all, self._of_training = (-(-len(r) // BATCH) for r in (self._all, self._training))
        self._count = self._of_all + (views - 1) * self._of_training

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> tuple[int, Tensor]:
        if not 0 <= number < self._count:
            raise IndexError(number)
        if number < self._of_all:
            return 0, self._all[number * BATCH :][:BATCH]
        view, place = divmod(number - self._of_all, self._of_training)
        return 1 + view, self._training[place * BATCH :][:BATCH]


def encoded_views(
    vqvae: VQVAE,
    captioned: CaptionedImages,
    pairs: Sequence[Pair],
    batches: ViewBatches,
    numbers: Iterable[int],
    *,
    max_shift: int,
    seed: int,
) -> Iterator[Record]:
    """Yield the store's records of the batches of these numbers.

    Args:
        captioned: the pictures and caption embeddings of `pairs`, in their order.
        max_shift: of views behind the first, in pixels each way.
        seed: of the shifts, which depend on the batch's number besides.
    """
    device = next(vqvae.parameters()).device
    for number in numbers:
        view, rows = batches[number]
        images = to_float(captioned.images[rows].to(device))
        shifts = torch.zeros(len(rows), 2, dtype=torch.int64)
        if view > 0 and max_shift:
            generator = torch.Generator().manual_seed(derive_seed(seed, "shifts", number))
            shifts = random_shifts(len(rows), max_shift=max_shift, generator=generator)
            images = shift_by(images, shifts)
        codes = vqvae.encode(images, captioned.text_embeds[rows].to(device)).cpu().numpy()
        for row, grid, shift in zip(rows.tolist(), codes, shifts.tolist(), strict=True):
            pair = pairs[row]
            yield Record(grid, pair.image, pair.id, view, tuple(shift))
