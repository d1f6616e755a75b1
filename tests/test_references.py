"""Real pictures of the same prompts, and texts that are wrong in one thing alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pipeline.data.pairs import Pair
from pipeline.evaluation.hard_negatives import changed_titles, hard_negatives, other_captions
from pipeline.evaluation.references import (
    first_of_captions,
    fresh_references,
    matched_references,
)
from pipeline.sample.titles import TITLES, parse


def darker(images: np.ndarray, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Stands for the two decoders: one paints darker, the other numbers what it draws."""
    assert len(images) == len(texts)
    numbers = np.arange(len(images), dtype=np.uint8)[:, None, None, None]
    return images // 2, np.broadcast_to(numbers, images.shape)


def only_darker(images: np.ndarray, texts: Sequence[str]) -> tuple[np.ndarray, None]:
    """The same where the flow decoder is not asked."""
    return darker(images, texts)[0], None


def pair(number: int, split: str, caption: str, label: str) -> Pair:
    return Pair(number, f"{number}.png", split, caption, "", caption, "YES", (label,))


def test_fresh_pictures_are_two_of_each_title_and_differ() -> None:
    titles = list(TITLES[:3])
    found = fresh_references(titles, darker, size=32, image_size=32, seed=1)
    assert found.real.shape == found.other.shape == (3, 32, 32, 3)
    assert not np.array_equal(found.real, found.other)
    assert list(found.labels) == [parse(title).kind for title in titles]
    assert np.array_equal(found.other_decoded, found.other // 2)
    assert found.real_redrawn is not None
    assert found.other_redrawn is not None
    drawn = np.concatenate([found.real_redrawn, found.other_redrawn])
    assert drawn[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]  # no two share their noise
    assert found.real_repainted is found.real_redrawn
    again = fresh_references(titles, only_darker, size=32, image_size=32, seed=1)
    assert np.array_equal(again.real, found.real)
    assert again.real_redrawn is None
    assert again.real_repainted is again.real_decoded


def test_matched_pictures_have_the_caption_or_else_the_label() -> None:
    test = [pair(0, "test", "red apple", "apple"), pair(1, "test", "old pear", "pear")]
    train = [
        pair(2, "train", "green apple", "apple"), pair(3, "train", "red apple", "apple"),
        pair(4, "train", "new pear", "pear"), pair(5, "train", "a plum", "plum"),
    ]  # fmt: skip
    pictures = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 4, 4, 3)
    found = matched_references(
        ["old pear", "red apple"], darker, test=test, test_images=pictures[:2], train=train,
        train_images=pictures[2:], seed=0,
    )  # fmt: skip
    assert found.real[:, 0, 0, 0].tolist() == [1, 0]
    assert found.other[:, 0, 0, 0].tolist() == [4, 3]
    assert list(found.labels) == ["pear", "apple"]
    assert found.same_prompt == 0.5


def test_changed_titles_differ_in_one_attribute_alone() -> None:
    titles = ["Two red birds perched at dawn", "Blue ship in a storm at night"]
    near = changed_titles(titles)
    assert set(near) == {"colour", "count", "setting", "light"}
    assert {text for row, text in near["count"] if row == 0} == {
        "A red bird perched at dawn", "Three red birds perched at dawn",
    }  # fmt: skip
    assert all(parse(text).kind == parse(titles[row]).kind for row, text in near["colour"])


def test_other_captions_are_of_the_same_label_or_of_another() -> None:
    near = other_captions(["a", "b", "c"], ["x", "x", "y"], seed=0)
    assert near["same_label"] == [(0, "b"), (1, "a")]
    assert [row for row, _ in near["other_label"]] == [0, 1, 2]


class Counts:
    """Stands for a BLIP that tells kinds of text by their first letter, and no more."""

    def match(self, images: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        pairs = zip(images.tolist(), texts, strict=True)
        return np.array([0.9 if text[0] == chr(i) else 0.1 for i, text in pairs])


def test_what_a_model_cannot_see_it_calls_matched() -> None:
    images = np.array([ord("a"), ord("b")] * 15)
    captions = ["a1", "b1"] * 15
    wrong = {
        "number": [(row, f"{caption[0]}2") for row, caption in enumerate(captions)],
        "letter": [(row, "c1") for row in range(30)],
    }
    blip = Counts()
    found = dict(hard_negatives(blip, images, captions, wrong, threshold=0.5))  # type: ignore[arg-type]
    assert found["number.called_matched"] == 1.0
    assert found["number.ranked_first"] == 0.0
    assert found["letter.called_matched"] == 0.0
    assert found["letter.ranked_first"] == 1.0
    assert found["number.n"] == 30


def test_the_first_pair_of_each_caption_is_found() -> None:
    pairs = [pair(row, "test", caption, "ship") for row, caption in enumerate("abacb")]
    assert first_of_captions(pairs, ["c", "a"]).tolist() == [3, 0]
