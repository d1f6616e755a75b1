"""The benchmark of who picks best: what it counts."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.ranking import picked, table

RIGHT = np.array([[0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]], dtype=bool)


@pytest.mark.parametrize(
    ("of", "wanted"), [(1, [0.25, 0.5, 0]), (2, [0.5, 0.5, 0]), (4, [1, 1, 0])]
)
def test_nobody_picks_better_than_the_judge(of, wanted):
    assert picked(RIGHT, RIGHT, of=of).tolist() == wanted
    assert picked(RIGHT, ~RIGHT, of=of).mean() <= picked(RIGHT, RIGHT, of=of).mean()


def test_the_highest_score_is_picked_of_every_group_of_draws():
    scores = np.array([[9, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]])
    assert picked(RIGHT, scores, of=2).tolist() == [0, 0.5, 0]
    assert picked(RIGHT, scores, of=4).tolist() == [0, 0, 0]


def test_the_table_has_a_row_for_each_number_that_is_picked_of():
    lines = list(table(RIGHT, {"matching": ~RIGHT, "caption": RIGHT}))
    assert [line.split(" ")[1] for line in lines[2:]] == ["1", "2", "4"]
    assert lines[4].endswith("| +0.667 ± 0.653 |")
