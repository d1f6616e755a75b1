"""Shuffled prompts: nobody keeps their own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation.shuffling import shuffled_rows
from pipeline.evaluation.unmeasurable import Unmeasurable


@given(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=40), st.integers(0, 2**32))
def test_no_row_stays_and_as_few_as_possible_meet_their_own_text(
    texts: list[str], seed: int
) -> None:
    rows = shuffled_rows(texts, seed=seed)
    assert sorted(rows.tolist()) == list(range(len(texts)))
    assert all(row != i for i, row in enumerate(rows))
    same = sum(texts[row] == texts[i] for i, row in enumerate(rows))
    commonest = max(texts.count(text) for text in texts)
    assert same == max(0, 2 * commonest - len(texts))


def test_the_seed_alone_decides() -> None:
    texts = [str(i) for i in range(50)]
    again = shuffled_rows(texts, seed=1)
    assert np.array_equal(shuffled_rows(texts, seed=1), again)
    assert not np.array_equal(shuffled_rows(texts, seed=2), again)


@pytest.mark.parametrize("texts", [[], ["one"]])
def test_a_single_prompt_cannot_be_shuffled(texts: list[str]) -> None:
    with pytest.raises(Unmeasurable, match="two prompts"):
        shuffled_rows(texts, seed=0)
