"""The bootstrap's interval against the normal theory it approximates."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.bootstrap import mean_interval
from pipeline.evaluation.unmeasurable import Unmeasurable


def test_the_interval_is_that_of_the_normal_theory() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=400)
    low, high = mean_interval(values, seed=0)
    error = 1.96 * values.std(ddof=1) / 20
    assert low == pytest.approx(values.mean() - error, abs=0.03)
    assert high == pytest.approx(values.mean() + error, abs=0.03)


def test_the_seed_alone_decides_and_constant_values_leave_no_doubt() -> None:
    values = np.arange(10.0)
    assert mean_interval(values, seed=3) == mean_interval(values, seed=3)
    assert mean_interval(np.full(5, 0.25), seed=0) == (0.25, 0.25)


def test_one_value_has_no_interval() -> None:
    with pytest.raises(Unmeasurable, match="two pictures"):
        mean_interval(np.ones(1), seed=0)
