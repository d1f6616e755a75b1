"""The code store: an LMDB file of code grids and of whose they are, read in place.

One file, no lock file. An entry holds 1,024 records (the last one what is left), for looking a key
up costs more than copying a grid: the codes, row after row, as little-endian unsigned integers of
the smallest type that holds `n_embed` of them; then the pairs' ids, as `<i8`; the views, as `<u2`;
their shifts, as two `<i2`; where each name ends, as `<u4`; the pictures' file names in UTF-8. Keys
are the entries' numbers, four bytes big-endian, so that LMDB's order is the rows' order; the key
`meta` holds the header, as JSON. Behind LMDB's last page stands a CRC-32 of all before it, checked
when the file is opened: LMDB follows whatever its pages say, so a flipped bit in them could end the
process.
"""

from __future__ import annotations

import json
import threading
import weakref
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import lmdb
import numpy as np

from pipeline.errors import UserError
from pipeline.files import remove, replacing

FORMAT, VERSION = "codebrush codes", 5
META = b"meta"  # sorts behind every entry: as a number it is 1.8 thousand million
CHECKSUM = 4  # bytes, at the end of the file
BLOCK = 1 << 20  # bytes summed at a time
ROWS = 1024  # of an entry: few enough for what is packed at a time to stay in the cache
IDS, VIEWS, SHIFTS = np.dtype("<i8"), np.dtype("<u2"), np.dtype(("<i2", (2,)))
ENDS = np.dtype("<u4")  # of names, in bytes from the first one
MAP_GROWTH = 4  # the map grows by this factor; it is address space and sparse file, not memory
FIRST_MAP = 1 << 24


class Record(NamedTuple):
    """One grid of codes, and what it is of.

    Attributes:
        codes: (h, w) of any integer type.
        filename: of the picture, in its shard.
        id: of the pair whose picture and caption were encoded.
        view: 0 for the picture as it is, 1 and up for shifted ones.
        shift: of the view, in pixels down and to the right.
    """

    codes: np.ndarray
    filename: str
    id: int
    view: int = 0
    shift: tuple[int, int] = (0, 0)


class CodeStore:
    """A store opened for reading, as often as one likes: stores of one file share its map.

    It can be copied, sent to another process (which opens the file on its own) and used after a
    fork.

    Attributes:
        path: the file.
        shape: height and width of a grid.
        n_embed: codes in the codebook: a code is in [0, n_embed).
    """

    def __init__(self, path: Path | str) -> None:
        path = Path(path)
        self.path = path
        self._env: lmdb.Environment | None = _shared(path)
        try:
            self._transaction = self._env.begin(buffers=True)
            header = _header(self._transaction.get(META), path)
            self._count = header["count"]
            entries, values = -(-self._count // ROWS), self._transaction.cursor()
            self._entries = [memoryview(value) for _, value in islice(values, entries)]
        except lmdb.Error as error:
            raise UserError(f"{path}: damaged: {error}") from None
        self.shape: tuple[int, int] = header["shape"][0], header["shape"][1]
        self.n_embed = header["n_embed"]
        self._dtype = np.dtype(header["dtype"])
        self._size = self.shape[0] * self.shape[1] * self._dtype.itemsize  # of a grid, in bytes

    @classmethod
    def open(cls, path: Path | str) -> CodeStore:
        """Open a store; the file may be read-only.

        Raises:
            UserError: the file is missing, damaged, or no code store of this version.
        """
        return cls(Path(path))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> tuple[np.ndarray, str]:
        """Codes (h, w) and the picture's file name.

        The codes are a read-only view of the file's map: valid while the store is open.
        """
        entry, place = divmod(self._place(row), ROWS)
        start = place * self._size
        codes = np.frombuffer(self._entries[entry][start : start + self._size], self._dtype)
        parts = self._parts(entry)
        name = parts.names[parts.ends[place - 1] if place else 0 : parts.ends[place]]
        return codes.reshape(self.shape), str(name, "utf-8")

    def __iter__(self) -> Iterator[tuple[np.ndarray, str]]:
        return (self[row] for row in range(len(self)))

    def batch(self, rows: Iterable[int]) -> np.ndarray:
        """The codes of some rows, (len(rows), h, w), as one new array."""
        wanted = np.asarray(rows if isinstance(rows, np.ndarray) else list(rows), dtype=np.int64)
        for outside in wanted[(wanted < -self._count) | (wanted >= self._count)]:
            self._place(int(outside))  # raises
        wanted = wanted % max(1, self._count)  # not in place: it may be the caller's
        size = self._size
        entries, places = np.divmod(wanted, ROWS)
        found = zip(entries.tolist(), (places * size).tolist(), strict=True)
        grids = [self._entries[entry][start : start + size] for entry, start in found]
        return np.frombuffer(bytearray().join(grids), self._dtype).reshape(-1, *self.shape)

    @property
    def ids(self) -> np.ndarray:
        """The id of each record's pair, (len,) int64, in the rows' order."""
        parts = [self._parts(entry).ids for entry in range(len(self._entries))]
        return np.concatenate([np.empty(0, np.int64), *parts])

    @property
    def views(self) -> np.ndarray:
        """Which view of its picture each record is, (len,) int64; 0: as it is."""
        parts = [self._parts(entry).views for entry in range(len(self._entries))]
        return np.concatenate([np.empty(0, np.int64), *parts])

    @property
    def shifts(self) -> np.ndarray:
        """How far each record's view is shifted, pixels down and to the right: (len, 2) int64."""
        parts = [self._parts(entry).shifts for entry in range(len(self._entries))]
        return np.concatenate([np.empty((0, 2), np.int64), *parts])

    def filenames(self) -> Iterator[str]:
        """Yield the pictures' file names, in the rows' order."""
        for entry in range(len(self._entries)):
            yield from self._parts(entry).filenames()

    def records(self) -> Iterator[Record]:
        """What was written, record by record, with copies of the codes."""
        for entry in range(len(self._entries)):
            parts = self._parts(entry)
            first = entry * ROWS
            grids = self.batch(range(first, first + len(parts.ids)))
            columns = parts.ids.tolist(), parts.views.tolist(), map(tuple, parts.shifts.tolist())
            yield from map(Record, grids, parts.filenames(), *columns)

    def _parts(self, entry: int) -> _Parts:
        """What stands behind an entry's codes."""
        rows = min(ROWS, self._count - entry * ROWS)
        start, columns = rows * self._size, []
        for dtype in (IDS, VIEWS, SHIFTS, ENDS):
            columns.append(np.frombuffer(self._entries[entry], dtype, rows, start))
            start += columns[-1].nbytes
        ids, views, shifts, ends = columns
        return _Parts(ids, views, shifts, ends, self._entries[entry][start:])

    def _place(self, row: int) -> int:
        if 0 <= row < self._count:
            return int(row)
        if -self._count <= row < 0:
            return int(row) + self._count
        raise IndexError(f"row {row} of a store of {self._count}")

    def close(self) -> None:
        """Close the file; it has no rows then, and views of its codes must not be used any more."""
        self._count, self._entries = 0, []
        if self._env is not None:
            self._transaction.abort()
            del self._transaction  # it holds the environment, which is closed with its last user
            self._env = None

    def __enter__(self) -> CodeStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return CodeStore.open, (self.path,)

    @staticmethod
    def write(
        path: Path | str,
        records: Iterable[Record],
        *,
        shape: tuple[int, int],
        n_embed: int,
    ) -> int:
        """Write a store; it appears at `path` when it is whole. The same records, the same bytes.

        Args:
            records: taken as they come, so that memory stays flat.

        Returns:
            The number of records.

        Raises:
            UserError: `n_embed` is larger than any integer type here holds.
            ValueError: a record of another shape, or with a code outside of [0, n_embed).
        """
        path, dtype = Path(path), _smallest_dtype(n_embed)
        packed = _packed(records, shape=(shape[0], shape[1]), n_embed=n_embed, dtype=dtype)
        with replacing(path) as aside:
            draft = aside.with_name(aside.name + ".draft")  # uncompacted, as large as its map
            remove(draft)
            try:
                count = _fill(draft, packed, shape=shape, n_embed=n_embed, dtype=dtype)
                _compact(draft, aside)
                with aside.open("ab") as stream:
                    stream.write(_checksum(aside, aside.stat().st_size))
            finally:
                remove(draft)
        return count


def joined(paths: Iterable[Path]) -> Iterator[Record]:
    """The records of several stores, one store after another."""
    for path in paths:
        with CodeStore.open(path) as store:
            yield from store.records()


class _Parts(NamedTuple):
    """An entry without its codes: a value for each record, and all names in one."""

    ids: np.ndarray
    views: np.ndarray
    shifts: np.ndarray
    ends: np.ndarray
    names: memoryview

    def filenames(self) -> Iterator[str]:
        """Yield each name."""
        for start, end in pairwise([0, *self.ends.tolist()]):
            yield str(self.names[start:end], "utf-8")


def _smallest_dtype(n_embed: int) -> np.dtype:
    for name in ("<u1", "<u2", "<u4"):
        if 1 <= n_embed <= np.iinfo(name).max + 1:
            return np.dtype(name)
    raise UserError(f"n_embed is {n_embed}, the code store holds 1 to {1 << 32} codes")


def _packed(
    records: Iterable[Record],
    *,
    shape: tuple[int, int],
    n_embed: int,
    dtype: np.dtype,
) -> Iterator[tuple[int, bytes]]:
    """Check records and pack them; yields for each entry how many it holds, and its bytes."""
    remaining, first = iter(records), 0
    while chunk := list(islice(remaining, ROWS)):
        if {record.codes.shape for record in chunk} != {shape}:
            place = next(i for i, record in enumerate(chunk) if record.codes.shape != shape)
            other = chunk[place].codes.shape
            raise ValueError(f"row {first + place}: codes of shape {other}, expected {shape}")
        grids = np.concatenate([record.codes for record in chunk])  # stacking costs twice as much
        if grids.min() < 0 or grids.max() >= n_embed:
            place = int(((grids < 0) | (grids >= n_embed)).any(axis=1).argmax()) // shape[0]
            wrong = chunk[place].codes
            low, high = wrong.min(), wrong.max()
            raise ValueError(f"row {first + place}: codes from {low} to {high}, n_embed {n_embed}")
        names = [record.filename.encode("utf-8") for record in chunk]
        columns = (
            grids.astype(dtype),
            np.array([record.id for record in chunk], dtype=IDS),
            np.array([record.view for record in chunk], dtype=VIEWS),
            np.array([record.shift for record in chunk], dtype=SHIFTS.base),
            np.cumsum([len(name) for name in names]).astype(ENDS),
        )
        yield len(chunk), b"".join((*(column.tobytes() for column in columns), *names))
        first += len(chunk)


def _checksum(path: Path, size: int) -> bytes:
    """The CRC-32 of a file's first `size` bytes."""
    checksum = 0
    with path.open("rb") as stream:
        while block := stream.read(min(BLOCK, size - stream.tell())):
            checksum = zlib.crc32(block, checksum)
    return checksum.to_bytes(CHECKSUM, "little")


def _fill(
    path: Path,
    packed: Iterator[tuple[int, bytes]],
    *,
    shape: tuple[int, int],
    n_embed: int,
    dtype: np.dtype,
) -> int:
    """Append every entry, then the header; returns the number of records."""
    # What is not yet renamed need not survive a crash: `replacing` syncs the compacted copy.
    env = lmdb.open(
        str(path), subdir=False, lock=False, map_size=FIRST_MAP, sync=False, metasync=False
    )
    with env:
        count = 0
        for entry, (rows, value) in enumerate(packed):
            _put(env, entry.to_bytes(4, "big"), value)
            count += rows
        header = {
            "format": FORMAT,
            "version": VERSION,
            "count": count,
            "dtype": dtype.str,
            "n_embed": n_embed,
            "shape": list(shape),
        }
        _put(env, META, json.dumps(header, sort_keys=True).encode())
    return count


def _put(env: lmdb.Environment, key: bytes, value: bytes) -> None:
    while True:
        try:
            with env.begin(write=True) as transaction:
                transaction.put(key, value, append=True)
            return
        except lmdb.MapFullError:  # the transaction is undone
            env.set_mapsize(env.info()["map_size"] * MAP_GROWTH)


def _compact(draft: Path, path: Path) -> None:
    """Copy without free pages or traces of the draft's map: the bytes depend on the rows alone."""
    # LMDB writes the map's size into the first pages, and that grew as the records came.
    size = max(FIRST_MAP, 1 << (draft.stat().st_size - 1).bit_length())
    with lmdb.open(str(draft), subdir=False, lock=False, map_size=size) as env:
        env.copy(str(path), compact=True)


# LMDB refuses to open a file twice in a process, and in a forked one, which has its parent's map
# and may read it. So the stores of one file (its device and inode) share one environment, which is
# closed when the last of them lets go of it.
_SHARED: weakref.WeakValueDictionary[tuple[int, int], Any] = weakref.WeakValueDictionary()
_SHARED_LOCK = threading.Lock()


def _shared(path: Path) -> lmdb.Environment:
    with _SHARED_LOCK:
        env = _SHARED.get(_identity(path)) if path.is_file() else None
        if env is None:
            env = _open(path)
            _SHARED[_identity(path)] = env
        return env


def _identity(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_dev, about.st_ino


def _open(path: Path) -> lmdb.Environment:
    if not path.is_file():
        raise UserError(f"{path}: no such code store; dump_codes makes it")
    body = max(0, path.stat().st_size - CHECKSUM)
    with path.open("rb") as stream:
        stream.seek(body)
        whole = stream.read() == _checksum(path, body)
    if not whole:
        raise UserError(f"{path}: damaged, or no code store; dump_codes makes it again")
    try:
        # map_size 0: as large as the file says. Random reads gain nothing from reading ahead.
        return lmdb.open(
            str(path), subdir=False, lock=False, readonly=True, readahead=False, map_size=0
        )
    except lmdb.Error as error:
        raise UserError(f"{path}: cannot be read as a code store: {error}") from None


def _header(record: memoryview | None, path: Path) -> dict[str, Any]:
    try:
        header = json.loads(bytes(record or b""))
        kind = header["format"], header["version"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: an LMDB file, but no code store") from None
    if kind != (FORMAT, VERSION):
        raise UserError(f"{path}: {kind[0]} {kind[1]}, expected {FORMAT} {VERSION}")
    return header
