"""Codes with what they are conditioned on: a store's records joined to their pairs and texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.codes.store import CodeStore
from pipeline.data.condition import Conditions, TextCondition
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.mapped import Chosen, Rows
from pipeline.data.pairs import SPLITS, Pair, Picked
from pipeline.data.row_index import digest
from pipeline.errors import UserError

OF_PAIR = np.dtype([("id", np.int64), ("picture", np.int64), ("split", np.uint8)])


@dataclass(frozen=True)
class CaptionedCodes:
    """N records of a code store, each with its pair and its caption's embedding.

    Codes, pairs and texts are read when they are asked for; the rest is some 40 bytes a record.

    Attributes:
        codes: (N, h, w) integers, all levels of the VQ-VAE packed in one grid.
        pairs: the pair that each record is of.
        splits: (N,) uint8, the pairs' splits by their places in `SPLITS`.
        views: (N,) int32; 0: of the picture as it is.
        shifts: (N, 2) int16, of the views, in pixels down and to the right.
        condition: the texts, each once.
        condition_rows: (N,) int64, each record's row of `condition`.
    """

    codes: Rows
    pairs: Sequence[Pair]
    splits: Tensor
    views: Tensor
    shifts: Tensor
    condition: Conditions
    condition_rows: Tensor

    @classmethod
    def load(cls, path: Path, pairs: Sequence[Pair], texts: TextEmbeddings) -> CaptionedCodes:
        """Open the store at `path` and join it to captioned `pairs` by their ids.

        Raises:
            UserError: the store is missing or damaged, was made from other pairs, or lacks some.
        """
        store = CodeStore.open(path)
        facts = ((pair.id, digest(pair.image), SPLITS.index(pair.split)) for pair in pairs)
        known = np.fromiter(facts, OF_PAIR, len(pairs))
        rows = _pair_rows(store, pairs, known)
        condition_rows = texts.rows(pair.caption for pair in pairs)
        return cls(
            codes=StoredCodes(store),
            pairs=Picked(pairs, rows),
            splits=torch.from_numpy(known["split"][rows]),
            views=torch.from_numpy(store.views.astype(np.int32)),
            shifts=torch.from_numpy(store.shifts.astype(np.int16)),
            condition=texts.condition,
            condition_rows=condition_rows[torch.from_numpy(rows)],
        )

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Tensor) -> CaptionedCodes:
        return CaptionedCodes(
            codes=Chosen(self.codes, rows),
            pairs=Picked(self.pairs, rows.numpy()),
            splits=self.splits[rows],
            views=self.views[rows],
            shifts=self.shifts[rows],
            condition=self.condition,
            condition_rows=self.condition_rows[rows],
        )

    def of(self, split: str, *, views: bool = False) -> CaptionedCodes:
        """A split's records: of its pictures as they are, or with `views` of every view."""
        kept = self.splits == SPLITS.index(split)
        if not views:
            kept &= self.views == 0
        return self[kept.nonzero()[:, 0]]

    def batch(self, rows: Tensor, device: torch.device) -> tuple[Tensor, TextCondition]:
        """Codes (B, h, w) int64 and the texts beside them, of some rows, on `device`."""
        condition = self.condition[self.condition_rows[rows]].to(device)
        return self.codes[rows].long().to(device), condition


@dataclass(frozen=True)
class StoredCodes:
    """The codes of an open store: (N, h, w), rows of it int32."""

    store: CodeStore

    @property
    def shape(self) -> torch.Size:
        """(N, h, w)."""
        return torch.Size((len(self.store), *self.store.shape))

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, rows: Tensor | slice, /) -> Tensor:
        wanted = np.arange(len(self))[rows] if isinstance(rows, slice) else rows.numpy()
        return torch.from_numpy(self.store.batch(wanted).astype(np.int32))


def _pair_rows(store: CodeStore, pairs: Sequence[Pair], known: np.ndarray) -> np.ndarray:
    """Which pair each record is of, (len(store),) int64.

    Args:
        known: (len(pairs),) of `OF_PAIR`.
    """
    ids, order = store.ids, known["id"].argsort()
    rows, same = np.zeros(len(ids), np.int64), np.zeros(len(ids), bool)
    if len(order):
        places = np.searchsorted(known["id"], ids, sorter=order)
        rows = order[np.where(places < len(order), places, 0)]
        pictures = np.fromiter(map(digest, store.filenames()), np.int64, len(ids))
        same = (known["id"][rows] == ids) & (known["picture"][rows] == pictures)
    if not same.all():
        row = int(same.argmin())
        there = next((pair.image for pair in pairs if pair.id == ids[row]), None)
        has = "no captioned pair of that id" if there is None else f"{there} there"
        raise UserError(
            f"{store.path}: record {row} is of pair {ids[row]} and picture {store[row][1]}, but "
            f"the table of pairs has {has}; run dump_codes on this table"
        )
    if len(missing := np.setdiff1d(known["id"], ids)):
        raise UserError(
            f"{store.path}: pair {missing[0]} has no codes; run dump_codes on this table of pairs"
        )
    return rows
