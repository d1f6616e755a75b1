"""Is the whole codebook at work, or has it collapsed: its perplexity, the share of codes used."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.scores import Figures
from pipeline.evaluation.unmeasurable import Unmeasurable


def codebook_use(codes: np.ndarray, n_embed: int) -> Figures:
    """Perplexity of the codes' frequencies (in codes, of n_embed) and the share that occurs at all.

    Args:
        codes: any shape, integers in [0, n_embed).
        n_embed: how many values a code has.

    Yields:
        perplexity in [1, n_embed]: how many codes, equally used, would be as hard to guess; used in
        (0, 1].

    Raises:
        Unmeasurable: there are no codes.
    """
    if codes.size == 0:
        raise Unmeasurable("there are no codes")
    if codes.min() < 0 or codes.max() >= n_embed:
        raise ValueError(f"codes in [{codes.min()}, {codes.max()}], expected [0, {n_embed})")
    counts = np.bincount(codes.ravel(), minlength=n_embed)
    shares = counts[counts > 0] / codes.size
    yield "perplexity", float(np.exp(-(shares * np.log(shares)).sum()))
    yield "used", float((counts > 0).mean())
