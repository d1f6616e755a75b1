"""`codebrush paint`: pictures from a line of text, and one line for what cannot be painted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from painters import write_painter
from PIL import Image
from tiny import ROOT
from typer.testing import CliRunner

from apps import cli, environment
from apps.painting import read_prompts
from pipeline.errors import UserError
from pipeline.painter import Painter


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_painter(tmp_path_factory.mktemp("painter") / "models")


@pytest.fixture
def run(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs `codebrush paint` in this process, with the models in the current folder."""
    monkeypatch.setattr(environment.os, "environ", dict(environment.os.environ))
    monkeypatch.chdir(tmp_path)
    Path("models").symlink_to(models)

    def paint(*arguments: str, **given):
        return CliRunner().invoke(cli.app, ["paint", *arguments], **given)

    return paint


def test_a_picture_from_the_shell_is_the_one_that_python_paints(models, tmp_path):
    command = [sys.executable, "-m", "apps.cli", "paint", "A red square", "--models", str(models)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=100,
        env={**environment.os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "paintings").iterdir()
    with Image.open(path) as image:
        assert np.array_equal(image, Painter.from_pretrained(models).paint("A red square")[0].image)


def test_a_picture_holds_what_it_can_be_painted_again_from(run):
    assert run("A red  square", "--seed", "7", "--guidance", "3", "--out", "here").exit_code == 0
    (path,) = Path("here").iterdir()
    with Image.open(path) as image:
        facts, pixels = dict(image.text), np.asarray(image)
    assert {"likelihood", "models"} <= set(facts)
    settings = json.loads(facts["settings"])
    assert settings["guidance_scale"] == 3.0
    again = Painter.from_pretrained("models").paint(
        facts["prompt"], seed=int(facts["seed"]), **settings
    )[int(facts["sample"])]
    assert again.chosen == int(facts["candidate"])
    assert np.array_equal(again.image, pixels)


def test_a_picture_of_other_settings_does_not_take_the_place_of_the_first(run):
    for guidance in ("1", "3", "1"):
        assert run("A red square", "--seed", "7", "--guidance", guidance).exit_code == 0
    first, second = sorted(Path("paintings").iterdir(), key=lambda path: len(path.name))
    assert second.name == f"{first.stem}-2.png"
    assert first.read_bytes() != second.read_bytes()


def test_prompts_of_standard_input_are_painted_one_a_line_with_a_sheet_of_all(run):
    done = run("--file", "-", "--n", "2", input="A red square\n\n  \nA blue square\nA red square\n")
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in Path("paintings").iterdir())
    assert len(names) == 5
    assert "contact-sheet.png" in names
    assert [line.split("  ")[0] for line in done.stdout.splitlines()][-1].endswith(".png")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to paint"),
        ([" "], "prompt 1 is empty"),
        (["red " * 5000], "tokens, the text model takes at most 16"),
        (["a", "--temperature", "0"], "temperature = 0.0: "),
        (["a", "--top-k", "9"], "top_k = 9: at most 8"),
        (["a", "--models", "elsewhere"], "elsewhere/painter.json: no such file"),
        (["--file", "missing.txt"], "missing.txt: No such file"),
        (["a", "--guidance", "inf"], "guidance_scale = inf: "),
        (["a", "--out", "models/painter.json"], "painter.json: a file; expected a folder"),
    ],
)
def test_what_cannot_be_painted_is_one_line_and_no_picture(run, arguments, said):
    done = run(*arguments)
    assert isinstance(done.exception, UserError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not list(Path().rglob("*.png"))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not UTF-8 text"):
        read_prompts(str(tmp_path / "x"))
    (tmp_path / "x").write_bytes(b"\n \n")
    with pytest.raises(UserError, match="no prompt in it"):
        read_prompts(str(tmp_path / "x"))
