"""Splits: whole groups, the shares that were asked for, and little moves when a picture is lost."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.download.splits import split_groups

MANY = {f"{n:03d}": f"{n:03d}" for n in range(400)}


def deal(
    groups: dict[str, str], seed: int = 1, captioned: set[str] | None = None
) -> dict[str, str]:
    chosen = set(groups) if captioned is None else captioned
    return split_groups(groups, captioned=chosen, val_share=0.1, test_share=0.2, seed=seed)


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
    sides = split_groups(MANY, captioned=set(MANY), val_share=0.1, test_share=0.0, seed=1)
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
