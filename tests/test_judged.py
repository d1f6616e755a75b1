"""What evaluation looks at, where there is more than it takes."""

from __future__ import annotations

import torch

from pipeline.evaluation.judged import spread_rows


def test_up_to_the_most_all_are_taken():
    for count in (0, 1, 7):
        assert spread_rows(count, 7).tolist() == list(range(count))


def test_of_more_as_many_are_taken_evenly_spread():
    rows = spread_rows(1_000_003, 5_000)
    assert len(rows) == 5_000
    assert rows[0] == 0
    gaps = rows.diff()
    assert set(gaps.unique().tolist()) == {200, 201}
    assert torch.equal(rows, spread_rows(1_000_003, 5_000))
