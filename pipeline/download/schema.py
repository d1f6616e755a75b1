"""Annotation files, row by row: JSON (`{"pairs": [...]}`), JSON Lines or CSV in MUSTI's schema."""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pipeline.download.settings import Label
from pipeline.errors import UserError

LARGEST_ID = 2_000_000_000
LONGEST_CELL = 10_000_000  # bytes; Python's csv stops at 131,072 by itself


def _encodable(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("not valid Unicode (half a surrogate pair)")
    return text


Text = Annotated[str, AfterValidator(_encodable)]


class Row(BaseModel):
    """One row of an annotation file, as it stands there; further columns are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    id: int = Field(ge=0, le=LARGEST_ID)
    image: Text = Field(min_length=1)
    language: Text
    subtask1_label: Label
    subtask2_labels: tuple[Text, ...]
    text: Text
    title: Text


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
    id: int | None
    image: str
    problem: str


def read_rows(data: bytes, name: str) -> tuple[list[tuple[int, Row]], list[BadRow]]:
    """Parse an annotation file; a bad row costs itself only.

    Args:
        data: the file's bytes.
        name: path or URL, for messages; its ending tells the format: `.jsonl` and `.ndjson` are
            JSON Lines, `.csv` is CSV with a header line, anything else is JSON.

    Returns:
        The good rows with their numbers from 1, and the bad ones.

    Raises:
        UserError: the file as a whole is not what its name says; one line.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: not UTF-8 text (byte {error.start})") from None
    ending = name.split("?")[0].split("#")[0].rsplit(".", 1)[-1].lower()
    if ending in ("jsonl", "ndjson"):
        records: Iterator[Any] = _json_lines(text)
    elif ending == "csv":
        records = _csv(text, name)
    else:
        records = _json(text, name)

    rows: list[tuple[int, Row]] = []
    bad: list[BadRow] = []
    seen: dict[int, int] = {}
    for number, record in enumerate(records, start=1):
        try:
            row = Row.model_validate(record)
        except ValidationError as error:
            bad.append(_bad_row(number, record, error))
            continue
        if row.id in seen:
            problem = f"id = {row.id}: row {seen[row.id]} has it already"
            bad.append(BadRow(number, row.id, row.image, problem))
            continue
        seen[row.id] = number
        rows.append((number, row))
    return rows, bad


def _json(text: str, name: str) -> Iterator[Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise UserError(f"{name}: not JSON: {reason}") from None
    if not isinstance(content, dict) or not isinstance(content.get("pairs"), list):
        raise UserError(f'{name}: expected {{"pairs": [...]}}, an object that holds a list')
    return (_listed_as_tuple(record) for record in content["pairs"])


def _json_lines(text: str) -> Iterator[Any]:
    for line in text.split("\n"):
        if line.strip():
            try:
                yield _listed_as_tuple(json.loads(line))
            except (ValueError, RecursionError):
                yield _Unreadable(line)


def _csv(text: str, name: str) -> Iterator[Any]:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="")
    try:
        missing = sorted(set(Row.model_fields) - set(reader.fieldnames or ()))
        if missing:
            raise UserError(f"{name}: the header line lacks {', '.join(missing)}")
        for cells in reader:
            yield {**cells, "id": _integer(cells["id"]), "subtask2_labels": _labels(cells)}
    except csv.Error as error:
        raise UserError(f"{name}: not CSV: line {reader.line_num}: {error}") from None


def _integer(cell: str | None) -> int | str | None:
    """None, where the line is too short to have the cell, is for the schema to refuse."""
    return int(cell) if cell and cell.strip().isdecimal() and len(cell) < 20 else cell


def _labels(cells: dict[str, Any]) -> Any:
    """A cell's labels: a JSON or Python list, as pandas writes it, or names between semicolons."""
    cell = cells["subtask2_labels"]
    if cell is None or not cell.strip():
        return () if cell is not None else None
    if cell.lstrip().startswith(("[", "(")):
        for parse in (json.loads, ast.literal_eval):
            try:
                value = parse(cell.strip())
                return tuple(value) if isinstance(value, list | tuple) else cell
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
        return cell
    return tuple(part.strip() for part in cell.split(";"))


@dataclass(frozen=True)
class _Unreadable:
    """A line of a JSON Lines file that is no JSON."""

    line: str


def _listed_as_tuple(record: Any) -> Any:
    """Strict validation takes a list for no tuple; the JSON's list becomes one."""
    if isinstance(record, dict) and isinstance(record.get("subtask2_labels"), list):
        return {**record, "subtask2_labels": tuple(record["subtask2_labels"])}
    return record


def _bad_row(number: int, record: Any, error: ValidationError) -> BadRow:
    if isinstance(record, _Unreadable):
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
    usable = type(given) is int and 0 <= given <= LARGEST_ID
    return BadRow(
        number,
        given if usable else None,
        _printable(image) if isinstance(image, str) else "",
        _printable("; ".join(problems)),
    )


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except RecursionError:  # read at a smaller depth of calls than it is shown at
        text = "something nested very deep"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _printable(text: str) -> str:
    """The text on one line, in characters that any file can hold."""
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())
