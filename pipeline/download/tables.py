"""Annotation files as people have them: bytes → records, whatever is between the cells."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

LONGEST_CELL = 10_000_000  # characters; Python's csv stops at 131,072 by itself
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
JSON_LINES, CSV = ("jsonl", "ndjson"), ("csv", "tsv", "tab")


@dataclass(frozen=True)
class Unreadable:
    """A line of a JSON Lines file that is no JSON."""

    line: str


@dataclass(frozen=True)
class Table:
    """The records of a file, in their order.

    Attributes:
        records: mostly mappings; what else stood there is for the schema to refuse.
        is_csv: the values are cells, all text; None where a line was too short.
        note: what had to be guessed, in one line; "" for nothing.
    """

    records: Iterator[Any]
    is_csv: bool
    note: str


def read_table(data: bytes, name: str, *, wanted: Collection[str]) -> Table:
    """Parse a file.

    Args:
        data: its bytes: UTF-8, UTF-16 or UTF-32 with a mark, UTF-8 without, else as guessed.
        name: path or URL, for messages; its ending tells the format: `.jsonl` and `.ndjson` are
            JSON Lines; `.csv`, `.tsv` and `.tab` have a header line and commas, semicolons, tabs
            or bars between cells; anything else is JSON, a list or `{"pairs": [...]}`.
        wanted: columns that are looked for; the delimiter is the one that finds most of them.

    Raises:
        UserError: the file as a whole is not what its name says; one line.
    """
    text, note = decode_text(data, name)
    ending = name.split("?")[0].split("#")[0].rsplit(".", 1)[-1].lower()
    if ending in JSON_LINES:
        return Table(_json_lines(text.split("\n")), False, note)
    if ending in CSV:
        return Table(_csv(text, name, wanted), True, note)
    return Table(_json(text, name), False, note)


def decode_text(data: bytes, name: str) -> tuple[str, str]:
    """A file's text, and "" or how its encoding was guessed.

    Raises:
        UserError: it is no text.
    """
    try:
        for mark, encoding in MARKS.items():
            if data.startswith(mark):
                return data.decode(encoding), ""
        if 0 in data[:200]:
            order = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
            return data.decode(order), f"taken for {order.upper()}, which it does not say"
        return data.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        if error.encoding != "utf-8":
            raise UserError(f"{name}: not {error.encoding} text (byte {error.start})") from None
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            raise UserError(f"{name}: not UTF-8 text (byte {error.start})") from None
        return text, f"no UTF-8 (byte {error.start}), taken for Windows-1252"


def folded(column: str) -> str:
    """A column's name as it is compared: case, blanks and underscores do not count."""
    return re.sub(r"[\s_]+", " ", column).strip().casefold()


def find_columns(names: Collection[str], wanted: Collection[str]) -> dict[str, str]:
    """Wanted column → the name that it has in the table; those that are not there are left out."""
    return _find_columns(tuple(names), tuple(wanted))


@lru_cache(maxsize=64)  # the rows of a JSON file mostly have the same keys
def _find_columns(names: tuple[str, ...], wanted: tuple[str, ...]) -> dict[str, str]:
    alike: dict[str, str] = {}
    for name in names:
        if isinstance(name, str):
            alike.setdefault(folded(name), name)
    return {w: w if w in names else alike[folded(w)] for w in wanted if folded(w) in alike}


def _json(text: str, name: str) -> Iterator[Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise UserError(f"{name}: not JSON: {reason}") from None
    rows = content.get("pairs") if isinstance(content, Mapping) else content or None
    if not isinstance(rows, list):
        raise UserError(
            f'{name}: expected {{"pairs": [...]}}, an object that holds a list, or a list of rows'
        )
    return iter(rows)


def read_lines(path: Path) -> Table:
    """JSON Lines in UTF-8, one in memory at a time."""

    def records() -> Iterator[Any]:
        with path.open(encoding="utf-8", newline="\n") as stream:
            yield from _json_lines(stream)

    return Table(records(), False, "")


def _json_lines(lines: Iterable[str]) -> Iterator[Any]:
    for line in lines:
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield Unreadable(line)


def _csv(text: str, name: str, wanted: Collection[str]) -> Iterator[Any]:
    csv.field_size_limit(LONGEST_CELL)
    text = text.lstrip("\r\n")
    said = re.match(r'"?sep=(.)"?\r?\n', text)  # as Excel writes and reads it
    if said:
        text = text[said.end() :]
    header, delimiter = _header(text, said[1] if said else "", wanted)
    missing = [w for w in wanted if w not in find_columns(header, wanted)]
    if missing:
        between = DELIMITERS.get(delimiter, repr(delimiter))
        found = ", ".join(cell.strip() for cell in header)[:300]
        raise UserError(
            f"{name}: the header line lacks {', '.join(missing)}; between {between} it has {found}"
        )
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", delimiter=delimiter)
    try:
        yield from reader
    except csv.Error as error:
        raise UserError(f"{name}: not CSV: line {reader.line_num}: {error}") from None


def _header(text: str, said: str, wanted: Collection[str]) -> tuple[list[str], str]:
    """The header's cells by the delimiter that the file says, or that finds most of the wanted."""
    best: tuple[list[str], str] = [], ","
    for delimiter in [said] if said else DELIMITERS:
        try:
            cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        except csv.Error:
            continue
        found = [len(find_columns(header, wanted)) for header in (cells, best[0])]
        if found[0] > found[1] or not best[0]:
            best = cells, delimiter
    return best
