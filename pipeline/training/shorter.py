"""What is also true of a picture, in fewer words: "Apples", of one called "Jonathan apples".

A captioner that learns names of varieties alone puts what it knows of the kind into many first
words, each of them unlikely: the likeliest first word is then of a kind that has few names.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.training.blip_data import TextTable
from pipeline.training.negatives import AMONG, CHUNK, has_pieces


@dataclass(frozen=True)
class ShorterCaptions:
    """For each caption of a split the shortest other one whose pieces all stand in it.

    Attributes:
        rows: (captions,) int64, rows of captions; its own where there is none.
    """

    rows: Tensor

    @classmethod
    def of(cls, captions: TextTable) -> ShorterCaptions:
        """Find them among the `AMONG` shortest; of several that are as short the first."""
        pieces = int(captions.tokens.max()) + 1
        lengths = captions.ends.diff(prepend=captions.ends.new_zeros(1))
        among = lengths.argsort(stable=True)[:AMONG]
        others = has_pieces(captions[among], pieces)
        sizes = others.sum(axis=1)
        found = []
        for some in torch.arange(len(captions)).split(CHUNK):
            part = has_pieces(captions[some], pieces)
            shared, own = (part @ others.T).toarray(), part.sum(axis=1)[:, None]
            size = np.where((shared == sizes) & (sizes < own), sizes, np.inf)
            shortest = torch.from_numpy(size.argmin(1))
            has_one = torch.from_numpy(np.isfinite(size.min(1)))
            found.append(torch.where(has_one, among[shortest], some))
        return cls(torch.cat(found))

    def draw(self, captions: Tensor, *, share: float) -> Tensor:
        """These rows (n,) int64, a share of them the shorter ones, by torch's global generator."""
        instead = torch.rand(len(captions)) < share
        return torch.where(instead, self.rows[captions], captions)
