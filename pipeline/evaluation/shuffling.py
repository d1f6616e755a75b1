"""Prompts given to other pictures: the floor under every measure of text against picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.evaluation.unmeasurable import Unmeasurable


def shuffled_rows(texts: Sequence[str], *, seed: int) -> np.ndarray:
    """Draw for each row another row, whose text differs wherever that is possible.

    Rows are lined up by their text, the texts in a drawn order and the rows of a text in a drawn
    order too, and each takes the row that stands further on by the count of the commonest text. No
    row then meets its own text, unless more than half of all rows share one text; that text then
    meets itself as seldom as can be.

    Args:
        texts: (N,), N >= 2.
        seed: of the draw.

    Returns:
        (N,) int64: a permutation without fixed points.

    Raises:
        Unmeasurable: there are fewer than two rows.
    """
    if len(texts) < 2:
        raise Unmeasurable("shuffling takes at least two prompts")
    generator = np.random.default_rng(seed)
    rows_of: dict[str, list[int]] = {}
    for row in generator.permutation(len(texts)).tolist():
        rows_of.setdefault(texts[row], []).append(row)
    line = np.array([row for rows in rows_of.values() for row in rows], dtype=np.int64)
    step = max(Counter(texts).values()) % len(texts) or 1  # all the same text: any other row
    shuffled = np.empty_like(line)
    shuffled[line] = np.roll(line, -step)
    return shuffled
