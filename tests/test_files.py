"""Files appear whole or not at all, and JSON and TSV hold what DVC can show."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import UserError
from pipeline.files import replacing, write_json, write_text, write_tsv


def test_a_failed_write_leaves_what_stood_there_and_nothing_else(tmp_path):
    path = tmp_path / "model"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "stale").touch()
    with replacing(path) as aside:
        aside.mkdir()
        (aside / "fresh").touch()
    assert [p.name for p in path.iterdir()] == ["fresh"]
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_keep_six_digits_and_keys_are_sorted(tmp_path):
    write_json(tmp_path / "m.json", {"b": 1 / 3, "a": {"n": 7, "x": 123456789.0}})
    text = (tmp_path / "m.json").read_text()
    assert json.loads(text) == {"a": {"n": 7, "x": 123457000.0}, "b": 0.333333}
    assert text.index('"a"') < text.index('"b"')


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused_by_name_and_nothing_is_written(tmp_path, bad):
    with pytest.raises(ValueError, match=r"m.json: blip: f1: .* is not a finite number"):
        write_json(tmp_path / "m.json", {"blip": {"f1": bad}})
    assert not list(tmp_path.iterdir())


def test_a_table_is_one_line_a_row(tmp_path):
    write_tsv(tmp_path / "c.tsv", [{"step": 1, "loss": 0.1234567}, {"step": 2, "loss": 0.1}])
    assert (tmp_path / "c.tsv").read_text() == "step\tloss\n1\t0.123457\n2\t0.1\n"


def test_what_a_row_has_not_is_an_empty_cell(tmp_path):
    write_tsv(tmp_path / "c.tsv", [{"step": 1, "itm": 0.5}, {"step": 2}, {"step": 3, "lm": 1.5}])
    assert (tmp_path / "c.tsv").read_text() == "step\titm\tlm\n1\t0.5\t\n2\t\t\n3\t\t1.5\n"


def test_a_text_never_takes_the_place_of_a_folder(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match="a folder; expected a file"):
        write_text(tmp_path, "page")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
