"""The rows of annotation files: MUSTI's schema, or a table's own columns mapped to it."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pipeline.data.texts import join_surrogates
from pipeline.download.settings import Label
from pipeline.download.tables import Unreadable, find_columns, read_lines, read_table
from pipeline.errors import UserError
from pipeline.progress import say

LARGEST_ID = 2_000_000_000
NOTHING = ("", "nan", "null", "none", "n/a")  # how tables write that a cell holds nothing
ANSWERS: dict[str, Label] = {"yes": "YES", "true": "YES", "no": "NO", "false": "NO"}
PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


def _encodable(text: str) -> str:
    if join_surrogates(text) != text:
        raise ValueError("not valid Unicode (half a surrogate pair)")
    return text


def _id(value: Any) -> Any:
    """A whole number, however it is written, or a museum's own number, which is a text."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        value = value.strip()
        if re.fullmatch(r"0|[1-9][0-9]{0,9}", value) and int(value) <= LARGEST_ID:
            return int(value)
        if value:
            return value
    if type(value) is int and 0 <= value <= LARGEST_ID:
        return value
    raise ValueError(f"expected a whole number from 0 to {LARGEST_ID} or a text")


Text = Annotated[str, AfterValidator(_encodable)]
Id = Annotated[int | Text, BeforeValidator(_id)]


class Row(BaseModel):
    """One row of an annotation file, as it stands there; further columns are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    id: Id
    image: Text = Field(min_length=1)
    language: Text  # "" where the file does not say
    subtask1_label: Label
    subtask2_labels: tuple[Text, ...]
    text: Text
    title: Text


FIELDS = tuple(Row.model_fields)
RowField = Literal["id", "image", "language", "subtask1_label", "subtask2_labels", "text", "title"]


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        number: of the row in its file, from 1.
        id: the row's id, where it has a usable one.
        image: the row's picture, where it has one.
        problem: field, value and what is wrong, in one line.
    """

    number: int
    id: int | str | None
    image: str
    problem: str


def read_rows(
    data: bytes,
    name: str,
    *,
    columns: Mapping[str, str] | None = None,
    tell: Callable[[str], None] = say,
    lines: Path | None = None,
) -> Iterator[tuple[int, Row] | BadRow]:
    """Parse an annotation file; a bad row costs itself only.

    Args:
        data: the file's bytes; `read_table` has the formats.
        name: path or URL, for messages.
        columns: MUSTI's field → the column that holds it, or a text with columns in braces
            ("images/{Object ID}.jpg"). With a mapping a picture and a title or a text are all that
            is needed: a row without an id gets its number, the other fields are empty. Without
            one, all of MUSTI's seven are needed. Case and blanks of names do not count; ""
            keeps a column of MUSTI's name from being read.
        tell: is given one line where an encoding was guessed.
        lines: a file of JSON Lines that is read instead of `data`, one in memory at a time.

    Yields:
        Each row, in order: a good one with its number from 1, or a bad one.

    Raises:
        UserError: the file as a whole is not what its name says, or lacks a column; one line.
    """
    mapping = dict(columns or {})
    wanted = _wanted(mapping, name)
    table = read_lines(lines) if lines else read_table(data, name, wanted=wanted)
    if table.note:
        tell(f"{name}: {table.note}")
    for number, record in enumerate(table.records, start=1):
        values = _fields(record, mapping, number, is_csv=table.is_csv)
        try:
            yield number, Row.model_validate(values)
        except ValidationError as error:
            yield _bad_row(number, values, error)


def _wanted(mapping: Mapping[str, str], name: str) -> list[str]:
    """The columns that a table with a header must have."""
    if not mapping:
        return list(FIELDS)
    if "image" not in mapping or not {"title", "text"} & set(mapping):
        raise UserError(f"{name}: its columns must name image, and title or text")
    named = [column for value in mapping.values() if value for column in columns_of(value)]
    return list(dict.fromkeys(named))


def columns_of(value: str) -> list[str]:
    """The columns that a mapping's value names: those in braces, or itself."""
    return PLACEHOLDER.findall(value) or [value]


def _fields(record: Any, mapping: Mapping[str, str], number: int, *, is_csv: bool) -> Any:
    """A record's values under MUSTI's names, nothing as nothing is written there."""
    if not isinstance(record, Mapping):
        return record
    places = find_columns(record, [*FIELDS, *(c for v in mapping.values() for c in columns_of(v))])
    values: dict[str, Any] = {}
    for field in FIELDS:
        column = mapping.get(field, field)
        if column and column in places:
            values[field] = record[places[column]]
        elif field in mapping and PLACEHOLDER.search(column):
            values[field] = _filled(column, record, places)
        elif mapping and field != "image" and not mapping.get(field):
            values[field] = {"id": number, "subtask2_labels": ()}.get(field, "")
    # A cell that is missing because its line was cut short is not an empty one.
    return {
        f: v if v is None and is_csv else _plain(f, v, is_csv or f in mapping)
        for f, v in values.items()
    }


def _filled(template: str, record: Mapping[str, Any], places: Mapping[str, str]) -> Any:
    cells = {c: record.get(places.get(c, c)) for c in columns_of(template)}
    if any(isinstance(cell, list | dict) for cell in cells.values()):
        return cells
    text = PLACEHOLDER.sub(lambda found: str(_plain("text", cells[found[1]], True)), template)
    return text.strip(" ,;:")


def _plain(field: str, value: Any, is_cell: bool) -> Any:
    """A value without the ways in which tables write nothing, yes, no, numbers and lists."""
    if isinstance(value, float) and math.isnan(value):
        value = None
    if field in ("id", "image"):
        return value
    if field == "subtask2_labels":
        return _labels(value, is_cell)
    if value is None:
        return ""
    if (
        field in ("title", "text")
        and isinstance(value, int | float)
        and not isinstance(value, bool)
    ):
        return str(int(value)) if float(value).is_integer() else str(value)
    if field == "subtask1_label":
        word = str(value).strip().lower()
        return "" if word in NOTHING else ANSWERS.get(word, value)
    if field == "language" and isinstance(value, str):
        word = value.strip().lower()
        return "" if word in NOTHING else word
    return value


def _labels(value: Any, is_cell: bool) -> Any:
    """Labels as a tuple: a list, or in a cell a JSON or Python list, or names between ; or |."""
    if value is None:
        return ()
    if isinstance(value, list):
        return tuple(value)
    if not isinstance(value, str) or not is_cell:
        return value
    if value.strip().lower() in NOTHING:
        return ()
    if value.lstrip().startswith(("[", "(")):
        for parse in (json.loads, ast.literal_eval):
            try:
                listed = parse(value.strip())
                return tuple(listed) if isinstance(listed, list | tuple) else value
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
        return value
    return tuple(part.strip() for part in re.split("[;|]", value))


def _bad_row(number: int, record: Any, error: ValidationError) -> BadRow:
    if isinstance(record, Unreadable):
        return BadRow(number, None, "", f"not JSON: {_short(record.line)}")
    if not isinstance(record, dict):
        return BadRow(number, None, "", f"not an object: {_short(record)}")
    problems = []
    for entry in error.errors(include_url=False):
        field = ".".join(str(part) for part in entry["loc"])
        if entry["type"] == "missing":
            problems.append(f"{field}: missing")
        else:
            message = entry["msg"].removeprefix("Value error, ")
            problems.append(f"{field} = {_short(entry['input'])}: {message}")
    given, image = record.get("id"), record.get("image")
    try:
        usable = _id(given)
    except (ValueError, OverflowError):
        usable = None
    return BadRow(
        number,
        printable(usable) if isinstance(usable, str) else usable,
        printable(image) if isinstance(image, str) else "",
        printable("; ".join(problems)),
    )


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except RecursionError:  # read at a smaller depth of calls than it is shown at
        text = "something nested very deep"
    return text if len(text) <= 80 else f"{text[:77]}..."


def printable(text: str) -> str:
    """The text on one line, in characters that any file can hold."""
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())
