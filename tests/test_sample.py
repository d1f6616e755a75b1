"""The sample data set: the same bytes each time, MUSTI's traits, titles that tell what is there."""

from __future__ import annotations

import io
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pytest
from PIL import Image

from pipeline.sample import write_sample
from pipeline.sample.paint import PAINTERS, paint
from pipeline.sample.rows import pairs
from pipeline.sample.scene import CHOICES, KINDS, Scene, draw_scene, every_scene, labels
from pipeline.sample.words import passage, title

TRAIN, TEST = 200, 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sample")
    write_sample(target, train=TRAIN, test=TEST, size=64, seed=3)
    return target


@pytest.fixture(scope="module")
def rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        s: json.loads((folder / f"musti-{s}.json").read_text())["pairs"] for s in ("train", "test")
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_seed_gives_the_same_bytes_whatever_the_number_of_workers(tmp_path: Path) -> None:
    for name, workers in (("one", 1), ("again", 1), ("two", 2)):
        write_sample(tmp_path / name, train=25, test=12, size=48, seed=7, workers=workers)
    one = contents(tmp_path / "one")
    assert len(one) == 25 + 12 + 2
    assert one == contents(tmp_path / "again")
    assert one == contents(tmp_path / "two")


def test_another_seed_gives_other_pictures(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_sample(tmp_path / str(seed), train=10, test=0, size=48, seed=seed, workers=1)
    first, second = contents(tmp_path / "0"), contents(tmp_path / "1")
    assert not [name for name in first if name.endswith(".png") and first[name] == second[name]]


def test_a_larger_set_begins_with_the_pictures_and_rows_of_a_smaller_one(tmp_path: Path) -> None:
    for count in (10, 20):
        write_sample(tmp_path / str(count), train=count, test=0, size=48, seed=0, workers=1)
    small, large = contents(tmp_path / "10"), contents(tmp_path / "20")
    few = json.loads(small.pop("musti-train.json"))["pairs"]
    assert few == json.loads(large["musti-train.json"])["pairs"][: len(few)]
    assert all(large[name] == data for name, data in small.items())


def test_rows_follow_the_schema_of_musti(folder: Path, rows: dict[str, list[dict]]) -> None:
    for row in rows["train"] + rows["test"]:
        assert sorted(row) == [
            "id", "image", "language", "subtask1_label", "subtask2_labels", "text", "title",
        ]  # fmt: skip
        assert row["subtask1_label"] in ("YES", "NO")
        assert bool(row["subtask2_labels"]) == (row["subtask1_label"] == "YES")
        assert row["language"] in ("en", "it", "de", "fr")
        assert (folder / row["image"]).is_file()


def test_ids_are_unique_over_both_files_and_have_gaps(rows: dict[str, list[dict]]) -> None:
    ids = [row["id"] for row in rows["train"] + rows["test"]]
    assert ids == sorted(set(ids))
    assert ids[-1] > 1.3 * len(ids)


def test_a_third_of_the_rows_is_mismatched_and_every_picture_has_a_matching_titled_row(
    rows: dict[str, list[dict]],
) -> None:
    everything = rows["train"] + rows["test"]
    mismatched = sum(row["subtask1_label"] == "NO" for row in everything) / len(everything)
    assert 0.27 < mismatched < 0.40
    for split, count in (("train", TRAIN), ("test", TEST)):
        told = {
            r["image"] for r in rows[split] if r["subtask1_label"] == "YES" and r["title"] != "nan"
        }
        assert len(told) == count


def test_titles_are_sometimes_nan_labels_spaced_and_rows_foreign() -> None:
    rng = np.random.default_rng(0)
    scenes = [draw_scene(KINDS[index % len(KINDS)], rng) for index in range(2000)]
    names = [f"images/{index}.png" for index in range(2000)]
    everything: list[dict[str, Any]] = pairs(scenes, names, first_id=0, stream=[0], draw=draw_scene)

    def share(of: list[bool]) -> float:
        return sum(of) / len(everything)

    assert 0.01 < share([row["title"] == "nan" for row in everything]) < 0.04
    assert 0.01 < share(["".join(row["subtask2_labels"])[:1] == " " for row in everything]) < 0.04
    assert 0.005 < share([row["language"] != "en" for row in everything]) < 0.03


def test_the_first_label_is_the_subject_and_a_subject_with_more_titles_comes_more_often(
    rows: dict[str, list[dict]],
) -> None:
    titles = Counter(scene.kind for scene in every_scene())
    for split, count in (("train", TRAIN), ("test", TEST)):
        first = {
            r["image"]: r["subtask2_labels"][0].strip() for r in rows[split] if r["subtask2_labels"]
        }
        found = Counter(first.values())
        for kind in KINDS:
            assert found[kind] == pytest.approx(count * titles[kind] / titles.total(), abs=2)
    assert len(KINDS) >= 8


def test_a_matching_text_names_the_subject_and_a_mismatched_one_nothing_that_is_there() -> None:
    rng = np.random.default_rng(0)
    for scene in every_scene():
        text = passage(scene, rng).lower()
        assert 25 <= len(text.split()) <= 60
        assert "$" not in text
        named = text.replace("apples", "fruit").replace("pears", "fruit")
        assert scene.kind in named
        assert scene.colour in text
        others = {label for other in every_scene() for label in labels(other)} - set(labels(scene))
        subjects = others & set(KINDS)
        words = {word.strip(".,:;").removesuffix("s") for word in text.split()}
        assert not words & subjects, (scene, text)


def test_every_scene_has_its_own_title_of_four_to_nine_words_that_names_what_it_holds() -> None:
    scenes = every_scene()
    titles = [title(scene) for scene in scenes]
    assert len(set(titles)) == len(scenes)
    for scene, line in zip(scenes, titles, strict=True):
        words = line.lower().split()
        assert 4 <= len(words) <= 9
        assert scene.colour in words
        assert scene.count == 1 or {2: "two", 3: "three"}[scene.count] in words
        assert not scene.sort or words[0] == scene.sort or scene.sort in line
    assert len({word for line in titles for word in line.lower().split()}) <= 75


def test_titles_agree_with_the_rows_of_their_scene(rows: dict[str, list[dict]]) -> None:
    kind_of = {title(scene): scene for scene in every_scene()}
    for row in rows["train"] + rows["test"]:
        if row["language"] == "en" and row["title"] != "nan" and row["subtask2_labels"]:
            seen = tuple(label.strip() for label in row["subtask2_labels"])
            assert seen == labels(kind_of[row["title"]])


def test_titles_of_two_scenes_share_few_words(rows: dict[str, list[dict]]) -> None:
    titles = list({r["image"]: r["title"] for r in rows["test"] if r["language"] == "en"}.values())
    couples = [
        (set(a.lower().split()), set(b.lower().split()))
        for a, b in itertools.combinations(titles, 2)
    ]
    shared = np.mean([2 * len(a & b) / (len(a) + len(b)) for a, b in couples])
    assert shared < 0.3


def test_no_two_pictures_are_alike_and_few_nearly_so(folder: Path) -> None:
    pictures = sorted((folder / "images").iterdir())
    assert len({picture.read_bytes() for picture in pictures}) == TRAIN + TEST
    bits = np.array([imagehash.phash(Image.open(p)).hash.ravel() for p in pictures])
    apart = (bits[:, None] != bits[None]).sum(axis=2) + 64 * np.eye(len(bits), dtype=int)
    assert (apart <= 2).any(axis=1).mean() < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_painted_at_any_size(kind: str) -> None:
    for size in (1, 33, 96):
        rng = np.random.default_rng(size)
        picture = paint(draw_scene(kind, rng), size=size, rng=rng)
        assert picture.size == (size, size)
        assert picture.mode == "RGB"


def test_there_is_a_painter_for_every_kind() -> None:
    assert set(PAINTERS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_colour_of_the_subject_can_be_seen(kind: str) -> None:
    """Painted twice by the same hand in two colours, the pictures differ over a good part."""
    first, second = CHOICES[kind].colours[:2]
    scene = draw_scene(kind, np.random.default_rng(5))
    twins = [
        np.asarray(
            paint(
                Scene(kind, colour, scene.count, scene.sort, scene.setting, scene.light),
                size=64,
                rng=np.random.default_rng(9),
            ),
            dtype=float,
        )
        for colour in (first, second)
    ]
    changed = np.abs(twins[0] - twins[1]).max(axis=2) > 40
    assert changed.mean() > 0.03


def test_pictures_are_smooth_enough_for_a_small_codebook(folder: Path) -> None:
    """Halved and doubled again, a 64-pixel picture keeps 26 dB: there is little fine texture."""
    errors = []
    for path in sorted((folder / "images").iterdir())[:60]:
        picture = Image.open(io.BytesIO(path.read_bytes()))
        half = picture.resize((32, 32), Image.Resampling.BOX)
        again = half.resize((64, 64), Image.Resampling.BICUBIC)
        errors.append(np.mean((np.asarray(picture, float) - np.asarray(again, float)) ** 2))
    assert 10 * np.log10(255**2 / np.mean(errors)) > 26
