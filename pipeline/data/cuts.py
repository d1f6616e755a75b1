"""Where a long list is cut into shards: at places that its own entries choose.

An entry that is added, or taken away, changes the shard that it is in, at most a few behind it, and
no other: content-defined chunking (https://doi.org/10.1145/502034.502052, section 3.1). So adding
pictures to a million makes few files new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

SHORTEST, LONGEST = 2048, 8192  # entries of a shard, the last one aside; 4,000 on average


def shards(keys: Iterable[str], *, finer: int = 1) -> Iterator[range]:
    """Yield the places of each shard, one after another, together all of `keys`.

    Args:
        keys: what tells the entries apart; the same keys give the same cuts. No more of them are
            taken than the shard has that is yielded.
        finer: how many times shorter than usual the shards are.
    """
    shortest, longest = SHORTEST // finer, LONGEST // finer
    start = end = 0
    for end, key in enumerate(keys, start=1):
        length = end - start
        if length == longest or (length >= shortest and _cuts_behind(key, shortest)):
            yield range(start, end)
            start = end
    if end > start:
        yield range(start, end)


def _cuts_behind(key: str, one_in: int) -> bool:
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % one_in == 0
