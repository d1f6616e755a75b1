"""Annotation files: a bad row costs itself, a bad file one line, nothing a traceback."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intakes import rows_of

from pipeline.download.schema import BadRow, Row
from pipeline.errors import UserError

GOOD: dict[str, Any] = {
    "id": 1,
    "image": "images/a.png",
    "language": "en",
    "subtask1_label": "YES",
    "subtask2_labels": ["dog", " smoke"],
    "text": "A dog.",
    "title": "Dog",
}


def as_json(*rows: object) -> bytes:
    return json.dumps({"pairs": rows}).encode()


def as_csv(*rows: dict[str, Any]) -> bytes:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(GOOD))
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def only(rows: list[tuple[int, Row]]) -> Row:
    ((_, row),) = rows
    return row


def problem(row: dict[str, Any]) -> BadRow:
    rows, (bad,) = rows_of(as_json({**GOOD, "id": 7}, row), "x.json")
    assert [r.id for _, r in rows] == [7]
    assert bad.number == 2
    assert "\n" not in bad.problem
    return bad


@contextmanager
def one_line_at_most() -> Iterator[None]:
    """What a user may be told about a file as a whole: nothing, or one line."""
    try:
        yield
    except UserError as error:
        if "\n" in str(error):
            raise AssertionError(str(error)) from None


def test_a_row_is_read_as_it_stands() -> None:
    row = only(rows_of(as_json(GOOD), "x.json")[0])
    assert row.model_dump() == {**GOOD, "subtask2_labels": ("dog", " smoke")}


def test_json_lines_and_csv_say_the_same_as_json() -> None:
    expected = only(rows_of(as_json(GOOD), "x.json")[0])
    lines = json.dumps(GOOD).encode() + b"\n\n"
    listed = {**GOOD, "subtask2_labels": '["dog", " smoke"]'}
    as_pandas_writes_it = {**GOOD, "subtask2_labels": "['dog', ' smoke']"}
    assert only(rows_of(lines, "x.jsonl")[0]) == expected
    assert only(rows_of(as_csv(listed), "x.csv")[0]) == expected
    assert only(rows_of(as_csv(as_pandas_writes_it), "https://host/x.csv?v=1")[0]) == expected
    simple = only(rows_of(as_csv({**GOOD, "subtask2_labels": "dog; smoke"}), "x.CSV")[0])
    assert simple.subtask2_labels == ("dog", "smoke")
    assert only(rows_of(as_csv({**GOOD, "subtask2_labels": ""}), "x.csv")[0]).subtask2_labels == ()


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    assert len(rows_of(b"\xef\xbb\xbf" + as_json(GOOD), "x.json")[0]) == 1
    assert len(rows_of(b"\xef\xbb\xbf" + as_csv({**GOOD, "subtask2_labels": ""}), "x.csv")[0]) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", " "),
        ("id", True),
        ("id", None),
        ("id", 1.5),
        ("id", -1),
        ("id", 10**30),
        ("image", ""),
        ("image", None),
        ("language", 3),
        ("subtask1_label", "MAYBE"),
        ("subtask1_label", 7),
        ("subtask2_labels", "dog"),
        ("subtask2_labels", [1]),
        ("text", {"en": "A dog."}),
        ("title", ["x"]),
        ("title", "half \ud800 a pair"),
    ],
)
def test_a_wrong_value_costs_its_row_and_is_named(field: str, value: object) -> None:
    bad = problem({**GOOD, field: value})
    assert bad.problem.startswith(field)
    assert " = " in bad.problem


@pytest.mark.parametrize("field", list(GOOD))
def test_a_missing_field_costs_its_row_and_is_named(field: str) -> None:
    assert problem({k: v for k, v in GOOD.items() if k != field}).problem == f"{field}: missing"


def test_a_row_that_is_no_object_is_left_out() -> None:
    rows, bad = rows_of(as_json(3, None, [GOOD], GOOD), "x.json")
    assert len(rows) == 1
    assert [b.number for b in bad] == [1, 2, 3]


def test_a_bad_line_of_json_lines_costs_itself() -> None:
    rows, (bad,) = rows_of(b"{nope\n" + json.dumps(GOOD).encode(), "x.jsonl")
    assert only(rows).id == 1
    assert bad.problem == "not JSON: '{nope'"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json",
        b'{"pairs": [',
        b"[]",
        b"{}",
        b'{"pairs": {}}',
        b'{"pairs": null}',
        b"null",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"pairs": [' + b"1" * 5000 + b"]}",
    ],
)
def test_a_file_that_is_no_annotation_file_fails_with_one_line(data: bytes) -> None:
    with pytest.raises(UserError) as caught:
        rows_of(data, "x.json")
    assert str(caught.value).startswith("x.json: ")
    assert "\n" not in str(caught.value)


def test_a_csv_line_cut_short_costs_only_itself() -> None:
    names = [name for name in GOOD if name != "id"] + ["id"]  # what is cut off is the id
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names)
    writer.writeheader()
    writer.writerow({**GOOD, "subtask2_labels": ""})
    rows, bad = rows_of((stream.getvalue() + "a.jpg,en\r\n").encode(), "x.csv")
    assert len(rows) == 1
    assert [row.number for row in bad] == [2]
    assert "id = None" in bad[0].problem


def test_a_csv_file_without_a_column_fails_with_its_name() -> None:
    with pytest.raises(UserError, match=r"x\.csv: the header line lacks subtask2_labels, title"):
        rows_of(b"id,image,language,subtask1_label,text\n1,a,en,YES,t\n", "x.csv")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
rows_with_damage = st.fixed_dictionaries(
    {}, optional={name: json_values | st.just(value) for name, value in GOOD.items()}
)


@settings(max_examples=100, deadline=None)
@given(st.lists(rows_with_damage | json_values, max_size=6), st.sampled_from(["json", "jsonl"]))
def test_no_json_makes_a_traceback(rows: list[Any], ending: str) -> None:
    if ending == "json":
        data = json.dumps({"pairs": rows}).encode()
    else:
        data = "\n".join(json.dumps(row) for row in rows).encode()
    good, bad = rows_of(data, f"x.{ending}")
    assert len(good) + len(bad) == len(rows)
    for entry in bad:
        assert entry.problem.encode()
        assert entry.image.encode() is not None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda t: t.encode("utf-8", "replace")))
def test_no_bytes_make_a_traceback(data: bytes) -> None:
    for ending in ("json", "jsonl", "csv"):
        with one_line_at_most():
            rows_of(data, f"x.{ending}")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.text(max_size=8), max_size=9), max_size=5))
def test_no_csv_cells_make_a_traceback(cells: list[list[str]]) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerows([list(GOOD), *cells])
    with one_line_at_most():
        rows_of(stream.getvalue().encode("utf-8", "replace"), "x.csv")
