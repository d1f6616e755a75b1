"""How well the prior knows the codes of pictures that it never saw."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from pipeline.evaluation.likelihood import likelihood, unigram_bits
from pipeline.evaluation.scores import Scores
from pipeline.models.prior import Prior
from pipeline.training.pixelsnail import CodedTexts, code_nats

SEEN = 256  # training pictures, to show how much better the prior knows those


def picture_nats(
    prior: Prior, levels: list[CodedTexts], rows: Tensor, *, conditional: bool
) -> np.ndarray:
    """Mean nats a code of each picture, (len(rows),), over all levels' codes together."""
    nats = [
        code_nats(model, level[rows], conditional=conditional).numpy()
        for model, level in zip(prior.levels, levels, strict=True)
    ]
    return np.average(nats, axis=0, weights=_cells(levels))


def _cells(levels: list[CodedTexts]) -> list[int]:
    return [level.codes[0].numel() for level in levels]


def prior_scores(
    prior: Prior, levels: list[CodedTexts], *, train: Tensor, test: Tensor, n_embed: int, seed: int
) -> Scores:
    """Judge the prior's likelihood of test codes against knowing no text, and no neighbours.

    Args:
        levels: the whole store's codes, a level each.
        train: rows of unshifted training pictures.
        test: rows of test pictures.
        seed: of the bootstrap.
    """
    scores = Scores()

    def compared() -> dict[str, float]:
        unigrams = [  # each level has its own codebook
            unigram_bits(level.codes[train].numpy(), level.codes[test].numpy(), n_embed)
            for level in levels
        ]
        return likelihood(
            picture_nats(prior, levels, test, conditional=True),
            picture_nats(prior, levels, test, conditional=False),
            float(np.average(unigrams, weights=_cells(levels))),
            seed=seed,
        )

    scores.measure_all(compared, name="bits")
    seen = picture_nats(prior, levels, train[:SEEN], conditional=True)
    scores.measure("train_bits", lambda: float(seen.mean() / np.log(2)))
    return scores
