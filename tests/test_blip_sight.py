"""What BLIP sees of real pictures: captions, kinds, blind spots, each on answers that are known."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.blip_page import Table, sight
from pipeline.evaluation.blip_sight import (
    attributes_right,
    blind_spots,
    captions_right,
    kinds_right,
    probe,
    told_kinds,
)
from pipeline.evaluation.matching import auc, relatedness
from pipeline.evaluation.scores import Scores
from pipeline.evaluation.unmeasurable import Unmeasurable

TITLES = ["Two red apples on a plate", "A white fish on a plate"] * 15


def test_a_caption_is_right_if_it_has_the_titles_words_in_any_spelling():
    said = ["two red apples on a plate", "two white fish on a plate"] * 15
    found = dict(captions_right(TITLES, said))
    assert found["right"] == 0.5
    assert found["right_low"] < 0.5 < found["right_high"]
    assert found["commonest"] == 0.5


def test_attributes_of_captions_count_where_their_kind_has_a_choice():
    said = ["Three red apples on a plate", "nothing that a title says"] * 15
    found = dict(attributes_right(TITLES, said))
    assert found["kind"] == 0.5
    assert found["count"] == 0.0
    assert found["sort"] == 1.0  # fish come in one sort only
    assert found["colour"] == 0.5


def test_kinds_are_told_by_the_words_that_people_use_of_them():
    training = ["Red ship at night", "Ship in a storm", "Cottage in winter", "A cottage"] * 5
    labels = ["ship", "ship", "house", "house"] * 5
    told = told_kinds(training, labels, ("ship", "house"), {"": ["a cottage", "ship", "ship"]})[""]
    assert told.tolist() == ["house", "ship", "ship"]
    found = dict(kinds_right(told, ["house", "ship", "house"], ("ship", "house")))
    assert found["balanced"] == 0.75
    assert found["confusion.house.told_ship"] == 0.5
    assert "confusion.ship.told_house" not in found
    with pytest.raises(Unmeasurable, match="fewer than two"):
        told_kinds(training, labels, ("ship",), {})


def test_a_probe_tells_kinds_that_embeddings_part():
    generator = np.random.default_rng(0)
    labels = ["a", "b"] * 30
    embeds = generator.normal(size=(60, 4)) + np.array([[3.0], [-3.0]] * 30)
    found = dict(probe(embeds, labels, embeds, labels, ("a", "b"), seed=0))
    assert found["label_accuracy"] == 1.0


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order_and_has_an_interval():
    generator = np.random.default_rng(0)
    matched, mismatched = generator.normal(1, 1, 400), generator.normal(0, 1, 400)
    found = dict(auc(matched, mismatched))
    assert found["auc"] == pytest.approx((matched[:, None] > mismatched).mean())
    assert found["auc_low"] < 0.760 < found["auc_high"]  # the truth: Φ(1 / √2)
    assert found["auc_high"] - found["auc_low"] < 0.08
    assert dict(auc(np.ones(3), np.ones(3))) == {"auc": 0.5}


def test_the_interval_of_subtask_1_draws_pictures_again_not_pairs():
    generator = np.random.default_rng(0)
    labels = generator.choice(["YES", "NO"], size=60).tolist()
    scores = generator.random(60)
    alone, shared = (
        dict(relatedness(labels, scores, threshold=0.5, pictures=pictures, seed=0))
        for pictures in (range(60), [row // 3 for row in range(60)])
    )
    assert alone["f1_macro_low"] < alone["f1_macro"] < alone["f1_macro_high"]
    assert shared["f1_macro"] == alone["f1_macro"]
    assert (shared["pictures"], shared["n"]) == (20.0, 60.0)
    few = dict(relatedness(labels, scores, threshold=0.5, pictures=[0, 1] * 30, seed=0))
    assert "f1_macro_low" not in few


def test_blind_spots_are_named_and_what_is_seen_is_not():
    seen = {"matching.auc": 0.9, "matching.auc_low": 0.8, "captions.commonest": 0.1}
    assert blind_spots(seen) == []
    blind = {
        "matching.auc": 0.52, "matching.auc_low": 0.48, "similarity.auc": 0.5,
        "captions.commonest": 0.95, "captions.right": 0.01,
    }  # fmt: skip
    lines = blind_spots(blind)
    assert len(lines) == 3
    assert "at chance" in lines[0]
    assert "all one" in lines[2]


def test_the_reports_part_has_hard_negatives_kinds_and_blind_spots():
    scores = Scores()
    scores.values |= {
        "hard.count.called_matched": 0.7, "hard.count.called_matched_low": 0.6,
        "hard.count.called_matched_high": 0.8, "hard.count.n": 30.0, "captions.count": 0.5,
        "kinds.balanced": 0.9, "kinds.confusion.ship.told_ship": 0.9,
        "kinds.confusion.ship.told_house": 0.1, "matching.auc": 0.5,
    }  # fmt: skip
    parts = list(sight(scores))
    tables = [part for part in parts if isinstance(part, Table)]
    assert "has not learned" in str(parts[0])
    assert ["count", "0.7 (0.6 to 0.8)", "", "0.5", "30"] in tables[1].rows
    assert tables[2].heads == ("kind", "ship", "house")
    assert tables[2].rows == [["ship", "0.90", "0.10"]]
