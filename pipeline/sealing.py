"""Checksums where a file's format has none: damage is named, and never becomes a picture."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import UserError
from pipeline.files import replacing, write_json

MANIFEST = "manifest.json"
CHECKSUM = "crc32"  # the last key of a sealed row or object
BLOCK = 1 << 20  # bytes read at a time


def digest(path: Path) -> str:
    """The BLAKE2b of a file's bytes, or of a folder's files, its first 32 hexadecimal digits."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        listed = "".join(f"{file.relative_to(path).as_posix()}\0{digest(file)}\0" for file in files)
        return hashlib.blake2b(listed.encode()).hexdigest()[:32]
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()[:32]


def seal_folder(folder: Path, **facts: Any) -> None:
    """Write `manifest.json` into a folder: the SHA-256 of each file by its path, and `facts`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    hashes = {file.relative_to(folder).as_posix(): _sha256(file) for file in files}
    write_json(folder / MANIFEST, {**facts, "files": hashes})


def check_folder(folder: Path) -> None:
    """See that the files of a sealed folder are what they were; a folder without a seal passes.

    Raises:
        UserError: one is missing or damaged.
    """
    if (folder / MANIFEST).exists():
        for name, checksum in read_manifest(folder)["files"].items():
            check_file(folder / name, checksum)


def check_file(file: Path, checksum: str) -> None:
    """See that a file of a sealed folder has the checksum that the folder's manifest gives it.

    Raises:
        UserError: it is missing or damaged.
    """
    if not file.is_file():
        raise UserError(f"{file}: missing; make {file.parent} again")
    if _sha256(file) != checksum:
        raise UserError(f"{file}: damaged (its checksum differs); make {file.parent} again")


def read_manifest(folder: Path) -> dict[str, Any]:
    """What `seal_folder` wrote into a folder: its `facts`, and `files`.

    Raises:
        UserError: there is nothing, or it is damaged.
    """
    manifest = folder / MANIFEST
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
        return {**found, "files": dict(found["files"])}
    except FileNotFoundError:
        raise UserError(f"{manifest}: no such file; make {folder} again") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{manifest}: damaged; make {folder} again") from None


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], *, count: int) -> None:
    """Write `count` rows as JSON Lines, with a CRC-32 of each and of how many follow it."""
    with replacing(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as stream:
        for left, row in zip(reversed(range(count)), rows, strict=True):
            stream.write(json.dumps(sealed(row, left), ensure_ascii=False) + "\n")


class Place(NamedTuple):
    """Where a row stands: its file, its line, the first being 1, and its first byte."""

    path: Path
    line: int
    start: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def read_rows(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield the place and content of each row that `write_rows` wrote, one row in memory at a time.

    Raises:
        UserError: a line is not JSON, or not what was written.
        FileNotFoundError: there is no such file.
    """
    with path.open("rb") as stream:
        count, last = 0, b"\n"
        while block := stream.read(BLOCK):
            count, last = count + block.count(b"\n"), block[-1:]
        if last != b"\n":
            raise UserError(f"{path}: cut short; make it again")
        stream.seek(0)
        start = 0
        for number, line in enumerate(stream, start=1):
            place = Place(path, number, start)
            yield place, _row(line, count - number, place)
            start += len(line)


def _row(line: bytes, left: int, place: Place) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise UserError(f"{place}: not UTF-8 text") from None
    except ValueError:
        raise UserError(f"{place}: not a JSON object") from None
    if not isinstance(row, dict):
        raise UserError(f"{place}: not a JSON object")
    if not unseal(row, left):
        raise UserError(f"{place}: damaged (its checksum differs); make the file again")
    return row


def sealed(row: Mapping[str, Any], left: int = 0) -> dict[str, Any]:
    """The row, of JSON's types, with a CRC-32 of itself and of how many rows follow it."""
    return {**row, CHECKSUM: _crc32(row, left)}


def unseal(row: dict[str, Any], left: int = 0) -> bool:
    """Take the CRC-32 out of a sealed row; was it right?"""
    return row.pop(CHECKSUM, None) == _crc32(row, left)


def _crc32(row: Mapping[str, Any], left: int) -> int:
    return zlib.crc32(json.dumps(row, ensure_ascii=False).encode(errors="surrogatepass"), left)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
