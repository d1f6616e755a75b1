"""Bits a code of models that anybody can count: what a prior has to beat to have learned a thing.

Each is fitted on training codes and gives every test code a probability that sums to one, so its
bits are exact. They know neither text nor place; the strongest knows the code on the left and the
one above.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.evaluation.unmeasurable import Unmeasurable

BACKOFF = 64.0  # unigram counts in a context's: the best of 1 to 256 for 256 codes, by little
BATCH = 2048  # codes whose probabilities are summed at a time: BATCH times n_embed numbers


def baseline_bits(
    train_codes: np.ndarray, test_codes: np.ndarray, n_embed: int
) -> Iterator[tuple[str, float]]:
    """Bits a code of the test pictures, by counts of the training pictures.

    A context's counts are smoothed towards the unigram's shares (MacKay and Peto 1995,
    doi:10.1017/S1351324900000218), and those by one for each code.

    Args:
        train_codes: (N, h, w) integers in [0, n_embed), one level's.
        test_codes: (M, h, w) the same.
        n_embed: how many values a code has.

    Yields:
        unigram: how often each code occurs; left: given the left neighbour; upper: given the one
        above; neighbours: given both, as if they told apart (p(z|left) p(z|upper) / p(z), scaled to
        sum one). An edge is a context of its own.

    Raises:
        Unmeasurable: there are no codes on one side.
    """
    for codes in (train_codes, test_codes):
        if not codes.size:
            raise Unmeasurable("there are no codes")
        if codes.ndim != 3 or codes.min() < 0 or codes.max() >= n_embed:
            raise ValueError(f"codes {codes.shape}, expected (N, h, w) in [0, {n_embed})")
    counts = np.bincount(train_codes.ravel(), minlength=n_embed) + 1.0
    unigram = counts / counts.sum()
    left, upper = (_shares(train_codes, axis, unigram) for axis in (2, 1))
    codes = test_codes.ravel()
    lefts, uppers = (_before(test_codes, axis, n_embed).ravel() for axis in (2, 1))
    yield "unigram", _bits(unigram[codes])
    yield "left", _bits(left[lefts, codes])
    yield "upper", _bits(upper[uppers, codes])
    both = np.empty(len(codes))
    for start in range(0, len(codes), BATCH):
        part = slice(start, start + BATCH)
        shares = left[lefts[part]] * upper[uppers[part]] / unigram
        both[part] = shares[np.arange(len(shares)), codes[part]] / shares.sum(axis=1)
    yield "neighbours", _bits(both)


def _before(codes: np.ndarray, axis: int, n_embed: int) -> np.ndarray:
    """The code before each one along an axis; n_embed at the edge."""
    moved = np.roll(codes, 1, axis=axis)
    edge: list[slice | int] = [slice(None)] * codes.ndim
    edge[axis] = 0
    moved[tuple(edge)] = n_embed
    return moved


def _shares(codes: np.ndarray, axis: int, unigram: np.ndarray) -> np.ndarray:
    """(n_embed + 1, n_embed): the probability of each code after each context."""
    size = len(unigram)
    pairs = _before(codes, axis, size).ravel().astype(np.int64) * size + codes.ravel()
    counts = np.bincount(pairs, minlength=(size + 1) * size).reshape(size + 1, size)
    return (counts + BACKOFF * unigram) / (counts.sum(axis=1, keepdims=True) + BACKOFF)


def _bits(probabilities: np.ndarray) -> float:
    return float(-np.log2(probabilities).mean())
