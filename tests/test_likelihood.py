"""Bits a code in cases with a known answer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.evaluation.likelihood import likelihood, unigram_bits
from pipeline.evaluation.unmeasurable import Unmeasurable


def test_the_unigram_model_adds_one_to_every_count() -> None:
    train, test = np.array([[0, 0], [0, 1]]), np.array([0, 1, 2])
    # counts 3, 1, 0, 0 and one more each: 4, 2, 1, 1 of 8
    assert unigram_bits(train, test, 4) == pytest.approx((1 + 2 + 3) / 3)


def test_equal_codes_cost_the_logarithm_of_their_number() -> None:
    assert unigram_bits(np.arange(8), np.arange(8), 8) == pytest.approx(3.0)
    with pytest.raises(Unmeasurable, match="test codes"):
        unigram_bits(np.arange(8), np.empty(0, dtype=np.int64), 8)
    with pytest.raises(ValueError, match="less than 4"):
        unigram_bits(np.arange(8), np.arange(4), 4)


def test_nats_become_bits_and_the_texts_gain_has_an_interval() -> None:
    generator = np.random.default_rng(0)
    given = generator.uniform(1, 2, size=(50, 4, 4))
    blind = given + generator.normal(0.1, 0.05, size=(50, 1, 1))
    measures = likelihood(given, blind, 4.0, seed=0)
    assert measures["bits"] == pytest.approx(given.mean() / math.log(2))
    assert measures["unconditional"] == pytest.approx(blind.mean() / math.log(2))
    assert measures["below_unigram"] == pytest.approx(1 - measures["bits"] / 4)
    gain = measures["unconditional"] - measures["bits"]
    assert measures["text_gain"] == pytest.approx(gain)
    assert 0 < measures["text_gain_low"] < gain < measures["text_gain_high"]


def test_a_text_that_tells_nothing_has_zero_in_its_interval() -> None:
    generator = np.random.default_rng(1)
    given, blind = generator.uniform(1, 2, size=(2, 60, 8))
    measures = likelihood(given, blind, 4.0, seed=0)
    assert measures["text_gain_low"] < 0 < measures["text_gain_high"]


def test_few_pictures_have_no_interval_and_none_no_measure() -> None:
    assert "text_gain_low" not in likelihood(np.ones((19, 4)), np.ones((19, 4)), 2.0, seed=0)
    assert "below_unigram" not in likelihood(np.ones(2), np.ones(2), 0.0, seed=0)
    with pytest.raises(Unmeasurable, match="no test pictures"):
        likelihood(np.empty((0, 4)), np.empty((0, 4)), 2.0, seed=0)
    with pytest.raises(ValueError, match="nats"):
        likelihood(np.ones(2), np.ones(3), 2.0, seed=0)
