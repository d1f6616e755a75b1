"""Other real pictures of the same prompt: what references and honest ceilings are made of.

A real picture is at no distance from itself, and one picture is not chosen among four. The ceiling
of a distance is *another* real picture of the prompt; the ceiling of the best of n is the best of n
real ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from pipeline.evaluation.unmeasurable import Unmeasurable

NONE = -1


def companions(
    prompts: Sequence[Hashable],
    pool: Sequence[Hashable],
    *,
    count: int,
    seed: int,
    own: Sequence[int] | None = None,
) -> np.ndarray:
    """Draw for each prompt pictures of the pool that have the same one, each at most once a prompt.

    Args:
        prompts: (N,) what is asked for: a caption, or a label where captions do not repeat.
        pool: (M,) the prompt of each picture that may be drawn.
        count: how many for each prompt.
        seed: of the draw.
        own: (N,) a row of the pool that is the prompt's own picture and must not be drawn.

    Returns:
        (N, count) int64 rows of the pool; all NONE where the pool has too few. The share of prompts
        that have companions belongs beside every figure made of them.
    """
    if own is not None and len(own) != len(prompts):
        raise ValueError(f"{len(prompts)} prompts, {len(own)} own pictures")
    rows_of: dict[Hashable, list[int]] = {}
    for row, prompt in enumerate(pool):
        rows_of.setdefault(prompt, []).append(row)
    generator = np.random.default_rng(seed)
    found = np.full((len(prompts), count), NONE, dtype=np.int64)
    for i, prompt in enumerate(prompts):
        rows = [row for row in rows_of.get(prompt, []) if own is None or row != own[i]]
        if len(rows) >= count:
            found[i] = generator.choice(rows, count, replace=False)
    return found


def best_of(scores: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The best score among each prompt's companions: a ceiling that is selected like a candidate.

    Args:
        scores: (M,) of the pool's pictures, each beside its prompt; higher is better.
        chosen: (N, count) from `companions`.

    Returns:
        (K,) for the K prompts that have companions.

    Raises:
        Unmeasurable: no prompt has.
    """
    rows = chosen[(chosen != NONE).all(axis=1)]
    if not len(rows):
        raise Unmeasurable("no prompt has enough other real pictures")
    best: np.ndarray = scores[rows].max(axis=1)
    return best
