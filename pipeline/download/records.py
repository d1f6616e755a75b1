"""Annotation files, and how their rows come into the tables: the first three rules of `intake`."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.data.texts import normalise
from pipeline.download.fetch import FetchError
from pipeline.download.pictures import locate
from pipeline.download.rows import the_one
from pipeline.download.schema import BadRow, Row, read_rows
from pipeline.download.texts import normalise_text

COLUMNS = (  # of a record when it is read
    "file", "number", "id", "image", "language", "said_label", "said_title", "said_text", "reason",
    "detail", "place", "text", "label", "labels",
)  # fmt: skip
INSERT = f"INSERT INTO record ({', '.join(COLUMNS)}) VALUES (:{', :'.join(COLUMNS)})"
NOTHING = dict.fromkeys(COLUMNS)


@dataclass(frozen=True)
class Annotations:
    """An annotation file.

    Attributes:
        part: "train" or "test".
        name: as messages and the report call it; its ending tells the format.
        base: its URL, or its path; pictures are looked for beside it.
        data: its bytes.
        lines: or JSON Lines on this machine, which are read one by one.
        columns: MUSTI's field → the column that holds it; see `read_rows`.
        problems: what is no row of it, known before it is read.
    """

    part: str
    name: str
    base: str | Path
    data: bytes
    columns: Mapping[str, str] = field(default_factory=dict)
    problems: Iterable[BadRow] = ()
    lines: Path | None = None


def add_file(rows: sqlite3.Connection, file: Annotations, *, languages: Collection[str]) -> None:
    """Put a file's rows into the tables, those that are left out by what they say with the reason.

    Raises:
        UserError: the file as a whole is not what its name says.
    """
    key = rows.execute(
        "INSERT INTO file (part, name) VALUES (?, ?)", (file.part, file.name)
    ).lastrowid
    for values in _records(rows, file, languages):
        rows.execute(INSERT, {**NOTHING, "file": key, **values})
    _leave_out_second_ids(rows, key)
    texts = "SELECT 1 FROM record WHERE file = ? AND reason != 'bad_row' AND typeof(id) = 'text'"
    rows.execute(f"UPDATE file SET numbered = NOT EXISTS ({texts}) WHERE file = ?", (key, key))


def _records(
    rows: sqlite3.Connection, file: Annotations, languages: Collection[str]
) -> Iterator[dict[str, Any]]:
    """What stands in a record, by its columns, of each row of a file; places are added."""
    asked = {language.lower() for language in languages}
    for entry in read_rows(file.data, file.name, columns=file.columns, lines=file.lines):
        if isinstance(entry, BadRow):
            yield _refused(entry)
            continue
        number, row = entry
        reason, detail, place = "", "", None
        # A file that does not say its language is in the one that is asked for.
        if row.language and row.language not in asked:
            reason, detail = "language", row.language
        else:
            try:
                place = _place(rows, row.image, file.base)
            except FetchError as error:
                reason, detail = error.reason, error.detail
        yield {**_said(number, row), "reason": reason, "detail": detail, "place": place}
    yield from map(_refused, file.problems)


def _said(number: int, row: Row) -> dict[str, Any]:
    labels = distinct(normalise(label) for label in row.subtask2_labels)
    return {
        "number": number,
        "id": row.id,
        "image": row.image,
        "language": row.language,
        "said_label": row.subtask1_label,
        "said_title": row.title,
        "said_text": row.text,
        "text": normalise_text(row.text),
        "label": row.subtask1_label,
        "labels": json.dumps(labels),
    }


def _refused(bad: BadRow) -> dict[str, Any]:
    return {
        "number": bad.number,
        "id": bad.id,
        "image": bad.image,
        "reason": "bad_row",
        "detail": bad.problem,
    }


def _place(rows: sqlite3.Connection, image: str, base: str | Path) -> int:
    """The key of a picture's place, which is added if no row named it before.

    Raises:
        FetchError: see `locate`.
    """
    at = locate(image, base)
    try:
        place = at.url, os.fsencode(at.file)
    except UnicodeEncodeError:
        raise FetchError("no_file", "no name for a file") from None
    rows.execute("INSERT OR IGNORE INTO place (url, path) VALUES (?, ?)", place)
    return int(the_one(rows, "SELECT place FROM place WHERE url = ? AND path = ?", *place))


def _leave_out_second_ids(rows: sqlite3.Connection, file: int | None) -> None:
    again = rows.execute(
        """
        SELECT first, record FROM (
            SELECT record, number, min(number) OVER (PARTITION BY id) AS first FROM record
            WHERE file = ? AND reason != 'bad_row')
        WHERE number > first
        """,
        (file,),
    )
    rows.executemany(
        """
        UPDATE record SET reason = 'bad_row', detail = 'id = ' || id || ': row ' || ?
            || ' has it already', language = '', said_label = '', said_title = '', said_text = ''
        WHERE record = ?
        """,
        again,
    )


def distinct(words: Iterable[str]) -> tuple[str, ...]:
    """The words that are not empty, once each, in their order."""
    return tuple(dict.fromkeys(word for word in words if word))
