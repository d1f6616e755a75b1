"""Titles are read back as their scenes, and a tenth of them is in no training table."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from pipeline import sample
from pipeline.sample import rows as rows_module
from pipeline.sample.scene import CHOICES, KINDS, Scene, every_scene
from pipeline.sample.titles import HELD_OUT, TITLES, parse, seen
from pipeline.sample.words import passage, title

Tables = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tables, dict[str, list[Scene]]]:
    """The sample's tables without its pictures, and the scenes that each split's texts are of."""
    folder = tmp_path_factory.mktemp("sample")
    told: list[Scene] = []

    def noted(scene: Scene, rng: np.random.Generator) -> str:
        told.append(scene)
        return passage(scene, rng)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "_paint_all", lambda *_: None)
        patch.setattr(rows_module, "passage", noted)
        sample.write_sample(folder, train=2000, test=500, size=96, seed=0, workers=1)
    tables = {
        split: json.loads((folder / f"musti-{split}.json").read_text())["pairs"]
        for split in ("train", "test")
    }
    train = sum(row["language"] == "en" for row in tables["train"])
    return tables, {"train": told[:train], "test": told[train:]}


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
    written: tuple[Tables, dict[str, list[Scene]]],
) -> None:
    tables, told = written
    titles = {row["title"] for row in tables["train"]}
    assert not HELD_OUT & titles
    assert len(titles & set(TITLES)) > 0.9 * (len(TITLES) - len(HELD_OUT))
    assert len(told["train"]) > 3000  # matching texts and mismatched ones
    assert all(seen(title(scene)) for scene in told["train"])


def test_test_pictures_are_of_all_titles(
    written: tuple[Tables, dict[str, list[Scene]]],
) -> None:
    tables, _ = written
    title_of = {row["image"]: row["title"] for row in reversed(tables["test"])}
    unseen = [not seen(line) for line in title_of.values()]
    assert len(unseen) == 500
    assert 0.05 < np.mean(unseen) < 0.16
