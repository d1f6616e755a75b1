"""From which probability on a pair is called matched: chosen on validation, kept with BLIP."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pipeline.models.blip_reader import PUBLISHED, MatchThresholds
from pipeline.training.blip import BlipTask

OTHERS = 4  # captions of other pictures that each picture stands beside


def choose_thresholds(task: BlipTask) -> MatchThresholds:
    """The thresholds that tell validation's pairs apart best; those of the published head where
    there is nothing to tell apart.

    What a mismatch is, is what it was in training: captions of others, and changed ones, by shares.
    """
    torch.manual_seed(0)
    device = task.objectives.temperature.device
    shares, known = task.settings.negatives, PUBLISHED
    everywhere = shares.even + shares.hard + shares.same_label
    scores: dict[str, list[Tensor]] = {name: [] for name in ("own", "others", "changed")}
    passages: list[Tensor] = []
    labels: list[Tensor] = []
    val = task.val
    with torch.no_grad():
        for pictures in torch.arange(len(val)).split(task.settings.batch_size):
            pixels = task.checkpoint.pixels(val.images[pictures].to(device))
            seen = task.objectives.see(pixels)
            places, own = val.captions_of.draw(pictures)
            scores["own"].append(task.objectives.probabilities(seen[places], val.captions[own]))
            for _ in range(OTHERS):
                rows = torch.randint(len(val.captions), (len(places),))
                strange = ~val.is_known(pictures[places], rows)
                scores["others"].append(
                    task.objectives.probabilities(
                        seen[places[strange]], val.captions[rows[strange]]
                    )
                )
            of, rows = task.val_changed.draw(own)
            strange = ~val.is_known(pictures[places[of]], rows)
            scores["changed"].append(
                task.objectives.probabilities(
                    seen[places[of[strange]]], val.captions[rows[strange]]
                )
            )
            places, rows = val.passages_of.draw(pictures)
            passages.append(task.objectives.probabilities(seen[places], val.passages[rows]))
            labels.append(val.is_match[rows])
    matched, others, changed = (torch.cat(scores[name]).numpy() for name in scores)
    told, is_match = torch.cat(passages).numpy(), torch.cat(labels).numpy()
    return MatchThresholds(
        captions=best_threshold(
            matched, [(others, everywhere), (changed, shares.changed)], otherwise=known.captions
        ),
        passages=best_threshold(told[is_match], [(told[~is_match], 1.0)], otherwise=known.passages),
    )


def best_threshold(
    matched: np.ndarray, mismatched: list[tuple[np.ndarray, float]], *, otherwise: float
) -> float:
    """The threshold of the best balanced accuracy; of several the middle of the widest gap.

    Args:
        matched: (N,) probabilities of pairs that belong together.
        mismatched: probabilities of pairs that do not, of each sort, and how much the sort counts.
        otherwise: the answer where either is missing.
    """
    kept = [(scores, share) for scores, share in mismatched if len(scores) and share]
    if not kept or not len(matched):
        return otherwise
    scores = np.unique(np.concatenate([matched, *(scores for scores, _ in kept), [0.0, 1.0]]))
    cuts = (scores[1:] + scores[:-1]) / 2
    total = sum(share for _, share in kept)
    right = _from(matched, cuts)
    for found, share in kept:
        right = right + share / total * (1 - _from(found, cuts))
    best = np.flatnonzero(right >= right.max() - 1e-9)
    return float(cuts[best[np.diff(scores)[best].argmax()]])


def _from(scores: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """The share of the scores that lie at or above each cut."""
    return 1 - np.searchsorted(np.sort(scores), cuts, side="left") / len(scores)
