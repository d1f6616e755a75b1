"""The table of pairs: written and read back, the same bytes each time."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.pairs import Pair, Picked, captioned, of_split, read_pairs, write_pairs
from pipeline.errors import UserError

PAIRS = [
    Pair(3, "a.jpg", "train", "A ship\u2028at sea", "Of ships.", "A ship", "YES", ("ship", "sea")),
    Pair(7, "b.jpg", "test", "", "Ein Käse.", "", "NO", ()),
]


def test_pairs_come_back_as_they_were_in_the_order_of_their_ids(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs.jsonl", PAIRS)
    assert list(read_pairs(tmp_path / "pairs.jsonl")) == PAIRS
    for wrong in (PAIRS[::-1], [PAIRS[0], PAIRS[0]]):
        with pytest.raises(ValueError, match="comes behind"):
            write_pairs(tmp_path / "wrong.jsonl", wrong)


@pytest.mark.parametrize("in_a_file", [False, True])
def test_pairs_are_chosen_by_split_and_caption(tmp_path: Path, in_a_file: bool) -> None:
    pairs: Sequence[Pair] = PAIRS
    if in_a_file:
        write_pairs(tmp_path / "pairs.jsonl", PAIRS)
        pairs = read_pairs(tmp_path / "pairs.jsonl")
    assert list(captioned(pairs)) == list(captioned(pairs, "train")) == [PAIRS[0]]
    assert list(captioned(pairs, "test")) == list(of_split(pairs, "val")) == []
    assert list(of_split(pairs, "test")) == [PAIRS[1]]


def test_a_table_and_what_is_picked_from_it_are_read_like_lists(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs.jsonl", PAIRS)
    table, listed = read_pairs(tmp_path / "pairs.jsonl"), PAIRS
    picked = Picked(table, np.array([1, 0, 1]))
    for pairs, wanted in ((table, listed), (picked, [PAIRS[1], PAIRS[0], PAIRS[1]])):
        assert len(pairs) == len(wanted)
        assert [pairs[0], pairs[-1]] == [wanted[0], wanted[-1]]
        assert list(pairs[1:]) == wanted[1:]
        with pytest.raises(IndexError):
            pairs[len(wanted)]


def test_a_table_takes_few_bytes_of_each_pair(tmp_path: Path) -> None:
    many = [dataclasses.replace(PAIRS[0], id=row, text="word " * 200) for row in range(5000)]
    write_pairs(tmp_path / "pairs.jsonl", many)
    tracemalloc.start()
    table = read_pairs(tmp_path / "pairs.jsonl")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 40 * len(table)


@pytest.mark.parametrize(
    "text",
    ["nonsense\n", "[]\n", '{"id": 1}\n', '{"id": 1, "image": "a", "split": "dev"}\n', "\xff"],
)
def test_a_file_that_is_no_table_fails_with_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"pairs\.jsonl"):
        read_pairs(path)


def test_a_missing_table_names_the_stage_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the download stage makes it"):
        read_pairs(tmp_path / "none.jsonl")
