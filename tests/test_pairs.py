"""The table of pairs: written and read back, the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.data.pairs import Pair, captioned, read_pairs, write_pairs
from pipeline.errors import UserError

PAIRS = [
    Pair(7, "b.jpg", "test", "", "Ein Käse.", "", "NO", ()),
    Pair(3, "a.jpg", "train", "A ship\u2028at sea", "Of ships.", "A ship", "YES", ("ship", "sea")),
]


def test_pairs_come_back_as_they_were_in_the_order_of_their_ids(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs.jsonl", PAIRS)
    assert read_pairs(tmp_path / "pairs.jsonl") == PAIRS[::-1]
    written = (tmp_path / "pairs.jsonl").read_bytes()
    write_pairs(tmp_path / "pairs.jsonl", PAIRS[::-1])
    assert (tmp_path / "pairs.jsonl").read_bytes() == written


def test_only_pairs_with_a_caption_are_captioned() -> None:
    assert captioned(PAIRS) == [PAIRS[1]]
    assert captioned(PAIRS, "test") == []


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
