"""Bits of counted models, on codes whose bits are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pipeline.evaluation.baselines import baseline_bits
from pipeline.evaluation.unmeasurable import Unmeasurable


def drawn(count: int, seed: int, size: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, size, (count, 6, 6))


def chain(count: int, seed: int) -> np.ndarray:
    """Rows in which each code is the left neighbour's or, once in four, any of four."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (count, 12, 12))
    for column in range(1, 12):
        stays = rng.random((count, 12)) < 0.75
        codes[:, :, column] = np.where(stays, codes[:, :, column - 1], codes[:, :, column])
    return codes


def test_codes_without_order_cost_the_logarithm_of_their_number() -> None:
    for bits in dict(baseline_bits(drawn(2000, 0), drawn(100, 1), 8)).values():
        assert bits == pytest.approx(3, abs=0.01)


def test_the_unigram_counts_each_code_once_more_than_it_saw_it() -> None:
    train, test = drawn(20, 0, 5), drawn(10, 1, 8)
    seen = [int((train == code).sum()) + 1 for code in range(8)]
    bits = [-np.log2(seen[code] / sum(seen)) for code in test.ravel()]
    assert dict(baseline_bits(train, test, 8))["unigram"] == pytest.approx(np.mean(bits))


def test_a_chain_to_the_right_is_known_by_its_left_neighbour_alone() -> None:
    found = dict(baseline_bits(chain(1000, 0), chain(100, 1), 4))
    kept, other = 0.75 + 0.25 / 4, 0.25 / 4
    inside = -(kept * np.log2(kept) + 3 * other * np.log2(other))
    assert found["left"] == pytest.approx((2 + 11 * inside) / 12, abs=0.02)
    assert found["upper"] == pytest.approx(2, abs=0.01)
    assert found["neighbours"] == pytest.approx(found["left"], abs=0.01)


def test_turned_codes_exchange_left_and_upper() -> None:
    train, test = chain(50, 0), chain(10, 1)
    found = dict(baseline_bits(train, test, 4))
    turned = dict(baseline_bits(train.swapaxes(1, 2), test.swapaxes(1, 2), 4))
    assert turned["upper"] == pytest.approx(found["left"])
    assert turned["left"] == pytest.approx(found["upper"])


def test_every_model_is_a_probability_of_all_pictures() -> None:
    # of all pictures of 1 x 2 and of 2 x 1 codes, the chances must add up to one
    for shape in ((1, 2), (2, 1)):
        train = np.random.default_rng(0).integers(0, 3, (30, *shape)) // 2
        sums = dict.fromkeys(("unigram", "left", "upper", "neighbours"), 0.0)
        for codes in itertools.product(range(3), repeat=2):
            picture = np.array(codes).reshape(1, *shape)
            for name, bits in baseline_bits(train, picture, 3):
                sums[name] += 2.0 ** (-2 * bits)
        for name, total in sums.items():
            assert total == pytest.approx(1), name


def test_no_codes_are_unmeasurable_and_strange_ones_an_error() -> None:
    with pytest.raises(Unmeasurable, match="no codes"):
        dict(baseline_bits(drawn(2, 0), drawn(0, 0), 8))
    with pytest.raises(ValueError, match="expected"):
        dict(baseline_bits(drawn(2, 0), drawn(2, 0), 7))
