"""`codebrush repaint`: an area painted anew, and one line for what cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from painters import write_painter
from PIL import Image
from typer.testing import CliRunner

from apps import cli, environment
from pipeline.errors import UserError

PROMPT = "A red square"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("painters")
    return {
        family: write_painter(folder / family, family=family)
        for family in ("pixelsnail", "diffusion")
    }


@pytest.fixture
def run(models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs `codebrush repaint` in this process, beside `picture.png`."""
    monkeypatch.setattr(environment.os, "environ", dict(environment.os.environ))
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("picture.png")

    def repaint(*arguments: str, family: str = "diffusion", picture: str = "picture.png"):
        given = ["repaint", picture, PROMPT, *arguments, "--models", str(models[family])]
        return CliRunner().invoke(cli.app, given)

    return repaint


def test_a_box_is_painted_anew_and_the_rest_stays(run):
    done = run("--box", "4,4,8,5", "-n", "3", "--seed", "2")
    assert done.exit_code == 0, done.output
    written = sorted(Path("paintings").glob("a-red-square-*.png"))
    assert len(written) == 3
    assert Path("paintings/contact-sheet.png").exists()
    before = np.asarray(Image.open("picture.png"))
    for path in written:
        with Image.open(path) as image:
            after = np.asarray(image)
            assert image.text["repainted"] == "40 pixels of picture.png"
        changed = (after != before).any(axis=-1)
        assert changed[4:9, 4:12].any()
        changed[4:9, 4:12] = False
        assert not changed.any()


def test_a_mask_says_the_same_as_a_box(run):
    mask = np.zeros((16, 16), dtype=np.uint8)
    mask[4:9, 4:12] = 255
    Image.fromarray(mask).save("mask.png")
    run("--box", "4,4,8,5")
    (boxed,) = Path("paintings").glob("a-red*.png")
    first = np.asarray(Image.open(boxed))
    boxed.unlink()
    run("--mask", "mask.png")
    (masked,) = Path("paintings").glob("a-red*.png")
    assert np.array_equal(first, np.asarray(Image.open(masked)))


@pytest.mark.parametrize(
    ("arguments", "changes", "words"),
    [
        ((), {}, "expected --box X,Y,W,H or --mask FILE"),
        (("--box", "1,2,3"), {}, "expected four whole numbers"),
        (("--box", "1,2,3,-4"), {}, "expected four whole numbers"),
        (("--box", "10,10,8,2"), {}, "inside of 16 x 16"),
        (("--box", "1,1,0,2"), {}, "inside of 16 x 16"),
        (("--mask", "none.png"), {}, "none.png: No such file"),
        (("--box", "1,1,2,2"), {"picture": "none.png"}, "none.png: No such file"),
        (("--box", "1,1,2,2"), {"picture": "text.png"}, "text.png: no picture"),
        (("--box", "1,1,2,2"), {"picture": "large.png"}, "32 x 32 pixels, expected 16 x 16"),
        (("--box", "1,1,2,2"), {"family": "pixelsnail"}, "PixelSNAIL draws .* row by row"),
        (("--box", "1,1,2,2", "--steps", "0"), {}, "steps"),
    ],
)
def test_what_cannot_be_repainted_is_one_line(run, arguments, changes, words):
    Path("text.png").write_text("no picture")
    Image.new("RGB", (32, 32)).save("large.png")
    done = run(*arguments, **changes)
    assert isinstance(done.exception, UserError)
    with pytest.raises(UserError, match=words):
        raise done.exception
    assert not Path("paintings").exists()
