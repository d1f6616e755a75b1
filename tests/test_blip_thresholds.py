"""The threshold of matching: chosen on validation, kept with the model, said where it is used."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from blips import build, pixels_of, settings, write_pairs_and_pictures

from pipeline.errors import UserError
from pipeline.models.blip import Blip
from pipeline.models.blip_thresholds import PUBLISHED, MatchThresholds
from pipeline.training.blip import BlipTask
from pipeline.training.blip_data import Matches
from pipeline.training.blip_thresholds import best_threshold, choose_thresholds


def test_the_best_threshold_lies_in_the_widest_gap_that_tells_most_apart():
    matched, mismatched = np.array([0.1, 0.6, 0.7]), np.array([0.05, 0.2, 0.3])
    assert best_threshold(matched, [(mismatched, 1.0)], otherwise=0.5) == pytest.approx(0.45)


def test_a_sort_of_mismatches_counts_by_its_share():
    matched, easy, near = np.array([0.4, 0.6]), np.array([0.1, 0.3]), np.array([0.5, 0.5, 0.5])
    lenient = best_threshold(matched, [(easy, 1.0), (near, 0.0)], otherwise=0.5)
    strict = best_threshold(matched, [(easy, 1.0), (near, 9.0)], otherwise=0.5)
    assert (lenient, strict) == (pytest.approx(0.35), pytest.approx(0.55))


@pytest.mark.parametrize(("matched", "others"), [([], [0.2]), ([0.2], [])])
def test_where_nothing_can_be_told_apart_the_published_heads_own_stays(matched, others):
    assert best_threshold(np.array(matched), [(np.array(others), 1.0)], otherwise=0.5) == 0.5


def test_thresholds_are_chosen_on_validation_the_same_every_time(tmp_path: Path):
    pairs = write_pairs_and_pictures(tmp_path / "images", of_each=2)
    blip = build(pairs)
    pixels = pixels_of(tmp_path / "images")
    val = Matches.load(pairs, "train", pixels=pixels, tokenizer=blip.tokenizer)
    task = BlipTask(blip, val, val, settings())
    first, again = choose_thresholds(task), choose_thresholds(task)
    assert first == again != PUBLISHED
    assert 0 < first.captions < 1


def test_thresholds_are_kept_with_the_model_and_damage_is_named(tmp_path: Path):
    folder = tmp_path / "blip"
    dataclasses.replace(build(), thresholds=MatchThresholds(0.25, 0.75)).save(folder)
    blip = Blip.from_pretrained(folder)
    assert blip.thresholds == MatchThresholds(captions=0.25, passages=0.75)
    (folder / "matching.json").write_text(json.dumps({"captions": 0.9, "passages": 0.9}))
    with pytest.raises(UserError, match=r"matching\.json: damaged"):
        Blip.from_pretrained(folder)


def test_a_published_checkpoint_has_its_heads_own_threshold(tmp_path: Path):
    build().save(tmp_path / "blip")
    for name in ("matching.json", "manifest.json"):
        (tmp_path / "blip" / name).unlink()
    assert Blip.from_pretrained(tmp_path / "blip").thresholds.captions == 0.5
