"""Hugging Face data sets in Parquet as a source; damage costs a line, never a traceback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from image_server import TEST_HTTP, encoded, paint
from intakes import left_out, report_table, settings, taken

from pipeline.download.intake import Intake
from pipeline.download.sources import open_source
from pipeline.errors import UserError

COUNT = 12


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(**files: Any) -> Intake:
    chosen = settings(source="parquet", http=TEST_HTTP.model_dump(), parquet=files)
    return taken(Path("store"), lambda store: open_source(chosen, seed=1, store=store), chosen)


def rows(start: int, count: int = COUNT) -> dict[str, list[Any]]:
    names = [f"r{number}" for number in range(start, start + count)]
    return {
        "image": [{"bytes": encoded(paint(name)), "path": f"{name}.jpg"} for name in names],
        "caption": [f"Title {name}" for name in names],
        "label": [number % 3 for number in range(count)],
        "artist": [{"name": "Blake"}] * count,
    }


def write(path: str, columns: dict[str, list[Any]], **options: Any) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    Path(path).parent.mkdir(exist_ok=True)
    parquet.write_table(pyarrow.table(columns), path, row_group_size=5, **options)
    return Path(path).read_bytes()


def test_the_files_of_a_data_set_are_a_source_split_like_any_other() -> None:
    write("data/train-00000-of-00002.parquet", rows(0))
    write("data/train-00001-of-00002.parquet", rows(20), compression="zstd")
    write("data/test-00000-of-00001.parquet", rows(50, 4))
    intake = read(train="data/train-*.parquet", test="data/test-*.parquet")
    assert left_out(intake) == {}
    assert len(intake.pairs) == 2 * COUNT + 4
    assert {p.title for p in intake.pairs if p.split == "test"} == {
        f"Title r{number}" for number in range(50, 54)
    }
    assert report_table(intake)["id"].tolist()[0] == "train-00000-of-00002/0"


def test_columns_are_mapped_and_pictures_may_be_plain_bytes() -> None:
    columns = rows(0)
    columns["picture"] = [entry["bytes"] for entry in columns.pop("image")]
    write("a.parquet", columns)
    mapping = {"image": "picture", "title": "caption", "text": "{label}: {caption}"}
    intake = read(train="a.parquet", columns=mapping)
    assert {pair.text for pair in intake.pairs} >= {"0: Title r0", "2: Title r2"}


def test_rows_without_a_picture_or_with_a_huge_one_have_a_line_each() -> None:
    columns = rows(0)
    columns["image"][1] = {"bytes": None, "path": "https://example.org/1.jpg"}
    columns["image"][2] = None
    columns["image"][3] = {"bytes": bytes(TEST_HTTP.max_bytes + 1), "path": None}
    columns["image"][4] = {"bytes": b"<html>", "path": "../../x"}
    columns["caption"][5] = None
    write("a.parquet", columns)
    intake = read(train="a.parquet")
    table = report_table(intake)
    said = dict(zip(table["id"], table["reason"] + " " + table["detail"], strict=True))
    for number, problem in {
        1: "bad_row no picture", 2: "bad_row no picture", 3: "bad_row too large",
        4: "not_a_picture",
    }.items():  # fmt: skip
        assert problem in said[f"a/{number}"]
    assert len(intake.pairs) == COUNT - 4


def test_a_damaged_file_is_a_line_and_the_others_are_read() -> None:
    whole = write("set/a.parquet", rows(0))
    write("set/b.parquet", rows(20))
    Path("set/c.parquet").write_bytes(whole[: len(whole) // 2])
    Path("set/d.parquet").write_bytes(b"")
    middle = len(whole) // 2
    Path("set/e.parquet").write_bytes(whole[:middle] + bytes(200) + whole[middle + 200 :])
    table = report_table(read(train="set"))
    bad = table[table["reason"] == "bad_row"]
    assert {"c.parquet", "d.parquet"} <= set(bad["image"])
    assert all("not whole" in detail for detail in bad["detail"] if "rows of it" in detail)
    assert (table["kept"] == "yes").sum() >= 2 * COUNT


def test_what_is_no_data_set_of_pictures_is_one_line() -> None:
    columns = rows(0)
    columns.pop("image")
    write("a.parquet", columns)
    write("b.parquet", {**columns, "image": ["https://example.org/1.jpg"] * COUNT})
    write("c.parquet", {"image": [{"bytes": b"x", "path": ""}], "width": [1]})
    for at, said in [
        ("a.parquet", r"no image among its columns \(caption, label"),
        ("b.parquet", "holds no pictures but string"),
        ("c.parquet", "none of text, caption"),
        ("d.parquet", "no such file"),
    ]:
        with pytest.raises(UserError, match=said):
            read(train=at)


def test_one_line_says_that_pyarrow_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    Path("a.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"pip install 'codebrush\[parquet\]'"):
        read(train="a.parquet")
