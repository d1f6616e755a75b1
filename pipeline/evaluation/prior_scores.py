"""How well the prior knows the codes of pictures that it never saw."""

from __future__ import annotations

import math

import numpy as np
import torch

from pipeline.codes.captioned import CaptionedCodes
from pipeline.evaluation.likelihood import likelihood, unigram_bits
from pipeline.evaluation.scores import Scores
from pipeline.models.vqvae import unpack_levels
from pipeline.priors import Prior

TRAINING_PICTURES = 256  # to show how much better the prior knows those
BATCH = 128


def picture_nats(
    prior: Prior, codes: CaptionedCodes, device: torch.device, *, conditional: bool
) -> np.ndarray:
    """Mean nats per code of each picture, (N,) float64.

    Args:
        device: where the prior is.
        conditional: False: as if there were no text.
    """
    nats = []
    for rows in torch.arange(len(codes)).split(BATCH):
        grids, condition = codes.batch(rows, device)
        nats.append(prior.nats(grids, condition if conditional else None))
    return torch.cat(nats).numpy() / math.prod(codes.codes.shape[1:])


def prior_scores(
    prior: Prior,
    codes: CaptionedCodes,
    device: torch.device,
    *,
    level_shapes: list[tuple[int, int]],
    n_embed: int,
    seed: int,
) -> Scores:
    """Judge the prior's likelihood of test codes against knowing no text, and no neighbours.

    Args:
        codes: the whole store's.
        level_shapes: height and width of each level's grid, the top one first.
        seed: of the bootstrap.
    """
    scores = Scores()
    train, test = codes.of("train"), codes.of("test")
    levels = [unpack_levels(part.codes, level_shapes) for part in (train, test)]
    unigrams = [  # each level has its own codebook
        unigram_bits(seen.numpy(), unseen.numpy(), n_embed)
        for seen, unseen in zip(*levels, strict=True)
    ]
    measured = likelihood(
        picture_nats(prior, test, device, conditional=True),
        picture_nats(prior, test, device, conditional=False),
        float(np.average(unigrams, weights=[math.prod(shape) for shape in level_shapes])),
        seed=seed,
    )
    scores.take("bits", measured, under="")
    some = train[torch.arange(min(TRAINING_PICTURES, len(train)))]
    known = picture_nats(prior, some, device, conditional=True)
    scores.take("train_bits", [("", float(known.mean() / math.log(2)))])
    return scores
