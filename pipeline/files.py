"""Files that are whole or not there: written aside, synced, renamed; JSON and TSV for diffs."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

SIGNIFICANT_DIGITS = 6


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a path aside to write a file or a folder at; on success it takes `path`'s place.

    If the body raises, nothing appears under `path` and what stood there stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.tmp")
    remove(aside)  # what a killed process left
    try:
        yield aside
        sync(aside)
        if path.is_dir():  # a rename replaces a file at once, but never a folder with content
            remove(path)
        aside.replace(path)
        sync_folder(path.parent)
    finally:
        remove(aside)


def remove(path: Path) -> None:
    """Remove a file or a folder tree, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def place_copy(file: Path, path: Path) -> None:
    """Have a file's bytes under another name too: by a hard link, or else a copy."""
    try:
        path.hardlink_to(file)
    except OSError:  # another disk, or one without links
        shutil.copyfile(file, path)


def sync(path: Path) -> None:
    """Force a file, or a folder with all that is below it, to the disk."""
    if path.is_file():
        with path.open("r+b") as stream:  # Windows flushes only what it may write
            os.fsync(stream.fileno())
    elif hasattr(os, "sync"):
        os.sync()  # once for all: thousands of pictures one by one take half a minute
    else:
        for file in path.rglob("*"):
            if file.is_file():
                sync(file)


def sync_folder(folder: Path) -> None:
    """Force a folder's entries (a rename in it) to the disk; Windows sees to that by itself."""
    if not hasattr(os, "O_DIRECTORY"):
        return  # it opens no folders
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path | str, text: str) -> None:
    """Write a text file, in the same bytes on every system.

    Raises:
        UserError: `path` is a folder.
    """
    path = Path(path)
    if path.is_dir():  # `replacing` would put the file in its place
        raise UserError(f"{path}: a folder; expected a file")
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path | str, value: Any) -> None:
    """Write JSON for git and `dvc metrics diff`: sorted keys, six digits, finite numbers.

    Raises:
        ValueError: a number is NaN or infinite; it names the key.
    """
    path = Path(path)
    text = json.dumps(_rounded(value, at=path.name), indent=2, sort_keys=True, ensure_ascii=False)
    write_text(path, text + "\n")


def write_tsv(
    path: Path | str,
    rows: Sequence[Mapping[str, float | int | str]],
    *,
    columns: Sequence[str] | None = None,
) -> None:
    """Write rows as a tab-separated table for `dvc plots`.

    Args:
        columns: None: all that a row has. Where a row has none of it, its cell is empty.
    """
    columns = columns or list(dict.fromkeys(name for row in rows for name in row))
    lines = ["\t".join(columns)]
    lines += ["\t".join(_cell(_rounded(row.get(c, ""), at=c)) for c in columns) for row in rows]
    write_text(path, "\n".join(lines) + "\n")


def _cell(value: Any) -> str:
    return str(value).replace("\t", " ").replace("\n", " ")


def _rounded(value: Any, *, at: str) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _rounded(v, at=f"{at}: {k}") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(v, at=at) for v in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{at}: {number} is not a finite number")
    return float(f"{number:.{SIGNIFICANT_DIGITS}g}")
