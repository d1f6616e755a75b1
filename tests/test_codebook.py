"""Codebook use in cases with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.codebook import codebook_use
from pipeline.evaluation.unmeasurable import Unmeasurable


def test_equal_use_of_k_codes_has_perplexity_k() -> None:
    codes = np.tile(np.arange(8), 4).reshape(2, 4, 4)
    assert dict(codebook_use(codes, 16)) == {"perplexity": pytest.approx(8.0), "used": 0.5}


def test_one_code_is_a_collapse() -> None:
    assert dict(codebook_use(np.zeros((1, 4, 4), dtype=np.int64), 4)) == {
        "perplexity": 1.0,
        "used": 0.25,
    }


def test_codes_outside_the_book_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[0, 4\)"):
        dict(codebook_use(np.array([4]), 4))
    with pytest.raises(Unmeasurable, match="no codes"):
        dict(codebook_use(np.empty((0, 4, 4), dtype=np.int64), 4))
