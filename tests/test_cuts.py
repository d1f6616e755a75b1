"""Shards that an added entry hardly moves."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.cuts import LONGEST, SHORTEST, shards


def test_shards_are_all_of_a_list_in_order_and_none_too_long_or_short():
    found = list(shards(str(n) for n in range(50_000)))
    assert [n for places in found for n in places] == list(range(50_000))
    assert all(SHORTEST <= len(places) <= LONGEST for places in found[:-1])
    assert 8 <= len(found) <= 20
    assert all(before.stop == after.start for before, after in pairwise(found))


def test_an_empty_list_has_no_shards_and_a_short_one_has_one():
    assert list(shards([])) == []
    assert list(shards(["a", "b"])) == [range(2)]


@settings(max_examples=20, deadline=None)
@given(place=st.integers(0, 30_000))
def test_an_added_entry_changes_few_shards(place: int):
    keys = [str(n) for n in range(30_000)]
    before = {tuple(keys[n] for n in places) for places in shards(keys)}
    keys.insert(place, "added")
    after = {tuple(keys[n] for n in places) for places in shards(keys)}
    assert len(after - before) <= 4
