"""Painters that cheat, and the figure, by name, that catches each.

Beside each cheat stands a figure that it does not lower, so that a report needs both.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from gallery import CHEAP, blurred, kinds, of_random_titles, painted, prompts

from pipeline.data.views import shifted, to_float, to_uint8
from pipeline.evaluation.copies import copies, nearest_views
from pipeline.evaluation.distribution import distribution
from pipeline.evaluation.labels import LabelClassifier, common_labels, label_accuracy
from pipeline.evaluation.pixels import PIXEL_SPACE
from pipeline.evaluation.text_gain import null_branch_lack, text_gain

REFERENCE, HONEST, TRAINING = 0, 1, 2  # draws of the same prompts


@cache
def honest() -> dict[str, float]:
    return compared(painted(HONEST))


def compared(made: np.ndarray) -> dict[str, float]:
    return dict(distribution(CHEAP(painted(REFERENCE)), CHEAP(made), seed=0))


@cache
def judge() -> LabelClassifier:
    asked = kinds().tolist()
    pictures = np.concatenate([painted(TRAINING), painted(REFERENCE)])
    kept = common_labels(asked, at_least=2)
    return LabelClassifier.fit(PIXEL_SPACE(pictures), asked * 2, kept, seed=0)


def told(made: np.ndarray) -> dict[str, float]:
    return dict(label_accuracy(judge(), PIXEL_SPACE(made), kinds().tolist(), prompts()))


def one_per_kind() -> np.ndarray:
    """For each prompt the same picture as for the first of its kind: real, sharp, of the kind."""
    first = [kinds().tolist().index(kind) for kind in kinds().tolist()]
    return painted(HONEST)[first]


def recited_views() -> np.ndarray:
    """Training pictures of the very prompts, shifted as training shifts its views."""
    views = to_float(torch.from_numpy(painted(TRAINING)))
    generator = torch.Generator().manual_seed(0)
    return to_uint8(shifted(views, max_shift=4, generator=generator)).numpy()


def copied(made: np.ndarray) -> dict[str, float]:
    near, held_out = (
        nearest_views(images[:60], painted(TRAINING)).distances
        for images in (made, painted(REFERENCE))
    )
    return dict(copies(near, held_out, seed=0))


def test_one_picture_per_kind_is_caught_by_recall_and_coverage_not_by_precision() -> None:
    found = compared(one_per_kind())
    assert found["recall_high"] < honest()["recall_low"]
    assert found["coverage_high"] < honest()["coverage_low"]
    assert found["precision"] > 0.9
    assert told(one_per_kind())["label_accuracy"] > 0.9


def test_blur_is_caught_by_kid_and_fd_not_by_the_labels() -> None:
    soft = blurred(painted(HONEST), 1.5)
    found = compared(soft)
    assert found["kid_low"] > honest()["kid_high"]
    assert found["fd_low"] > honest()["fd_high"]
    assert told(soft)["label_accuracy"] > 0.8


def test_reciting_shifted_training_pictures_is_caught_by_copies_alone() -> None:
    found = copied(recited_views())
    assert found["copies"] >= 0.95
    assert found["further_z"] < -5
    assert copied(painted(HONEST))["copies"] < 0.2
    # by its looks and its labels the cheat is as good as a painter can be
    looks = compared(recited_views())
    assert looks["precision"] > 0.9
    assert looks["recall"] > 0.9
    assert told(recited_views())["label_accuracy"] > 0.9


def test_random_titles_well_painted_are_caught_by_labels_and_by_the_prompts_own_references() -> (
    None
):
    found = compared(of_random_titles())
    assert found["fd"] > honest()["fd_high"]
    assert found["coverage"] < honest()["coverage"]
    assert told(of_random_titles())["label_accuracy_high"] < 0.3
    assert told(painted(HONEST))["label_accuracy_low"] > 0.8
    assert copied(of_random_titles())["copies"] < 0.2


def test_a_starved_null_branch_is_caught_by_the_texts_own_information() -> None:
    # the text changes nothing, but the branch for no text is worse by a bit a code
    nats = np.random.default_rng(0).uniform(600, 700, (60, 1)).repeat(30, axis=1)
    own = np.arange(60) % 30
    given, blind = (nats[:, :1] + lack for lack in (0.0, 256 * np.log(2)))
    flattering = dict(null_branch_lack(given / 256, blind / 256, seed=0))
    found = dict(text_gain(nats, own, np.ones(30), cells=256, seed=0))
    assert flattering["null_branch_lack"] == pytest.approx(1)
    assert found["text_gain"] == pytest.approx(0, abs=1e-12)
    assert found["text_bound"] == pytest.approx(np.log2(30) / 256)


def test_the_honest_painter_is_called_nothing_bad() -> None:
    assert honest()["kid_low"] < 0 < honest()["kid_high"]
    for share in ("precision", "recall", "coverage"):
        assert honest()[share] > 0.9
    assert abs(copied(painted(HONEST))["further_z"]) < 3
