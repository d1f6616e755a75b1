"""How well the prior knows the codes, in bits a code, against not knowing the text or the place."""

from __future__ import annotations

import math

import numpy as np

from pipeline.evaluation.bootstrap import FEWEST, mean_interval
from pipeline.evaluation.unmeasurable import Unmeasurable


def unigram_bits(train_codes: np.ndarray, test_codes: np.ndarray, n_embed: int) -> float:
    """Bits a code of test pictures by how often each code occurs in training (one added to each).

    Args:
        train_codes: any shape, integers in [0, n_embed).
        test_codes: any shape, the same.
        n_embed: how many values a code has.

    Raises:
        Unmeasurable: there are no test codes.
    """
    if test_codes.size == 0:
        raise Unmeasurable("there are no test codes")
    counts = np.bincount(train_codes.ravel(), minlength=n_embed) + 1  # a new code is not impossible
    if len(counts) != n_embed:
        raise ValueError(f"a code of {len(counts) - 1}, expected less than {n_embed}")
    return float(np.log2(counts.sum() / counts[test_codes.ravel()]).mean())


def likelihood(
    conditional: np.ndarray, unconditional: np.ndarray, unigram: float, *, seed: int
) -> dict[str, float]:
    """Bits a code with the text and without it, beside the unigram model's.

    Args:
        conditional: (N, ...) nats of the codes of N test pictures, given their texts.
        unconditional: (N, ...) nats of the same codes, given none.
        unigram: the unigram model's bits a code.
        seed: of the bootstrap.

    Returns:
        bits (a code, given the text), unconditional, unigram; below_unigram, the share that the
        prior saves of the unigram's bits; text_gain, bits a code that the text saves, and the ends
        of its 95 % interval over pictures, text_gain_low and text_gain_high (left out for fewer
        than 20 pictures): the text tells something if both are above zero.

    Raises:
        Unmeasurable: there are no pictures.
    """
    if conditional.shape != unconditional.shape:
        raise ValueError(f"nats of {conditional.shape} and of {unconditional.shape}")
    if conditional.size == 0:
        raise Unmeasurable("there are no test pictures")
    # A picture's codes hang together: the picture is what the bootstrap may draw again.
    given, blind = (_picture_bits(nats) for nats in (conditional, unconditional))
    gain = blind - given
    measures = {
        "bits": float(given.mean()),
        "unconditional": float(blind.mean()),
        "unigram": unigram,
        "text_gain": float(gain.mean()),
    }
    if unigram > 0:
        measures["below_unigram"] = 1 - measures["bits"] / unigram
    if len(gain) >= FEWEST:
        measures["text_gain_low"], measures["text_gain_high"] = mean_interval(gain, seed=seed)
    return measures


def _picture_bits(nats: np.ndarray) -> np.ndarray:
    return nats.reshape(len(nats), -1).astype(np.float64).mean(axis=1) / math.log(2)  # (N,)
