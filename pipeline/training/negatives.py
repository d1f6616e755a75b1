"""What matching learns from: negatives of every hardness, and what may be no negative at all.

Hard negatives alone (https://arxiv.org/abs/2107.07651, section 3.2) teach nothing where the hardest
cannot be told apart by anybody, two sorts of apple say: the best answer is then the base rate. Even
ones alone never ask how many apples there are. So a negative is drawn from a mixture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from pipeline.training.blip_data import Texts, TextTable
from pipeline.training.blip_settings import NegativeShares

NEAREST = 16  # captions that stand for a caption changed in something
AMONG = 8192  # captions that each is compared with: of more, the nearest are hardly nearer
CHUNK = 256  # captions that are compared at a time


def negative_weights(
    own: Texts, others: Texts, is_match: Tensor, *, doubtful_weight: float
) -> Tensor:
    """How much each text is a negative of each picture: 0 for one that matches it.

    A text whose pieces all stand in a picture's own caption says nothing that is untrue of it
    ("Apples" beside "Jonathan apples"), and one that says all of the caption and more may be true.
    Such texts are doubtful. Where captions tell all there is, as the sample's do, they are wrong.

    Args:
        own: a caption of each of the N pictures.
        others: M texts.
        is_match: (N, M) bool, the pairs that are known to match.
        doubtful_weight: of a doubtful negative, in [0, 1].

    Returns:
        (N, M) float in [0, 1].
    """
    (first, first_sizes), (second, second_sizes) = _pieces(own, others)
    shared = first @ second.T
    less, more = shared == second_sizes, shared == first_sizes[:, None]
    weights = torch.ones_like(shared).masked_fill_(less | more, doubtful_weight)
    return weights.masked_fill_(is_match | (less & more), 0)


def _pieces(*sides: Texts) -> list[tuple[Tensor, Tensor]]:
    """Which pieces stand in each text, (texts, pieces) float of 0 and 1, and how many they are."""
    words = [_words(side) for side in sides]
    known = torch.cat([side.ids[word] for side, word in zip(sides, words, strict=True)]).unique()
    found = []
    for side, word in zip(sides, words, strict=True):
        table = torch.zeros(len(side.ids), len(known), device=known.device)
        rows = word.nonzero()[:, 0]
        table[rows, torch.searchsorted(known, side.ids[word])] = 1
        found.append((table, table.sum(1)))
    return found


def _words(texts: Texts) -> Tensor:
    """(N, T) bool: what is a piece of the text, not one of the two that enclose it."""
    inside = texts.present.clone()
    inside[:, 0] = False
    last = texts.present.sum(1) - 1
    inside[torch.arange(len(last), device=last.device), last] = False
    return inside


def has_pieces(texts: Texts, pieces: int) -> csr_array:
    """(texts, pieces): 1.0 where a piece stands in a text, once or more."""
    words = _words(texts)
    rows, ids = words.nonzero()[:, 0].numpy(), texts.ids[words].numpy()
    has = csr_array((np.ones(len(rows)), (rows, ids)), shape=(len(texts.ids), pieces))
    has.data[:] = 1
    return has


def draw_negatives(
    similarity: Tensor, weights: Tensor, same_label: Tensor, shares: NegativeShares
) -> tuple[Tensor, Tensor]:
    """Draw for each row one negative column, from the mixture of those that a batch holds.

    Args:
        similarity: (N, M) float logits; hard negatives are likelier where it is high.
        weights: (N, M) float, how much each column is a negative; 0: not at all.
        same_label: (N, M) bool; where a row has no such negative, an even one takes its place.
        shares: of even, hard and same-label negatives.

    Returns:
        The rows that have a negative at all, and the column drawn for each; both int64.
    """
    rows = (weights > 0).any(1).nonzero()[:, 0]
    if not len(rows):
        return rows, rows
    weights = weights[rows]
    even = _shared_out(weights)
    # A sharp softmax may leave nothing to them, and multinomial would refuse (BLIP's #76).
    hard = _shared_out(similarity[rows].float().softmax(1) * weights + 1e-4 * weights)
    alike = weights * same_label[rows]
    alike = torch.where(alike.sum(1, keepdim=True) > 0, _shared_out(alike), even)
    mixture = shares.even * even + shares.hard * hard + shares.same_label * alike
    if not shares.even + shares.hard + shares.same_label:
        mixture = even  # all negatives are changed captions, and this row has none
    return rows, mixture.multinomial(1)[:, 0]


def _shared_out(weights: Tensor) -> Tensor:
    return weights / weights.sum(1, keepdim=True).clamp_min(1e-12)


@dataclass(frozen=True)
class ChangedCaptions:
    """For each caption of a split others of it that say nearly the same: one thing is changed.

    Attributes:
        table: (captions, K) int32, rows of captions.
        weights: (captions, K) float, how likely each is drawn; 0: never.
    """

    table: Tensor
    weights: Tensor

    @classmethod
    def of(cls, captions: TextTable, *, doubtful_weight: float) -> ChangedCaptions:
        """Find the captions that share the most pieces with each (Dice's coefficient).

        What is changed of a caption may be changed in many ways or in few, its colour say and its
        number: each is drawn as often.
        """
        pieces = int(captions.tokens.max()) + 1
        generator = np.random.default_rng(0)
        # The pieces that two captions share, as one number: sums of these are exact in float64.
        names = generator.integers(1, 1 << 40, size=pieces).astype(np.float64)
        every = among = np.arange(len(captions))
        if len(among) > AMONG:
            among = np.sort(generator.choice(among, AMONG, replace=False))
        others = has_pieces(captions[torch.from_numpy(among)], pieces)
        sizes = others.sum(axis=1)
        most = min(NEAREST, len(among))
        tables, weights = [], []
        for first in range(0, len(every), CHUNK):
            part = has_pieces(captions[torch.from_numpy(every[first : first + CHUNK])], pieces)
            shared = (part @ others.T).toarray()
            own = part.sum(axis=1)[:, None]
            less, more = shared == sizes, shared == own
            score = 2 * shared / np.maximum(own + sizes, 1)
            score[less & more] = -1  # the caption itself
            score += 1e-3 * generator.random(score.shape)  # many are as near
            near = np.argpartition(-score, most - 1, axis=1)[:, :most]
            order = np.argsort(-np.take_along_axis(score, near, axis=1), axis=1)
            near = np.take_along_axis(near, order, axis=1)
            kept = ((part * names) @ others.T).toarray()
            signature = np.take_along_axis(kept, near, axis=1)
            alike = (signature[:, :, None] == signature[:, None, :]).sum(axis=2)
            allowed = np.where(less | more, doubtful_weight, 1.0)
            allowed[(less & more) | (shared == 0)] = 0
            tables.append(among[near].astype(np.int32))
            weights.append(np.take_along_axis(allowed, near, axis=1) / alike)
        return cls(
            torch.from_numpy(np.concatenate(tables)),
            torch.from_numpy(np.concatenate(weights)).float(),
        )

    def draw(self, captions: Tensor) -> tuple[Tensor, Tensor]:
        """A changed caption for each of these rows, by torch's global generator.

        Returns:
            The places in `captions` that have one, and its row; both int64.
        """
        weights = self.weights[captions]
        places = (weights > 0).any(1).nonzero()[:, 0]
        if not len(places):
            return places, places
        chosen = weights[places].multinomial(1)
        return places, self.table[captions[places]].gather(1, chosen)[:, 0].long()
