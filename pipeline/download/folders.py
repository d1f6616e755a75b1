"""A folder of pictures as a source: texts beside them, or a Hugging Face `imagefolder`."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from pipeline.download.records import Annotations
from pipeline.download.tables import decode_text, find_columns, read_table
from pipeline.errors import UserError
from pipeline.progress import say

PICTURES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".avif", ".jp2", ".j2k", ".tif",
    ".tiff", ".bmp",
)  # fmt: skip
METADATA = ("metadata.jsonl", "metadata.csv")
# Under which name a caption stands in data sets on the hub; the first that is there is taken.
CAPTIONS = ("text", "caption", "title", "prompt", "description")


def read_folder(part: str, at: str, columns: Mapping[str, str], *, key: str) -> Annotations:
    """Read a folder's annotations.

    With `metadata.jsonl` or `metadata.csv`, its `file_name` is the picture and its caption the
    title; else each picture, of any folder below, is called what the `.txt` beside it says.

    Args:
        part: "train" or "test".
        at: the folder; `~` is one's home.
        columns: of the metadata, where they have other names; see `read_rows`.
        key: of params.yaml, for messages.

    Raises:
        UserError: it is no folder, or has neither.
    """
    try:
        folder = Path(at).expanduser()
    except RuntimeError as error:
        raise UserError(f"{key} = {at!r}: {error}") from None
    if not folder.is_dir():
        raise UserError(f"{key} = {at!r}: no such folder")
    for name in METADATA:
        file = folder / name
        if file.is_file():
            data = file.read_bytes()
            mapping = {"image": "file_name", **(columns or _caption_column(data, f"{at}/{name}"))}
            return Annotations(part, f"{at}/{name}", file, data, mapping)
    rows = _rows(folder)
    if not rows:
        deeper = sorted(p.parent for name in METADATA for p in folder.glob(f"*/{name}"))
        there = f"; {deeper[0]} has one: name that" if deeper else ""
        raise UserError(
            f"{key} = {at!r}: no {' or '.join(METADATA)} in it, and no picture with a .txt beside "
            f"it{there}"
        )
    fields = {name: name for name in ("id", "image", "title", "text")}
    body = json.dumps({"pairs": rows}).encode()
    return Annotations(part, f"{at}/*.txt", folder / "*.txt", body, fields)


def _caption_column(data: bytes, name: str) -> dict[str, str]:
    first = next(iter(read_table(data, name, wanted=["file_name"]).records), None)
    names = list(first) if isinstance(first, Mapping) else []
    found = find_columns(names, CAPTIONS)
    if not found:
        raise UserError(
            f"{name}: none of {', '.join(CAPTIONS)} among its columns "
            f"({', '.join(map(str, names))[:200]}); data.folder.columns can name others"
        )
    caption = next(name for name in CAPTIONS if name in found)
    return {"title": found[caption], "text": found[caption]}


def _rows(folder: Path) -> list[dict[str, str]]:
    """A row for each picture that has a text; composed names, so that every machine sorts alike."""
    files = {
        unicodedata.normalize("NFC", path.relative_to(folder).as_posix()): path
        for path in folder.rglob("*")
        if path.is_file() and not any(is_hidden(p) for p in path.relative_to(folder).parts)
    }
    rows, silent = [], 0
    for name in sorted(files):
        stem, _, ending = name.rpartition(".")
        if f".{ending.lower()}" not in PICTURES:
            continue
        beside = next((files[t] for t in (f"{stem}.txt", f"{stem}.TXT") if t in files), None)
        if beside is None:
            silent += 1
            continue
        text, note = decode_text(beside.read_bytes(), str(beside))
        if note:
            say(f"{beside}: {note}")
        rows.append({"id": name, "image": name, "title": text, "text": text})
    if rows and silent:
        say(f"{folder}: {silent} pictures have no .txt beside them and are not read")
    return rows


def is_hidden(part: str) -> bool:
    """Whether a name is one that systems leave behind, and nobody's picture."""
    return part.startswith(".") or part == "__MACOSX"
