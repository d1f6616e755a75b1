"""Which pictures are for training, validation, test: whole groups, no picture on two sides."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator

DEALT = """
CREATE TABLE dealt (                -- groups of near-duplicates
    alike INTEGER PRIMARY KEY, size INTEGER, captioned INTEGER, turn TEXT, split TEXT
)
"""


def split_groups(
    rows: sqlite3.Connection, *, val_share: float, test_share: float, seed: int
) -> None:
    """Deal the training file's pictures out to "train", "val" and "test"; the test file's are test.

    A group goes to one side as a whole. Groups are dealt by a hash of the seed and their name, so a
    picture that was lost moves hardly any other; those with a caption and those without are dealt
    apart, so that each side gets its share of both.

    Args:
        rows: see `open_rows`; of a group either the training file or the test file has pictures.
        val_share, test_share: of the pictures, in [0, 1).
        seed: any integer.
    """
    rows.execute(DEALT)
    rows.execute(
        """
        INSERT INTO dealt (alike, size, captioned, turn)
        SELECT of_it.alike, count(DISTINCT of_it.picture), max(caption != ''),
            shuffle_key(?, (SELECT name FROM picture WHERE picture.picture = of_it.alike))
        FROM kept JOIN picture AS of_it USING (picture) WHERE part = 'train' GROUP BY of_it.alike
        """,
        (str(seed),),  # any integer, and SQLite's have 64 bits
    )
    for captioned in (1, 0):
        of_these = "FROM dealt WHERE captioned = ?"
        count, pictures = rows.execute(
            f"SELECT count(*), total(size) {of_these}", (captioned,)
        ).fetchone()
        groups = rows.execute(f"SELECT alike, size {of_these} ORDER BY turn", (captioned,))
        # With three groups or more, no side that has a share stays empty.
        least = 1.0 if count >= 3 else 0.0
        shares = {"test": test_share, "val": val_share}
        wanted = {side: max(share * pictures, least) for side, share in shares.items() if share}
        rows.executemany("UPDATE dealt SET split = ? WHERE alike = ?", _dealt(groups, wanted))
    rows.execute(
        """
        UPDATE picture SET split = coalesce(
            (SELECT split FROM dealt WHERE dealt.alike = picture.alike), 'test')
        """
    )
    rows.execute("DROP TABLE dealt")


def _dealt(
    groups: Iterable[tuple[int, int]], wanted: dict[str, float]
) -> Iterator[tuple[str, int]]:
    """The side of each group, which takes it if that brings it closer to what it wants."""
    counts = dict.fromkeys(wanted, 0)
    for group, size in groups:
        side = next((s for s in counts if counts[s] + size / 2 <= wanted[s]), "train")
        if side in counts:
            counts[side] += size
        yield side, group


def shuffle_key(seed: int | str, name: str) -> str:
    """A place in an order that looks random, depends on the seed, and on nothing else around."""
    return hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()
