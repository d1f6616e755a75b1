"""Files as people have them: encodings, delimiters, ids, nothing, and columns of their own."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from intakes import rows_of
from test_schema import GOOD, as_json, only

from pipeline.download.schema import Row
from pipeline.errors import UserError

ROW = {**GOOD, "subtask2_labels": "dog;smoke", "title": "L'église d'Auvers – “Ship”"}
EXPECTED = Row(**{**ROW, "subtask2_labels": ("dog", "smoke")})


def as_text(
    row: dict[str, Any] = ROW, delimiter: str = ",", header: list[str] | None = None
) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter)
    writer.writerow(header or list(row))
    writer.writerow(row.values())
    return stream.getvalue()


def read(data: bytes, name: str = "x.csv", **options: Any) -> tuple[Row, list[str]]:
    told: list[str] = []
    rows, bad = rows_of(data, name, tell=told.append, **options)
    assert bad == []
    return only(rows), told


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("said", [False, True])
def test_a_table_is_read_whatever_is_between_its_cells(delimiter: str, said: bool) -> None:
    text = as_text({**ROW, "subtask2_labels": "dog|smoke"}, delimiter)
    if said:
        text = f"sep={delimiter}\r\n{text}"
    assert read(text.encode())[0] == EXPECTED


def test_a_delimiter_that_is_said_is_used_and_the_one_found_is_named() -> None:
    assert read(f"sep=~\n{as_text(delimiter='~')}".encode())[0] == EXPECTED
    with pytest.raises(UserError, match=r"lacks title; between semicolons it has id, image"):
        read(as_text(delimiter=";").replace("title", "titel").encode())


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "cp1252"]
)
@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.json", "x.jsonl"])
def test_every_encoding_is_read_and_a_guessed_one_told(encoding: str, name: str) -> None:
    record = {**ROW, "subtask2_labels": ["dog", "smoke"]}
    text = {
        "x.json": json.dumps({"pairs": [record]}, ensure_ascii=False),
        "x.jsonl": json.dumps(record, ensure_ascii=False),
        "x.tsv": as_text(delimiter="\t"),
        "x.csv": as_text(),
    }[name]
    row, told = read(text.encode(encoding), name)
    assert row == EXPECTED
    guess = {"cp1252": "taken for Windows-1252", "utf-16-le": "taken for UTF-16-LE"}.get(encoding)
    assert len(told) == (guess is not None)
    assert guess is None or guess in told[0]


def test_a_header_may_be_in_other_case_and_with_blanks() -> None:
    header = [
        "ID",
        " Image ",
        "LANGUAGE",
        "Subtask1 Label",
        "subtask2_labels\u00a0",
        "Text",
        "Title",
    ]
    assert read(as_text(header=header).encode())[0] == EXPECTED


@pytest.mark.parametrize(
    ("field", "value", "read_as"),
    [
        ("title", None, ""),
        ("text", float("nan"), ""),
        ("title", 1917, "1917"),
        ("title", 12.0, "12"),
        ("subtask1_label", None, ""),
        ("subtask1_label", "yes", "YES"),
        ("subtask1_label", " No ", "NO"),
        ("subtask1_label", "NaN", ""),
        ("subtask1_label", True, "YES"),
        ("subtask2_labels", None, ()),
        ("language", None, ""),
        ("language", " EN", "en"),
        ("id", "17", 17),
        ("id", 17.0, 17),
        ("id", "007", "007"),
        ("id", "1979.486.1", "1979.486.1"),
        ("id", "N01234", "N01234"),
        ("id", "20230000012345", "20230000012345"),
    ],
)
def test_what_tables_write_for_a_value_is_understood(
    field: str, value: object, read_as: object
) -> None:
    assert getattr(read(as_json({**GOOD, field: value}), "x.json")[0], field) == read_as


def test_a_list_of_rows_is_an_annotation_file_too() -> None:
    assert read(json.dumps([GOOD]).encode(), "x.json")[0].title == "Dog"


def test_columns_of_other_names_are_mapped_and_the_rest_is_filled_in() -> None:
    table = "Object Number;File;Object Title;Kind\n1.2;a.jpg;Ship;boat|sea\n1.3;b.jpg;;\n"
    columns = {"image": "img/{file}", "title": "object title", "subtask2_labels": "Kind"}
    rows, bad = rows_of(table.encode(), "x.csv", columns=columns)
    assert bad == []
    assert rows[0][1] == Row(
        id=1, image="img/a.jpg", language="", subtask1_label="",
        subtask2_labels=("boat", "sea"), text="", title="Ship",
    )  # fmt: skip
    assert (rows[1][1].id, rows[1][1].title, rows[1][1].subtask2_labels) == (2, "", ())
    by_number = rows_of(table.encode(), "x.csv", columns={**columns, "id": "Object Number"})
    assert [row.id for _, row in by_number[0]] == ["1.2", "1.3"]


def test_a_mapping_to_a_column_that_is_not_there_is_one_line() -> None:
    with pytest.raises(UserError, match="lacks Titel; between commas it has File, Title"):
        rows_of(b"File,Title\na,b\n", "x.csv", columns={"image": "File", "title": "Titel"})
    with pytest.raises(UserError, match="must name image, and title or text"):
        rows_of(b"File,Title\na,b\n", "x.csv", columns={"title": "Title"})


def test_a_column_of_musti_s_name_that_means_something_else_can_be_kept_out() -> None:
    columns = {"image": "File", "title": "Name", "language": ""}
    assert read(b"File,Name,Language\na,b,English\n", columns=columns)[0].language == ""
