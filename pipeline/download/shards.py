"""Data sets in shards as sources: their pictures come out one by one, into files, with their rows.

WebDataset's tar files are read in `read_webdataset`: what img2dataset writes, KEY.jpg, KEY.txt and
KEY.json in a row. No member is unpacked under its own name, so none can lead anywhere; whatever
cannot be used is one line in the report.
"""

from __future__ import annotations

import contextlib
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.download.folders import PICTURES, is_hidden
from pipeline.download.records import Annotations
from pipeline.download.schema import BadRow, columns_of, printable
from pipeline.download.tables import LONGEST_CELL, find_columns
from pipeline.errors import UserError
from pipeline.files import remove

FILES_A_FOLDER = 1000
END_OF_TAR = bytes(1024)
# What a row of a shard always has, beside the columns of its own.
KEY, IMAGE, TXT = "__key__", "__image__", "txt"


class Unpacked:
    """Pictures out of shards, as files of a folder, and what was said of them.

    Args:
        folder: is made anew.
        columns: MUSTI's field → a column of the rows; only those are kept.
    """

    def __init__(self, folder: Path, columns: Mapping[str, str]) -> None:
        remove(folder)
        self.folder = folder
        self.columns = {"id": KEY, **columns, "image": IMAGE}
        named = [column for value in self.columns.values() for column in columns_of(value)]
        self.wanted = [column for column in named if column not in (KEY, IMAGE)]
        self._count = 0
        self._time = 0
        self._rows, self._refused = folder / "rows.jsonl", folder / "refused.jsonl"
        self._waiting: dict[Path, list[str]] = {self._rows: [], self._refused: []}
        folder.mkdir(parents=True)

    def open(self, shard: Path) -> None:
        """Have what is added from here on be as old as a shard: it is known as the same again."""
        with contextlib.suppress(OSError):  # what cannot be asked cannot be read
            self._time = shard.stat().st_mtime_ns

    def add(self, key: str, picture: bytes, values: Mapping[str, Any]) -> None:
        """Write a picture to its file, and keep what is asked for of its values."""
        name = f"{self._count // FILES_A_FOLDER:06d}/{self._count:09d}"
        path = self.folder / name
        if self._count % FILES_A_FOLDER == 0:
            path.parent.mkdir()
        path.write_bytes(picture)
        os.utime(path, ns=(self._time, self._time))
        # Each at a time of its own, which Windows counts in 100 ns, lest it pass for its neighbour.
        self._time += 1000
        places = find_columns(values, self.wanted)
        kept = {column: values[at] for column, at in places.items() if _is_plain(values[at])}
        self._keep(self._rows, {**kept, KEY: key, IMAGE: name})
        self._count += 1

    def refuse(self, key: str, member: str, problem: str) -> None:
        """Note why something is no row."""
        self._keep(self._refused, [printable(key), printable(member), printable(problem)])

    def _keep(self, file: Path, entry: Any) -> None:
        lines = self._waiting[file]
        lines.append(json.dumps(entry) + "\n")
        if len(lines) == FILES_A_FOLDER:
            self._write(file)

    def _write(self, file: Path) -> None:
        with file.open("a", encoding="utf-8", newline="\n") as stream:
            stream.writelines(self._waiting[file])
        self._waiting[file].clear()

    def annotations(self, part: str, name: str) -> Annotations:
        """The rows as an annotation file beside the pictures."""
        for file in self._waiting:
            self._write(file)
        return Annotations(
            part, name, self._rows, b"", self.columns, self._problems(), lines=self._rows
        )

    def _problems(self) -> Iterator[BadRow]:
        with self._refused.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=self._count + 1):
                yield BadRow(number, *json.loads(line))


def shard_files(at: str, ending: str, *, key: str) -> list[Path]:
    """The files that a setting names, in order: one, those of a folder, or those of a pattern.

    Raises:
        UserError: there are none.
    """
    try:
        path = Path(at).expanduser()
    except RuntimeError as error:  # no such user's home
        raise UserError(f"{key} = {at!r}: {error}") from None
    if path.is_dir():
        found = sorted(p for p in path.glob(f"*{ending}") if not is_hidden(p.name))
    elif set(path.name) & set("*?["):
        found = sorted(p for p in path.parent.glob(path.name) if not is_hidden(p.name))
    else:
        found = [path]
    found = [file for file in found if file.is_file()]
    if not found:
        wanted = f"no {ending} file in it" if path.is_dir() else "no such file"
        raise UserError(f"{key} = {at!r}: {wanted}")
    return found


def read_webdataset(
    part: str, at: str, columns: Mapping[str, str], folder: Path, *, key: str, max_bytes: int
) -> Annotations:
    """Read WebDataset shards.

    Args:
        part: "train" or "test".
        at: a `.tar` file, a folder of them, or a pattern.
        columns: MUSTI's field → a key of the .json, or `txt`; empty: title and text are the .txt,
            or where there is none the .json's `caption`.
        folder: for the pictures; is made anew.
        key: of params.yaml, for messages.
        max_bytes: of a picture; a larger one is left out.

    Raises:
        UserError: there is no shard.
    """
    unpacked = Unpacked(folder, columns or {"title": TXT, "text": TXT})
    for shard in shard_files(at, ".tar", key=key):
        unpacked.open(shard)
        for sample in _samples(shard, unpacked, max_bytes):
            _take(sample, unpacked)
    return unpacked.annotations(part, at)


@dataclass
class _Sample:
    """Members in a row with one key: the picture, and the others by their endings."""

    key: str
    picture: bytes | None = None
    others: dict[str, bytes] = field(default_factory=dict)
    refused: bool = False  # a line says why already


def _take(sample: _Sample, unpacked: Unpacked) -> None:
    """Make a row of a sample, or say why not."""
    if sample.refused:
        return
    if sample.picture is None:
        unpacked.refuse(sample.key, "", "no picture among its members")
        return
    try:
        values = json.loads(sample.others.get("json", b"{}"))
        if not isinstance(values, dict):
            raise ValueError("no object")
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        unpacked.refuse(sample.key, f"{sample.key}.json", f"not JSON: {reason}")
        return
    try:
        if TXT in sample.others:
            values[TXT] = sample.others[TXT].decode("utf-8-sig")
        else:
            values.setdefault(TXT, values.get("caption"))
    except UnicodeDecodeError as error:
        unpacked.refuse(sample.key, f"{sample.key}.txt", f"not UTF-8 text (byte {error.start})")
        return
    if values[TXT] is None and TXT in unpacked.columns.values():
        unpacked.refuse(sample.key, "", "no text: neither a .txt nor a caption in its .json")
        return
    unpacked.add(sample.key, sample.picture, values)


def _samples(shard: Path, unpacked: Unpacked, max_bytes: int) -> Iterator[_Sample]:
    """The samples of a shard; one picture is in memory at a time."""
    sample = _Sample("")
    try:
        with shard.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # else it keeps a record of each, for ever
                name = PurePosixPath(member.name)
                stem, _, ending = name.name.partition(".")
                hidden = any(is_hidden(part) for part in name.parts if part != "..")
                if member.isdir() or not stem or hidden:
                    continue
                key = f"{shard.stem}/{name.parent / stem}"
                if key != sample.key:
                    if sample.key:
                        yield sample
                    sample = _Sample(key)
                problem = _take_member(sample, tar, member, ending.lower(), max_bytes)
                if problem:
                    unpacked.refuse(key, member.name, problem)
                    sample.refused = True
            stream.seek(max(0, stream.seek(0, 2) - len(END_OF_TAR)))
            if stream.read() != END_OF_TAR:
                unpacked.refuse(shard.stem, shard.name, "no end mark: it may have been cut short")
    except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError) as error:
        sample.refused = True  # its last member may be half there
        upto = f"read up to {sample.key}" if sample.key else "nothing of it is read"
        unpacked.refuse(shard.stem, shard.name, f"not whole, {upto}: {error}")
    if sample.key:
        yield sample


def _take_member(
    sample: _Sample, tar: tarfile.TarFile, member: tarfile.TarInfo, ending: str, max_bytes: int
) -> str:
    """Read a member into its sample; "" or why it spoils it."""
    name = PurePosixPath(member.name)
    is_picture = f".{ending}" in PICTURES
    if name.is_absolute() or ".." in name.parts or "\\" in member.name:
        return "leads out of the shard"
    if not member.isreg():
        return "neither a file nor a folder: links and devices are not followed"
    if not is_picture and ending not in (TXT, "json"):
        return ""
    most = max_bytes if is_picture else LONGEST_CELL
    if member.size > most:
        return f"too large: more than {most} bytes"
    if ending in sample.others or (is_picture and sample.picture is not None):
        return f"its sample has a {'picture' if is_picture else ending} already"
    stream = tar.extractfile(member)
    data = stream.read() if stream is not None else b""
    if len(data) != member.size:
        raise tarfile.ReadError("unexpected end of data")
    if is_picture:
        sample.picture = data
    else:
        sample.others[ending] = data
    return ""


def _is_plain(value: Any) -> bool:
    """Whether a value is what a cell may be: a text, a number, nothing, or a list of texts."""
    if isinstance(value, list):
        return all(isinstance(entry, str) for entry in value)
    return value is None or isinstance(value, str | int | float)
