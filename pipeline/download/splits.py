"""Which pictures are for training, validation, test: whole groups, no picture on two sides."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping


def split_groups(
    groups: Mapping[str, str],
    *,
    captioned: Collection[str],
    val_share: float,
    test_share: float,
    seed: int,
) -> dict[str, str]:
    """Deal pictures out to "train", "val" and "test".

    A group goes to one side as a whole. Groups are dealt by a hash of the seed and their name, so a
    picture that was lost moves hardly any other; those with a caption and those without are dealt
    apart, so that each side gets its share of both.

    Args:
        groups: picture → its group's name.
        captioned: the pictures that have a caption.
        val_share, test_share: of the pictures, in [0, 1).
        seed: any integer.

    Returns:
        picture → split.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for picture, group in groups.items():
        members[group].append(picture)
    splits = {}
    for has_caption in (True, False):
        dealt = [g for g in members if any(p in captioned for p in members[g]) is has_caption]
        dealt.sort(key=lambda group: shuffle_key(seed, group))
        total = sum(len(members[group]) for group in dealt)
        # With three groups or more, no side that has a share stays empty.
        least = 1.0 if len(dealt) >= 3 else 0.0
        shares = {"test": test_share, "val": val_share}
        wanted = {side: max(share * total, least) for side, share in shares.items() if share}
        counts = dict.fromkeys(wanted, 0)
        for group in dealt:
            size = len(members[group])
            # A side takes a group if that brings it closer to its share.
            side = next((s for s in counts if counts[s] + size / 2 <= wanted[s]), "train")
            if side in counts:
                counts[side] += size
            splits.update(dict.fromkeys(members[group], side))
    return splits


def shuffle_key(seed: int, name: str) -> str:
    """A place in an order that looks random, depends on the seed, and on nothing else around."""
    return hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()
