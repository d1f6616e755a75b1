"""Sets of pictures that teach little: each trains, and says in a line what could not be learned."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
from blips import build, learn, pixels_of, settings, write_pairs_and_pictures

from pipeline.data.pairs import Pair
from pipeline.training.blip import BlipTask
from pipeline.training.blip_data import Matches
from pipeline.training.blip_thresholds import choose_thresholds

MIX = {"even": 1.0, "hard": 1.0, "same_label": 1.0, "changed": 1.0}


def half_of_one_kind(pairs: list[Pair]) -> list[Pair]:
    return [dataclasses.replace(p, objects=("red",)) if p.id % 2 else p for p in pairs]


def every_title_unique(pairs: list[Pair]) -> list[Pair]:
    return [dataclasses.replace(p, caption=f"{p.caption} number {p.id}") for p in pairs]


def all_titles_alike(pairs: list[Pair]) -> list[Pair]:
    return [dataclasses.replace(p, caption="A square") for p in pairs]


def nothing_known(pairs: list[Pair]) -> list[Pair]:
    return [dataclasses.replace(p, objects=()) for p in pairs]


@pytest.mark.parametrize(
    ("made_of", "said"),
    [
        (half_of_one_kind, ""),
        (every_title_unique, ""),
        (all_titles_alike, "every caption matches every picture"),
        (nothing_known, ""),
    ],
)
def test_an_odd_set_of_some_twenty_pictures_trains_and_says_what_it_could_not_learn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], made_of, said: str
) -> None:
    images = tmp_path / "images"
    pairs = [
        dataclasses.replace(pair, match="YES")
        for of_each, split in ((3, "train"), (1, "val"))
        for pair in write_pairs_and_pictures(images, of_each=of_each, split=split)
    ]
    pairs = made_of(pairs)
    wanted = settings(steps=4, negatives=MIX, doubtful_weight=0.5)
    blip = build(pairs)
    pixels = pixels_of(images)
    train, val = (
        Matches.load(pairs, split, pixels=pixels, tokenizer=blip.tokenizer)
        for split in ("train", "val")
    )
    task = BlipTask(blip, train, val, wanted)
    curve = learn(task, saved=tmp_path / "saved", seed=0)
    assert all(math.isfinite(value) for row in curve for value in row.values())
    thresholds = choose_thresholds(task)
    assert 0 < thresholds.captions < 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "BLIP, step" in line]
    assert lines  # in four steps nothing is learned by anybody
    assert any(said in line for line in lines)
    assert len(lines) == len(set(lines)) <= 3
