"""Splits: whole groups, the shares that were asked for, and little moves when a picture is lost."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.download.rows import open_rows
from pipeline.download.splits import split_groups

MANY = {f"{n:03d}": f"{n:03d}" for n in range(400)}


def deal(
    groups: dict[str, str],
    seed: int = 1,
    captioned: set[str] | None = None,
    test_share: float = 0.2,
) -> dict[str, str]:
    """Split pictures that belong to groups, each called after one of its pictures."""
    first: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder, open_rows(Path(folder)) as rows:
        rows.execute("INSERT INTO file (part) VALUES ('train')")
        for picture, (name, group) in enumerate(groups.items()):
            alike = first.setdefault(group, picture)
            has_caption = captioned is None or name in captioned
            rows.execute("INSERT INTO picture VALUES (?, ?, '', 0, ?, '')", (picture, name, alike))
            rows.execute(
                "INSERT INTO record (file, picture, reason, caption) VALUES (1, ?, '', ?)",
                (picture, "A ship" if has_caption else ""),
            )
        split_groups(rows, val_share=0.1, test_share=test_share, seed=seed)
        return dict(rows.execute("SELECT name, split FROM picture ORDER BY picture"))


def test_each_side_gets_its_share() -> None:
    assert Counter(deal(MANY).values()) == {"train": 280, "val": 40, "test": 80}


def test_pictures_with_and_without_a_caption_are_dealt_apart() -> None:
    captioned = set(list(MANY)[:100])
    sides = deal(MANY, captioned=captioned)
    assert Counter(sides[p] for p in captioned) == {"train": 70, "val": 10, "test": 20}


def test_the_seed_chooses_and_the_order_does_not() -> None:
    assert deal(MANY) == deal(dict(reversed(MANY.items())))
    assert deal(MANY) != deal(MANY, seed=2)


def test_a_lost_picture_moves_hardly_any_other() -> None:
    fewer = {p: g for p, g in MANY.items() if p not in ("007", "123", "200")}
    before, after = deal(MANY), deal(fewer)
    assert sum(before[p] != after[p] for p in fewer) <= 6


def test_three_pictures_are_enough_for_three_sides() -> None:
    assert set(deal({"a": "a", "b": "b", "c": "c"}).values()) == {"train", "val", "test"}


def test_without_a_share_a_side_is_empty() -> None:
    sides = deal(MANY, test_share=0.0)
    assert set(sides.values()) == {"train", "val"}


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1), st.sampled_from("abcdefgh"), max_size=60), st.integers()
)
def test_no_group_is_on_two_sides(groups: dict[str, str], seed: int) -> None:
    sides = deal(groups, seed=seed, captioned=set(list(groups)[::2]))
    assert set(sides) == set(groups)
    for group in set(groups.values()):
        assert len({sides[p] for p, g in groups.items() if g == group}) == 1
