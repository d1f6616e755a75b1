"""What the text saves, of priors that know known things."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import entropy

from pipeline.evaluation.text_gain import null_branch_lack, text_gain, title_entropy
from pipeline.evaluation.unmeasurable import Unmeasurable

TITLES, CELLS = 32, 16
WEIGHTS = np.arange(1.0, TITLES + 1)
OWN = np.repeat(np.arange(TITLES), np.arange(1, TITLES + 1))  # as often as in training
BOUND = entropy(WEIGHTS / WEIGHTS.sum(), base=2) / CELLS


def measured(nats: np.ndarray) -> dict[str, float]:
    return dict(text_gain(nats, OWN, WEIGHTS, cells=CELLS, seed=0))


def test_a_prior_that_ignores_the_text_gains_nothing() -> None:
    same = np.random.default_rng(0).uniform(500, 900, (len(OWN), 1)).repeat(TITLES, axis=1)
    found = measured(same)
    assert found["text_gain"] == pytest.approx(0, abs=1e-12)
    assert found["text_share"] == pytest.approx(0, abs=1e-12)
    assert found["text_gain_low"] <= 1e-9 <= found["text_gain_high"] + 2e-9


def test_perfect_knowledge_gains_all_that_a_title_holds() -> None:
    nats = np.full((len(OWN), TITLES), 5000.0)
    nats[np.arange(len(OWN)), OWN] = 700.0
    found = measured(nats)
    assert found["text_gain"] == pytest.approx(BOUND) == found["text_bound"]
    assert found["text_share"] == pytest.approx(1)


@pytest.mark.parametrize("seed", range(5))
def test_no_prior_gains_more_than_the_titles_hold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nats = rng.normal(800, 10.0 ** rng.uniform(-1, 3), (len(OWN), TITLES))
    found = measured(nats)
    assert found["text_gain"] <= found["text_bound"] == pytest.approx(BOUND)
    assert found["text_gain_low"] <= found["text_gain"] <= found["text_gain_high"]


def test_the_gain_is_the_mutual_information_of_a_model_that_is_true() -> None:
    # one code a picture; two titles prefer one code each, by 0.9
    table = np.array([[0.9, 0.1], [0.1, 0.9]])
    rows = [(t, z) for t in (0, 1) for z in (0, 1) for _ in range(round(100 * float(table[t, z])))]
    own, codes = (np.array(column) for column in zip(*rows, strict=True))
    nats = -np.log(table[:, codes]).T
    found = dict(text_gain(nats, own, np.ones(2), cells=1, seed=0))
    assert found["text_gain"] == pytest.approx(1 - entropy([0.9, 0.1], base=2))
    assert "text_gain_low" not in found  # two titles have no interval


def test_nats_of_thousands_do_not_overflow() -> None:
    found = dict(text_gain(np.array([[4e4, 3e5]]), np.array([0]), np.ones(2), cells=256, seed=0))
    assert found["text_gain"] == pytest.approx(1 / 256)


def test_titles_hold_their_entropy() -> None:
    assert title_entropy(["a", "b", "c", "d"]) == pytest.approx(2)
    assert title_entropy(["a"] * 9) == 0.0
    assert title_entropy([str(t) for t in OWN]) == pytest.approx(BOUND * CELLS)


def test_what_the_null_branch_lacks_is_no_gain_of_the_text() -> None:
    # the text changes nothing, and a null branch that is worse by half a bit says otherwise
    given = np.random.default_rng(0).uniform(2, 3, (40, 4, 4))
    blind = given + 0.5 * math.log(2)
    found = dict(null_branch_lack(given, blind, seed=0))
    assert found["null_branch_lack"] == pytest.approx(0.5)
    assert found["null_branch_lack_low"] <= 0.5 + 1e-9
    assert set(dict(null_branch_lack(given[:3], blind[:3], seed=0))) == {"null_branch_lack"}


def test_what_cannot_be_measured_is_said() -> None:
    with pytest.raises(Unmeasurable, match="no test pictures"):
        dict(text_gain(np.empty((0, 2)), np.empty(0, int), np.ones(2), cells=1, seed=0))
    with pytest.raises(Unmeasurable, match="does not occur"):
        dict(text_gain(np.ones((1, 2)), np.array([1]), np.array([1.0, 0]), cells=1, seed=0))
    with pytest.raises(Unmeasurable, match="no titles"):
        title_entropy([])
    with pytest.raises(Unmeasurable, match="no test pictures"):
        dict(null_branch_lack(np.empty((0, 4)), np.empty((0, 4)), seed=0))
    with pytest.raises(ValueError, match="weights"):
        dict(text_gain(np.ones((1, 2)), np.array([0]), np.ones(3), cells=1, seed=0))
    with pytest.raises(ValueError, match="nats of"):
        dict(null_branch_lack(np.ones(2), np.ones(3), seed=0))
