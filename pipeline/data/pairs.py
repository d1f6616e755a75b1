"""The table of pairs: a picture, a text beside it, and what the picture may be painted from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.sealing import read_rows, write_rows

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Pair:
    """One kept row of a source.

    Attributes:
        id: unique in the table.
        image: file name in the images folder; several pairs may share it.
        split: "train", "val" or "test".
        caption: what the picture may be painted from; "" for none. A picture's pairs never repeat a
            caption, so a loop over the pairs that have one meets each (picture, caption) once.
        text: a passage, normalised, which belongs to the picture or not: see `match`.
        title: the picture's title in the row's language; "" for none.
        match: "YES" (text and picture belong together), "NO", or "" for unknown.
        objects: what is in the picture, the main one first.
    """

    id: int
    image: str
    split: str
    caption: str
    text: str
    title: str
    match: str
    objects: tuple[str, ...]

    @property
    def main_object(self) -> str:
        """What the picture is of; "" where that is unknown."""
        return self.objects[0] if self.objects else ""


def write_pairs(path: Path | str, pairs: Iterable[Pair]) -> None:
    """Write pairs as JSON Lines in the order of their ids."""
    path = Path(path)
    write_rows(path, (asdict(pair) for pair in sorted(pairs, key=lambda p: p.id)))


def read_pairs(path: Path | str) -> list[Pair]:
    """Read what `write_pairs` wrote.

    Raises:
        UserError: the file is missing or damaged, or a line of it is not a pair.
    """
    path = Path(path)
    try:
        return [_pair(record, where) for where, record in read_rows(path)]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; the download stage makes it") from None


def _pair(record: dict[str, Any], where: str) -> Pair:
    names = {field.name for field in fields(Pair)}
    if set(record) != names:
        raise UserError(f"{where}: expected the keys {', '.join(sorted(names))}")
    if record["split"] not in SPLITS:
        raise UserError(f"{where}: split = {record['split']!r}: allowed are {', '.join(SPLITS)}")
    return Pair(**{**record, "objects": tuple(record["objects"])})


def captioned(pairs: Iterable[Pair], split: str | None = None) -> list[Pair]:
    """The pairs of a split (None: of all) that have a caption to paint from."""
    return [pair for pair in pairs if pair.caption and split in (None, pair.split)]
