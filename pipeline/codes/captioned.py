"""Codes with what they are conditioned on: a store's records joined to their pairs and texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipeline.codes.store import CodeStore
from pipeline.data.condition import Conditions, TextCondition
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pairs import Pair
from pipeline.errors import UserError


@dataclass(frozen=True)
class CaptionedCodes:
    """N records of a code store, each with its pair and its caption's embedding.

    Attributes:
        codes: (N, h, w) integers, all levels of the VQ-VAE packed in one grid.
        pairs: the pair that each record is of.
        views: (N,) int64; 0: of the picture as it is.
        shifts: (N, 2) int64, of the views, in pixels down and to the right.
        condition: the texts, each once.
        condition_rows: (N,) int64, each record's row of `condition`.
    """

    codes: Tensor
    pairs: Sequence[Pair]
    views: Tensor
    shifts: Tensor
    condition: Conditions
    condition_rows: Tensor

    @classmethod
    def load(cls, path: Path, pairs: Sequence[Pair], texts: TextEmbeddings) -> CaptionedCodes:
        """Read the store at `path` and join it to captioned `pairs` by their ids.

        Raises:
            UserError: the store is missing or damaged, was made from other pairs, or lacks some.
        """
        by_id = {pair.id: pair for pair in pairs}
        with CodeStore.open(path) as store:
            codes = torch.from_numpy(store.batch(range(len(store))).astype("int32"))
            ids, views = store.ids.tolist(), torch.from_numpy(store.views)
            shifts = torch.from_numpy(store.shifts)
            filenames = store.filenames
        for row, (pair_id, filename) in enumerate(zip(ids, filenames, strict=True)):
            found = by_id.get(pair_id)
            if found is None or found.image != filename:
                has = "no captioned pair of that id" if found is None else f"{found.image} there"
                raise UserError(
                    f"{path}: record {row} is of pair {pair_id} and picture {filename}, but the "
                    f"table of pairs has {has}; run dump_codes on this table"
                )
        if missing := by_id.keys() - set(ids):
            raise UserError(
                f"{path}: pair {min(missing)} has no codes; run dump_codes on this table of pairs"
            )
        joined = [by_id[pair_id] for pair_id in ids]
        rows = texts.rows([pair.caption for pair in joined])
        return cls(codes, joined, views, shifts, texts.condition, rows)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Tensor) -> CaptionedCodes:
        pairs = [self.pairs[row] for row in rows.tolist()]
        return CaptionedCodes(
            self.codes[rows],
            pairs,
            self.views[rows],
            self.shifts[rows],
            self.condition,
            self.condition_rows[rows],
        )

    def of(self, split: str, *, views: bool = False) -> CaptionedCodes:
        """A split's records: of its pictures as they are, or with `views` of every view."""
        kept = [
            row
            for row, (pair, view) in enumerate(zip(self.pairs, self.views.tolist(), strict=True))
            if pair.split == split and (views or view == 0)
        ]
        return self[torch.tensor(kept, dtype=torch.int64)]

    def batch(self, rows: Tensor, device: torch.device) -> tuple[Tensor, TextCondition]:
        """Codes (B, h, w) int64 and the texts beside them, of some rows, on `device`."""
        condition = self.condition[self.condition_rows[rows]].to(device)
        return self.codes[rows].long().to(device), condition
