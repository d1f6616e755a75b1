"""What the text saves: exactly, where the titles are a finite set, and never more than they hold.

Not knowing the text is the mixture over all titles, p(z) = sum of p(t) p(z|t). A network's branch
for "no text" only guesses at that mixture, and the worse, the less it was trained; what it lacks
says nothing of the text.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import logsumexp

from pipeline.evaluation.bootstrap import FEWEST, mean_interval
from pipeline.evaluation.unmeasurable import Unmeasurable


def text_gain(
    nats: np.ndarray, own: np.ndarray, weights: np.ndarray, *, cells: int, seed: int
) -> Iterator[tuple[str, float]]:
    """Bits a code that knowing the title saves, against the mixture over all titles.

    Args:
        nats: (N, T), the total -log p(codes | title) of N pictures under each of T titles.
        own: (N,) integers, the column of each picture's own title.
        weights: (T,) >= 0, how often each title occurs in training; scaled to sum 1 here.
        cells: codes a picture, on all levels.
        seed: of the bootstrap, which draws titles, with all pictures of each.

    Yields:
        text_gain: bits a code; at most text_bound: what the titles of these pictures hold, mean
        -log2 p(title) / cells (their entropy, where they are as frequent as in training);
        text_share: the first of the second, 1 where a picture betrays its title;
        text_gain_low, text_gain_high: its 95 % interval, where there are at least 20 titles.

    Raises:
        Unmeasurable: there are no pictures, or a title of theirs has no weight in the mixture.
    """
    if nats.ndim != 2 or own.shape != nats.shape[:1] or weights.shape != nats.shape[1:]:
        raise ValueError(f"nats {nats.shape}, titles {own.shape}, weights {weights.shape}")
    if not len(nats):
        raise Unmeasurable("there are no test pictures")
    if (weights[own] <= 0).any():
        raise Unmeasurable("a test picture's title does not occur in training")
    nats = nats.astype(np.float64)
    shares = weights / weights.sum()
    mixture = -logsumexp(-nats, axis=1, b=shares)
    saved = (mixture - nats[np.arange(len(nats)), own]) / math.log(2) / cells
    held = -np.log2(shares[own]) / cells
    yield "text_gain", float(saved.mean())
    yield "text_bound", float(held.mean())
    if held.mean() > 0:
        yield "text_share", float(saved.mean() / held.mean())
    titles = own.tolist()
    if len(set(titles)) >= FEWEST:
        low, high = mean_interval(saved, seed=seed, by=titles)
        yield "text_gain_low", low
        yield "text_gain_high", high


def title_entropy(titles: Sequence[str]) -> float:
    """Bits that a title holds, by how often each occurs: all that a text can save of a picture.

    Where titles are new and endless that is no strict bound, but still the scale.

    Raises:
        Unmeasurable: there are no titles.
    """
    if not titles:
        raise Unmeasurable("there are no titles")
    counts = np.array(list(Counter(titles).values()), dtype=np.float64)
    shares = counts / counts.sum()
    return max(0.0, float(-(shares * np.log2(shares)).sum()))


def null_branch_lack(
    conditional: np.ndarray, unconditional: np.ndarray, *, seed: int
) -> Iterator[tuple[str, float]]:
    """How much worse the network is when it is given no text: not what the text tells.

    It holds the text's gain and, mostly, what the branch for "no text" was not trained for.
    Guidance leans on that branch, so a large lack explains odd guidance.

    Args:
        conditional: (N, ...) nats of the codes of N pictures, given their texts.
        unconditional: (N, ...) nats of the same codes, given none.
        seed: of the bootstrap.

    Yields:
        null_branch_lack in bits a code; with `_low` and `_high`, where there are 20 pictures.

    Raises:
        Unmeasurable: there are no pictures.
    """
    if conditional.shape != unconditional.shape:
        raise ValueError(f"nats of {conditional.shape} and of {unconditional.shape}")
    if not conditional.size:
        raise Unmeasurable("there are no test pictures")
    gaps = (unconditional.astype(np.float64) - conditional) / math.log(2)
    lacks = gaps.reshape(len(gaps), -1).mean(axis=1)
    yield "null_branch_lack", float(lacks.mean())
    if len(lacks) >= FEWEST:
        low, high = mean_interval(lacks, seed=seed)
        yield "null_branch_lack_low", low
        yield "null_branch_lack_high", high
