"""`codebrush pictures`: what a run learns from, in a folder to look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from image_server import encoded, paint
from typer.testing import CliRunner

from apps.cli import app
from apps.pictures import unpack
from pipeline.data.images import content_name
from pipeline.data.picture_shards import write_shards
from pipeline.errors import UserError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    files = {}
    for number in range(3):
        data = encoded(paint(f"{number}"))
        files[f"{content_name(data)}.jpg"] = tmp_path / f"{number}.jpg"
        (tmp_path / f"{number}.jpg").write_bytes(data)
    write_shards(tmp_path / "run" / "data" / "images", files.items())
    return tmp_path / "run"


def test_every_picture_is_unpacked_as_it_came(run: Path, tmp_path: Path):
    done = CliRunner().invoke(app, ["pictures", str(tmp_path / "seen"), "--run", str(run)])
    assert done.stdout.endswith("seen  3 pictures\n")
    came = {(tmp_path / f"{number}.jpg").read_bytes() for number in range(3)}
    assert {path.read_bytes() for path in (tmp_path / "seen").iterdir()} == came


def test_a_folder_that_holds_something_is_left_alone(run: Path, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="mine: holds something already"):
        unpack(run, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_a_run_without_pictures_is_one_line(tmp_path: Path):
    with pytest.raises(UserError, match="no shards of pictures; the download stage makes them"):
        unpack(tmp_path, tmp_path / "seen")
    assert not (tmp_path / "seen").exists()
