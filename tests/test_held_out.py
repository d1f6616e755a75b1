"""Titles are read back as their scenes, and a tenth of them is in no training table."""

from __future__ import annotations

import itertools
from dataclasses import asdict

import numpy as np
import pytest

from pipeline.sample import DRAW, PICTURES, ROWS
from pipeline.sample import rows as rows_module
from pipeline.sample.rows import pairs
from pipeline.sample.scene import CHOICES, KINDS, Scene, every_scene
from pipeline.sample.titles import HELD_OUT, TITLES, parse, seen
from pipeline.sample.words import passage, title

PICTURES_DRAWN = 2000


def drawn(split: str, *, seed: int = 0) -> list[Scene]:
    """The scenes of the sample's pictures, as `write_sample` draws them."""
    streams = ([PICTURES, seed, list(DRAW).index(split), i] for i in range(PICTURES_DRAWN))
    return [
        DRAW[split](KINDS[i % len(KINDS)], np.random.default_rng(stream))
        for i, stream in enumerate(streams)
    ]


def test_a_title_is_read_back_as_its_scene() -> None:
    assert len(TITLES) == 337
    assert [parse(title(scene)) for scene in every_scene()] == every_scene()


def test_what_is_no_title_is_refused() -> None:
    with pytest.raises(ValueError, match="no title of the sample"):
        parse("Orange ship on a calm sea by day")


def test_a_tenth_of_every_kinds_titles_is_held_out() -> None:
    assert len(HELD_OUT) == 34
    assert set(TITLES) > HELD_OUT
    for kind in KINDS:
        titles = [line for line in TITLES if parse(line).kind == kind]
        assert sum(not seen(line) for line in titles) == round(0.1 * len(titles))


def test_every_value_and_every_colour_in_every_number_is_still_met_in_its_kind() -> None:
    left = [asdict(parse(line)) for line in TITLES if seen(line)]
    for kind, choices in CHOICES.items():
        of_kind = [scene for scene in left if scene["kind"] == kind]
        for attribute in ("colour", "count", "sort", "setting", "light"):
            met = {scene[attribute] for scene in of_kind}
            assert met == set(getattr(choices, f"{attribute}s")), (kind, attribute)
        both = {(scene["colour"], scene["count"]) for scene in of_kind}
        assert both == set(itertools.product(choices.colours, choices.counts))


def test_what_is_held_out_never_changes() -> None:
    """A run's figures on unseen titles compare with an older run's only if these are the same."""
    ships = sorted(line for line in HELD_OUT if parse(line).kind == "ship")
    assert ships == [
        "White ship in a storm by day",
        "White ship on a calm sea at night",
        "Yellow ship in a storm at dawn",
    ]


def test_no_training_picture_and_no_training_text_is_of_a_held_out_title(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Scene] = []

    def noted(scene: Scene, rng: np.random.Generator) -> str:
        told.append(scene)
        return passage(scene, rng)

    monkeypatch.setattr(rows_module, "passage", noted)
    scenes = drawn("train")
    names = [f"images/{index}.png" for index in range(len(scenes))]
    rows = pairs(scenes, names, first_id=0, stream=[ROWS, 0, 0], draw=DRAW["train"])
    assert all(seen(title(scene)) for scene in scenes)
    assert len(told) > 1.5 * len(scenes)  # matching texts and mismatched ones
    assert all(seen(title(scene)) for scene in told)
    assert not HELD_OUT & {row["title"] for row in rows}
    assert len({row["title"] for row in rows} & set(TITLES)) > 0.9 * (len(TITLES) - len(HELD_OUT))


def test_test_pictures_are_of_all_titles() -> None:
    unseen = [not seen(title(scene)) for scene in drawn("test")]
    assert 0.07 < np.mean(unseen) < 0.14
