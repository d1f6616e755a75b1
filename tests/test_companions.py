"""Other real pictures of the same prompt."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.companions import NONE, best_of, companions
from pipeline.evaluation.unmeasurable import Unmeasurable

POOL = ["ship", "dog", "ship", "ship", "fish", "dog", "ship"]


def test_companions_share_the_prompt_and_differ_from_the_own_picture_and_each_other() -> None:
    for seed in range(20):
        found = companions(POOL, POOL, count=1, seed=seed, own=range(len(POOL)))
        for row, (other,) in enumerate(found.tolist()):
            if POOL[row] == "fish":
                assert other == NONE  # the only fish has no companion
            else:
                assert POOL[other] == POOL[row]
                assert other != row
        pairs = companions(["ship", "ship"], POOL, count=3, seed=seed)
        assert all(len(set(rows)) == 3 and set(rows) <= {0, 2, 3, 6} for rows in pairs.tolist())


def test_the_seed_decides_and_every_companion_can_be_drawn() -> None:
    draws = [companions(["ship"], POOL, count=1, seed=seed)[0, 0] for seed in range(50)]
    assert draws == [companions(["ship"], POOL, count=1, seed=seed)[0, 0] for seed in range(50)]
    assert set(draws) == {0, 2, 3, 6}


def test_too_few_companions_are_none_and_left_out_of_the_best() -> None:
    chosen = companions(["ship", "dog", "whale"], POOL, count=3, seed=0)
    assert (chosen[1:] == NONE).all()
    scores = np.arange(7.0)
    assert best_of(scores, chosen).tolist() == [scores[chosen[0]].max()]
    with pytest.raises(Unmeasurable, match="other real pictures"):
        best_of(scores, chosen[1:])
    with pytest.raises(ValueError, match="own pictures"):
        companions(["ship"], POOL, count=1, seed=0, own=[0, 1])


def test_the_best_of_four_real_pictures_is_above_a_single_ones_mean() -> None:
    prompts = np.repeat(np.arange(100), 8).tolist()
    scores = np.random.default_rng(0).normal(size=800)
    best = best_of(scores, companions(range(100), prompts, count=4, seed=0))
    assert best.mean() == pytest.approx(1.03, abs=0.15)  # of four normal values the largest
    assert scores.mean() == pytest.approx(0, abs=0.1)
