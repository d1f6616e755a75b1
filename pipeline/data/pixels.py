"""Pictures at the size that a model reads, mapped into memory: decoded once, never held whole.

A folder holds

- `00000.npy`, `00001.npy`, …: uint8 (N, S, S, 3), the pictures of the shard of that number;
- `names.npy`: the names of all pictures, sorted, and `rows.npy`: the row of each, counted through
  the shards;
- `manifest.json`: the side S, how many pictures each shard has, and the files' checksums. That of a
  shard is looked at when the first of its pictures is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import DTypeLike

from pipeline.errors import UserError
from pipeline.sealing import check_file, read_manifest, seal_folder

NAMES, ROWS = "names.npy", "rows.npy"
MAPPED = 64  # shards at a time: each takes one of the files that a process may have open
LOOKED_UP = 65_536  # names at a time


class Pixels:
    """The pictures of such a folder, by their rows."""

    def __init__(
        self, folder: Path, *, size: int, counts: Sequence[int], checksums: Mapping[str, str]
    ) -> None:
        """`open` is what to call.

        Args:
            counts: how many pictures each shard has.
            checksums: of each file.
        """
        self.folder, self.size, self._checksums = folder, size, checksums
        self._ends = np.cumsum(counts, dtype=np.int64)
        self._names, self._rows = self._index(NAMES, "S"), self._index(ROWS, "i")
        if not len(self) == len(self._names) == len(self._rows):
            raise UserError(f"{folder}: damaged (pictures and names differ in number)")
        self._maps: dict[int, np.ndarray] = {}  # the one that was read last at the end
        self._checked: set[int] = set()

    @classmethod
    def open(cls, folder: Path | str, size: int) -> Pixels:
        """Open what `resize_images` made.

        Args:
            size: that its pictures are expected to have, a side in pixels.

        Raises:
            UserError: it is missing, damaged, or of another size.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; resize_images makes it")
        facts = read_manifest(folder)
        try:
            found, counts = int(facts["size"]), [int(count) for count in facts["shards"]]
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{folder}: no pixels; run resize_images again") from None
        if found != size:
            raise UserError(
                f"{folder}: pictures of {found} pixels, expected {size}; run resize_images again"
            )
        return cls(folder, size=size, counts=counts, checksums=facts["files"])

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def rows(self, names: Iterable[str]) -> np.ndarray:
        """The rows of these pictures, int64 (N,).

        Raises:
            UserError: one is not there.
        """
        names, found = iter(names), [np.empty(0, np.int64)]
        while some := list(islice(names, LOOKED_UP)):
            found.append(self._find(some))
        return np.concatenate(found)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """The pictures in these rows, uint8 (N, S, S, 3).

        Raises:
            UserError: a shard that they are in is missing or damaged.
        """
        found = np.empty((len(rows), self.size, self.size, 3), dtype=np.uint8)
        shards = np.searchsorted(self._ends, rows, side="right")
        for number in np.unique(shards).tolist():
            here = np.flatnonzero(shards == number)
            pictures = self._shard(number)
            found[here] = pictures[rows[here] - (self._ends[number] - len(pictures))]
        return found

    def _find(self, names: Sequence[str]) -> np.ndarray:
        wanted = np.array([name.encode() for name in names])
        # Compared in another width than their own, numpy would copy the names of all pictures.
        fitting = wanted.astype(self._names.dtype)
        places = np.searchsorted(self._names, fitting)
        places[places == len(self._names)] = 0
        missing = self._names[places] != wanted
        if missing.any():
            name = names[int(missing.argmax())]
            raise UserError(f"{self.folder}: no picture {name}; run resize_images again")
        return self._rows[places].astype(np.int64)

    def _index(self, name: str, kind: str) -> np.ndarray:
        self._check(name)
        index = _mapped(self.folder / name)
        if index.dtype.kind != kind or index.ndim != 1:
            raise UserError(f"{self.folder / name}: damaged; run resize_images again")
        return index

    def _check(self, name: str) -> None:
        check_file(self.folder / name, self._checksums.get(name, ""))

    def _shard(self, number: int) -> np.ndarray:
        pictures = self._maps.pop(number, None)
        if pictures is None:
            name = shard_name(number)
            if number not in self._checked:
                self._check(name)
                self._checked.add(number)
            pictures = _mapped(self.folder / name)
            count = int(self._ends[number] - (self._ends[number - 1] if number else 0))
            if pictures.shape != (count, self.size, self.size, 3):
                raise UserError(f"{self.folder / name}: damaged; run resize_images again")
        self._maps[number] = pictures
        if len(self._maps) > MAPPED:
            del self._maps[next(iter(self._maps))]
        return pictures


def shard_name(number: int) -> str:
    """The file of a shard's pictures."""
    return f"{number:05d}.npy"


def seal_pixels(folder: Path, names: np.ndarray, *, counts: Sequence[int], size: int) -> None:
    """Write what makes a folder of `.npy` shards one of `Pixels`.

    Args:
        names: of the pictures of all shards, (N,) bytes, in their order; no name comes twice.
        counts: how many pictures each shard has.
        size: their side in pixels.
    """
    rows = np.argsort(names, kind="stable")
    with (folder / NAMES).open("wb") as stream:
        start_array(stream, names.dtype, names.shape)
        for first in range(0, len(rows), LOOKED_UP):  # sorted, all would be in memory
            stream.write(names[rows[first : first + LOOKED_UP]].tobytes())
    save_array(folder / ROWS, rows.astype(np.int32 if len(rows) < 2**31 else np.int64))
    seal_folder(folder, size=size, shards=list(counts))


def save_array(path: Path, array: np.ndarray) -> None:
    """`numpy.save`, which would not say that it is the disk that is full."""
    with path.open("wb") as stream:
        start_array(stream, array.dtype, array.shape)
        stream.write(np.ascontiguousarray(array).data)


def start_array(stream: BinaryIO, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
    """Write what stands before the elements in an `.npy` file."""
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)


def _mapped(path: Path) -> np.ndarray:
    try:
        return np.asarray(np.lib.format.open_memmap(path, mode="r"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run resize_images again") from None
    except ValueError:
        raise UserError(f"{path}: damaged; run resize_images again") from None
