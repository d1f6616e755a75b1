"""The table of pairs: a picture, a text beside it, and what the picture may be painted from."""

from __future__ import annotations

import json
import mmap
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, overload

import numpy as np

from pipeline.errors import UserError
from pipeline.sealing import CHECKSUM, read_rows, write_rows

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Pair:
    """One kept row of a source.

    Attributes:
        id: unique in the table.
        image: its name in the shards of pictures; several pairs may share it.
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


def write_pairs(path: Path | str, pairs: Collection[Pair]) -> None:
    """Write pairs, which come in the order of their ids, as JSON Lines.

    Raises:
        ValueError: they come in another order.
    """
    columns = [field.name for field in fields(Pair)]
    rows = ({name: getattr(pair, name) for name in columns} for pair in _in_order(pairs))
    write_rows(Path(path), rows, count=len(pairs))


def _in_order(pairs: Iterable[Pair]) -> Iterator[Pair]:
    last = -1
    for pair in pairs:
        if pair.id <= last:
            raise ValueError(f"pair {pair.id} comes behind pair {last}")
        yield pair
        last = pair.id


class PairTable(Sequence[Pair]):
    """Pairs in a file, or some of them: in memory is what they are chosen by, some 20 bytes each.

    A pair itself is read from the file, which is mapped, whenever it is asked for.

    Args:
        columns: of the file.
        rows: (N,) int64, which of the file's pairs these are.
    """

    def __init__(self, columns: _Columns, rows: np.ndarray) -> None:
        self._columns, self._rows = columns, rows

    def where(self, *, split: str | None, captioned: bool) -> PairTable:
        """Those of a split (None: of all); with `captioned` only those that have a caption."""
        columns, kept = self._columns, np.full(len(self), True)
        if split is not None:
            kept &= columns.splits[self._rows] == SPLITS.index(split)
        if captioned:
            kept &= columns.has_caption[self._rows]
        return PairTable(columns, self._rows[kept])

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, row: int) -> Pair: ...
    @overload
    def __getitem__(self, row: slice) -> PairTable: ...
    def __getitem__(self, row: int | slice) -> Pair | PairTable:
        if isinstance(row, slice):
            return PairTable(self._columns, self._rows[row])
        return self._columns.pair(int(self._rows[row]))

    def __iter__(self) -> Iterator[Pair]:
        return map(self._columns.pair, self._rows)


@dataclass(frozen=True)
class _Columns:
    """A file's bytes, and of each line where it starts and what a pair is chosen by."""

    data: mmap.mmap | bytes
    starts: np.ndarray
    splits: np.ndarray
    has_caption: np.ndarray

    def pair(self, row: int) -> Pair:
        start, end = self.starts[row : row + 2]
        record = json.loads(self.data[start:end].decode("utf-8"))
        del record[CHECKSUM]  # `read_pairs` has checked it
        return _pair(record)


def read_pairs(path: Path | str) -> PairTable:
    """Open what `write_pairs` wrote; every row is checked.

    Raises:
        UserError: the file is missing or damaged, or a line of it is not a pair.
    """
    path = Path(path)
    names = {field.name for field in fields(Pair)}
    starts, splits, has_caption = array("q"), bytearray(), bytearray()
    try:
        for place, record in read_rows(path):
            if set(record) != names:
                raise UserError(f"{place}: expected the keys {', '.join(sorted(names))}")
            if (split := record["split"]) not in SPLITS:
                raise UserError(f"{place}: split = {split!r}: allowed are {', '.join(SPLITS)}")
            starts.append(place.start)
            splits.append(SPLITS.index(split))
            has_caption.append(bool(record["caption"]))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; the download stage makes it") from None
    starts.append(path.stat().st_size)
    with path.open("rb") as stream:
        data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if splits else b""
    columns = _Columns(
        data=data,
        starts=np.array(starts),
        splits=np.frombuffer(splits, np.uint8),
        has_caption=np.frombuffer(has_caption, bool),
    )
    return PairTable(columns, np.arange(len(splits)))


def _pair(record: dict[str, Any]) -> Pair:
    return Pair(**{**record, "objects": tuple(record["objects"])})


def captioned(pairs: Sequence[Pair], split: str | None = None) -> Sequence[Pair]:
    """The pairs of a split (None: of all) that have a caption to paint from."""
    if isinstance(pairs, PairTable):
        return pairs.where(split=split, captioned=True)
    return [pair for pair in pairs if pair.caption and split in (None, pair.split)]


def of_split(pairs: Sequence[Pair], split: str) -> Sequence[Pair]:
    """The pairs of a split, those without a caption too."""
    if isinstance(pairs, PairTable):
        return pairs.where(split=split, captioned=False)
    return [pair for pair in pairs if pair.split == split]


class Picked(Sequence[Pair]):
    """Some of other pairs, in an order of their own, each read when it is asked for.

    Args:
        rows: (N,) int64, which of them.
    """

    def __init__(self, pairs: Sequence[Pair], rows: np.ndarray) -> None:
        self._pairs, self._rows = pairs, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, row: int) -> Pair: ...
    @overload
    def __getitem__(self, row: slice) -> Picked: ...
    def __getitem__(self, row: int | slice) -> Pair | Picked:
        if isinstance(row, slice):
            return Picked(self._pairs, self._rows[row])
        return self._pairs[int(self._rows[row])]


class TextsOf:
    """Every caption and passage of pairs, to be iterated over as often as one likes."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = pairs

    def __iter__(self) -> Iterator[str]:
        return (text for pair in self._pairs for text in (pair.caption, pair.text) if text)
