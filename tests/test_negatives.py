"""What matching learns from: a mixture of negatives, and texts that may be true kept out."""

from __future__ import annotations

import pytest
import torch

from pipeline.data.tokenizer import padded, token_ids, train_tokenizer
from pipeline.sample.titles import TITLES, parse
from pipeline.training.blip_data import TextTable
from pipeline.training.blip_settings import NegativeShares
from pipeline.training.negatives import ChangedCaptions, draw_negatives, negative_weights
from pipeline.training.shorter import ShorterCaptions

APPLES = ["Jonathan apples", "Apples", "apples Jonathan", "Red Jonathan apples", "Bosc pears"]
NOTHING = {"even": 0.0, "hard": 0.0, "same_label": 0.0, "changed": 0.0}


def texts(lines: list[str]) -> TextTable:
    return TextTable.of(lines, train_tokenizer(lines * 2, vocab_size=2000, max_length=32))


def weights_of(lines: list[str], doubtful_weight: float) -> torch.Tensor:
    captions = texts(lines)[torch.arange(len(lines))]
    own = torch.eye(len(lines), dtype=torch.bool)
    return negative_weights(captions, captions, own, doubtful_weight=doubtful_weight)


def test_a_batch_of_texts_is_padded_as_if_it_alone_had_been_tokenised():
    tokenizer = train_tokenizer(APPLES, vocab_size=2000, max_length=32)
    table = TextTable.of(iter(APPLES), tokenizer)
    assert table.tokens.dtype == torch.int16
    for rows in ([0, 1, 4], [3, 0, 3], [1], []):
        ids, present = padded(
            token_ids(tokenizer, [APPLES[row] for row in rows]), pad=tokenizer.pad_token_id
        )
        found = table[torch.tensor(rows, dtype=torch.int64)]
        assert torch.equal(found.ids, ids if rows else torch.zeros(0, 1, dtype=torch.int64))
        assert torch.equal(found.present, present if rows else torch.zeros(0, 1).bool())


def test_a_text_that_says_less_or_more_is_doubtful_and_the_same_words_are_no_negative():
    weights = weights_of(APPLES, 0.25)
    assert weights[0].tolist() == [0.0, 0.25, 0.0, 0.25, 1.0]
    assert weights[4].tolist() == [1.0, 1.0, 1.0, 1.0, 0.0]
    assert torch.equal(weights, weights.T)


@pytest.mark.parametrize("sort", ["even", "hard", "same_label"])
def test_no_sort_of_negative_is_one_that_matches_or_may_be_true(sort: str):
    torch.manual_seed(0)
    weights = weights_of(APPLES, 0.0)
    shares = NegativeShares(**{**NOTHING, sort: 1.0})
    same = torch.ones(5, 5, dtype=torch.bool)
    for _ in range(30):
        rows, columns = draw_negatives(torch.randn(5, 5) * 9, weights, same, shares)
        assert rows.tolist() == [0, 1, 2, 3, 4]
        assert (weights[rows, columns] > 0).all()


def test_shares_are_those_of_the_draws():
    torch.manual_seed(0)
    size = 4000
    similarity = torch.tensor([[0.0, 9.0, 0.0, 0.0]]).repeat(size, 1)
    weights = torch.tensor([[0.0, 1.0, 1.0, 1.0]]).repeat(size, 1)
    same = torch.tensor([[True, False, False, True]]).repeat(size, 1)
    shares = NegativeShares(even=3.0, hard=3.0, same_label=6.0, changed=0.0)
    _, columns = draw_negatives(similarity, weights, same, shares)
    found = torch.bincount(columns, minlength=4) / size
    expected = torch.tensor([0.0, 1 / 4 + 1 / 12, 1 / 12, 1 / 2 + 1 / 12])
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0)


def test_a_changed_title_differs_in_little_and_each_change_comes_as_often():
    lines = list(TITLES)
    changed = ChangedCaptions.of(texts(lines), doubtful_weight=1.0)
    own = lines.index("Two red apples on a plate")
    torch.manual_seed(0)
    places, rows = changed.draw(torch.full((600,), own))
    assert len(places) == 600
    scenes = [parse(lines[row]) for row in rows.tolist()]
    assert sum(scene.kind == "fruit" for scene in scenes) > 400
    for name, value in (("count", 2), ("colour", "red"), ("sort", "apple"), ("light", "daylight")):
        assert sum(getattr(scene, name) != value for scene in scenes) > 60, name


def test_changed_captions_are_the_same_every_time_and_never_doubtful_ones_without_weight():
    captions = texts(APPLES)
    first, again = (ChangedCaptions.of(captions, doubtful_weight=0.0) for _ in range(2))
    assert torch.equal(first.table, again.table)
    assert torch.equal(first.weights, again.weights)
    places, _ = first.draw(torch.arange(5))
    assert places.tolist() == []  # all others say less or more, or share no word


@pytest.mark.parametrize("lines", [["Apples"], ["Apples", "Pears"]])
def test_a_set_without_captions_that_share_a_word_has_no_changed_ones(lines: list[str]):
    changed = ChangedCaptions.of(texts(lines), doubtful_weight=1.0)
    assert len(changed.draw(torch.zeros(3, dtype=torch.int64))[0]) == 0


def test_the_shortest_caption_that_is_also_true_is_learned_by_its_share():
    lines = ["Red Jonathan apples", "Apples", "apples", "Jonathan apples", "Bosc pears"]
    shorter = ShorterCaptions.of(texts(lines))
    every = torch.arange(len(lines))
    assert shorter.draw(every, share=1.0).tolist() == [1, 1, 2, 1, 4]
    assert shorter.draw(every, share=0.0).tolist() == every.tolist()
    torch.manual_seed(0)
    drawn = torch.stack([shorter.draw(every, share=0.5) for _ in range(400)])
    assert (drawn[:, 0] == 1).float().mean() == pytest.approx(0.5, abs=0.1)
