"""The code store: an LMDB file of code grids with their pictures' names, read in place.

One file, no lock file. Keys are row numbers, four bytes big-endian, so that LMDB's order is the
rows' order; the key `meta` holds the header, as JSON. A record is the codes as little-endian
unsigned integers of the smallest type that holds `n_embed` of them, then the file name in UTF-8.
Behind LMDB's last page stands a CRC-32 of all before it, checked when the file is opened: LMDB
follows whatever its pages say, so a flipped bit in them could end the process.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import lmdb
import numpy as np

from pipeline.errors import UserError
from pipeline.files import remove, replacing

FORMAT, VERSION = "codebrush codes", 2
META = b"meta"  # sorts behind every row number: 0x6d656d61 is 1.8 thousand million
MAX_ROWS = int.from_bytes(META, "big")
CHECKSUM = 4  # bytes, at the end of the file
BLOCK = 1 << 20  # bytes summed at a time
CHUNK = 1024  # records packed and put at a time: few enough for their grids to stay in the cache
MAP_GROWTH = 4  # the map grows by this factor; it is address space and sparse file, not memory
FIRST_MAP = 1 << 24


class CodeStore:
    """A store opened for reading; every worker process opens it on its own, from its path.

    Attributes:
        path: the file.
        shape: height and width of a grid.
        n_embed: codes in the codebook: a code is in [0, n_embed).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._env = _open(path)
        try:
            self._transaction = self._env.begin(buffers=True)
            self._get: Callable[[bytes], Any] = self._transaction.get  # None: no such key
            header = _header(self._get(META), path)
        except lmdb.Error as error:
            raise UserError(f"{path}: damaged: {error}") from None
        self.shape: tuple[int, int] = header["shape"][0], header["shape"][1]
        self.n_embed, self._count = header["n_embed"], header["count"]
        self._dtype = np.dtype(header["dtype"])
        self._codes_end = self.shape[0] * self.shape[1] * self._dtype.itemsize

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
        record = self._record(row)
        codes = np.frombuffer(record[: self._codes_end], self._dtype)
        return codes.reshape(self.shape), _name(record[self._codes_end :])

    def __iter__(self) -> Iterator[tuple[np.ndarray, str]]:
        return (self[row] for row in range(len(self)))

    def batch(self, rows: Iterable[int]) -> np.ndarray:
        """The codes of some rows, (len(rows), h, w), as one new array."""
        wanted = np.asarray(rows if isinstance(rows, np.ndarray) else list(rows), dtype=np.int64)
        for outside in wanted[(wanted < -self._count) | (wanted >= self._count)]:
            self._place(int(outside))  # raises
        wanted = wanted % max(1, self._count)  # not in place: it may be the caller's
        get, end = self._get, self._codes_end
        cells = bytearray().join([get(row.to_bytes(4, "big"))[:end] for row in wanted.tolist()])
        return np.frombuffer(cells, self._dtype).reshape(-1, *self.shape)

    @property
    def filenames(self) -> list[str]:
        """The pictures' file names, in the rows' order."""
        return [_name(self._record(row)[self._codes_end :]) for row in range(len(self))]

    def _record(self, row: int) -> memoryview:
        record: memoryview = self._get(self._place(row).to_bytes(4, "big"))
        return record

    def _place(self, row: int) -> int:
        if 0 <= row < self._count:
            return int(row)
        if -self._count <= row < 0:
            return int(row) + self._count
        raise IndexError(f"row {row} of a store of {self._count}")

    def close(self) -> None:
        """Close the file; views of its codes must not be used any more."""
        self._transaction.abort()
        self._env.close()

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
        records: Iterable[tuple[np.ndarray, str]],
        *,
        shape: tuple[int, int],
        n_embed: int,
    ) -> int:
        """Write a store; it appears at `path` when it is whole. The same records, the same bytes.

        Args:
            records: codes (h, w) of any integer type and the picture's file name; taken as they
                come, so that memory stays flat.

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


def _smallest_dtype(n_embed: int) -> np.dtype:
    for name in ("<u1", "<u2", "<u4"):
        if 1 <= n_embed <= np.iinfo(name).max + 1:
            return np.dtype(name)
    raise UserError(f"n_embed is {n_embed}, the code store holds 1 to {1 << 32} codes")


def _packed(
    records: Iterable[tuple[np.ndarray, str]],
    *,
    shape: tuple[int, int],
    n_embed: int,
    dtype: np.dtype,
) -> Iterator[list[tuple[bytes, bytes]]]:
    """Check and pack records, a chunk of keys and values at a time."""
    remaining, first = iter(records), 0
    size = shape[0] * shape[1] * dtype.itemsize
    while chunk := list(islice(remaining, CHUNK)):
        if {codes.shape for codes, _ in chunk} != {shape}:
            place = next(i for i, (codes, _) in enumerate(chunk) if codes.shape != shape)
            other = chunk[place][0].shape
            raise ValueError(f"row {first + place}: codes of shape {other}, expected {shape}")
        grids = np.concatenate([codes for codes, _ in chunk])  # stacking costs twice as much
        if grids.min() < 0 or grids.max() >= n_embed:
            place = int(((grids < 0) | (grids >= n_embed)).any(axis=1).argmax()) // shape[0]
            wrong = chunk[place][0]
            low, high = wrong.min(), wrong.max()
            raise ValueError(f"row {first + place}: codes from {low} to {high}, n_embed {n_embed}")
        cells = memoryview(grids.astype(dtype).tobytes())
        items = []
        for place, (_, name) in enumerate(chunk):
            key = (first + place).to_bytes(4, "big")
            body = cells[place * size : (place + 1) * size]
            items.append((key, b"".join((body, name.encode("utf-8")))))
        yield items
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
    packed: Iterator[list[tuple[bytes, bytes]]],
    *,
    shape: tuple[int, int],
    n_embed: int,
    dtype: np.dtype,
) -> int:
    """Append every record, then the header; returns their number."""
    # What is not yet renamed need not survive a crash: `replacing` syncs the compacted copy.
    env = lmdb.open(
        str(path), subdir=False, lock=False, map_size=FIRST_MAP, sync=False, metasync=False
    )
    with env:
        count = 0
        for items in packed:
            if count + len(items) > MAX_ROWS:
                raise UserError(f"{path}: a code store holds at most {MAX_ROWS} records")
            _put(env, items)
            count += len(items)
        header = {
            "format": FORMAT,
            "version": VERSION,
            "count": count,
            "dtype": dtype.str,
            "n_embed": n_embed,
            "shape": list(shape),
        }
        _put(env, [(META, json.dumps(header, sort_keys=True).encode())])
    return count


def _put(env: lmdb.Environment, items: Sequence[tuple[bytes, bytes]]) -> None:
    while True:
        try:
            with env.begin(write=True) as transaction:
                transaction.cursor().putmulti(items, append=True)
            return
        except lmdb.MapFullError:  # the transaction is undone
            env.set_mapsize(env.info()["map_size"] * MAP_GROWTH)


def _compact(draft: Path, path: Path) -> None:
    """Copy without free pages or traces of the draft's map: the bytes depend on the rows alone."""
    # LMDB writes the map's size into the first pages, and that grew as the records came.
    size = max(FIRST_MAP, 1 << (draft.stat().st_size - 1).bit_length())
    with lmdb.open(str(draft), subdir=False, lock=False, map_size=size) as env:
        env.copy(str(path), compact=True)


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


def _name(entry: memoryview) -> str:
    return bytes(entry).decode("utf-8")
