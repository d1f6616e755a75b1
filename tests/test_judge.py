"""The judge: what it learns, that it knows pixels alone, and whom it catches."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from tiny import ROOT, TINY, change

from apps.code_deps import imported, module_file
from pipeline.errors import UserError
from pipeline.evaluation.attributes import attribute_accuracy
from pipeline.evaluation.judging import answers_if_fit, fit_judge
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.files import write_json
from pipeline.judge.augmentation import padded, views
from pipeline.judge.model import Judge
from pipeline.judge.pictures import HELD_OUT, TRAINING, fresh_pictures
from pipeline.judge.train import JudgeSettings, share_right, train_judge, training_titles
from pipeline.sample import ROWS
from pipeline.sample.attributes import ALLOWED, ATTRIBUTES, SIZES, VALUES, WAYS, encode
from pipeline.sample.scene import CHOICES, KINDS, Scene
from pipeline.sample.titles import TITLES, parse
from pipeline.sample.words import title
from stages.layout import AHEAD

CPU = torch.device("cpu")
SIZE = 48


def settings(**changes: int | float) -> JudgeSettings:
    values = {
        "seed": 0, "pictures": 20, "held_out_pictures": 10, "image_size": 32, "max_shift": 2,
        "channel": 4, "steps": 2, "batch_size": 8, "lr": 5e-3,
    }  # fmt: skip
    return JudgeSettings(**{**values, **changes})


def painted(titles: list[str], *, seed: int = 5) -> np.ndarray:
    return fresh_pictures(titles, purpose=HELD_OUT, size=SIZE, image_size=32, seed=seed, workers=1)


@pytest.fixture(scope="module")
def each_title() -> np.ndarray:
    """A real picture of each title, in the order of `TITLES`."""
    return painted(list(TITLES))


@pytest.fixture(scope="module")
def judge() -> Judge:
    """A judge of moderate training: good at kind and light, not yet at counting."""
    return train_judge(
        settings(pictures=510, channel=16, steps=350, batch_size=32), picture_size=SIZE, device=CPU
    )


def modules_of(*names: str) -> set[str]:
    """The project's files that these modules import, directly or not."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        path = module_file(waiting.pop())
        if path is not None and path not in found:
            found.add(path)
            waiting += imported(path)
    return found


def test_the_judge_has_never_met_blip() -> None:
    names = ["pipeline.evaluation.attributes", "pipeline.evaluation.judging", "stages.train_judge"]
    names += [f"pipeline.judge.{p.stem}" for p in (ROOT / "pipeline" / "judge").glob("*.py")]
    files = modules_of(*names)
    assert "pipeline/judge/model.py" in files
    forbidden = ("blip", "embeddings", "condition", "tokenizer", "pixelsnail", "vqvae", "sampling")
    assert not [path for path in files if any(word in path for word in forbidden)]


def test_no_run_paints_the_judges_pictures() -> None:
    assert len({TRAINING, HELD_OUT} | set(range(ROWS + 1))) == 4
    lines = ["Blue ship in a storm at night"] * 2
    first, second = painted(lines)
    assert (first != second).any()
    learnt = fresh_pictures(lines, purpose=TRAINING, size=SIZE, image_size=32, seed=5, workers=1)
    assert (learnt[0] != first).any()


def test_the_number_of_painters_changes_nothing() -> None:
    lines = list(TITLES[:7])
    two = fresh_pictures(lines, purpose=HELD_OUT, size=SIZE, image_size=32, seed=5, workers=2)
    assert np.array_equal(two, painted(lines))


def test_the_judge_learns_from_every_title_and_most_from_birds() -> None:
    kinds = [parse(line).kind for line in training_titles(2720)]
    assert set(training_titles(2720)) == set(TITLES)
    assert kinds.count("bird") == 800
    assert min(kinds.count(kind) for kind in KINDS) == 160


def test_scenes_as_numbers_tell_all_and_know_what_a_kind_can_have() -> None:
    rows = encode([parse(line) for line in TITLES])
    assert len({tuple(row) for row in rows.tolist()}) == 337
    assert tuple(len(VALUES[name]) for name in ATTRIBUTES) == SIZES
    assert WAYS[KINDS.index("bird")].tolist() == [10, 5, 3, 1, 2, 3]
    assert ALLOWED.sum(axis=1).tolist() == WAYS.sum(axis=1).tolist()


def test_answers_are_values_that_the_asked_kind_has_and_the_kind_is_free() -> None:
    torch.manual_seed(0)
    untaught = Judge(image_size=32, channel=4).eval()
    lines = list(TITLES)
    seen = untaught.answers(
        np.random.default_rng(0).integers(0, 256, (337, 48, 48, 3), "uint8"), lines
    )
    assert seen.shape == (337, 6)
    assert (seen[:, 0] != encode([parse(line) for line in lines])[:, 0]).any()
    for line, row in zip(lines, seen.tolist(), strict=True):
        choices = CHOICES[parse(line).kind]
        for name, value in zip(ATTRIBUTES[1:], row[1:], strict=True):
            assert VALUES[name][value] in getattr(choices, f"{name}s")


def test_views_keep_their_size_and_some_pictures_stay_as_they_are() -> None:
    torch.manual_seed(0)
    pictures = torch.from_numpy(painted(list(TITLES[:8])))
    room = padded(pictures, 0)
    assert torch.equal(room, pictures)
    batch = views(padded(pictures, 3), torch.arange(8), max_shift=3)
    assert batch.shape == (8, 3, 32, 32)
    assert float(batch[:6].abs().max()) < 2.0
    still = views(room, torch.arange(8), max_shift=0)[-1]
    as_it_is = pictures[7].permute(2, 0, 1).float() / 127.5 - 1
    assert torch.equal(still, as_it_is) or torch.equal(still, as_it_is.flip(2))


def test_it_learns_from_pixels(judge: Judge, each_title: np.ndarray) -> None:
    lines = list(TITLES)
    figures = dict(attribute_accuracy(lines, judge.answers(each_title, lines)))
    assert figures["kind"] > 0.95
    assert figures["light"] > 0.9
    assert figures["colour"] > 0.9


def test_it_is_as_good_on_other_sizes_and_soft_pictures(
    judge: Judge, each_title: np.ndarray
) -> None:
    lines = list(TITLES)
    pictures = [Image.fromarray(picture) for picture in each_title]
    for worse in (
        [np.asarray(p.resize((64, 64), Image.Resampling.BICUBIC)) for p in pictures],
        [np.asarray(p.filter(ImageFilter.GaussianBlur(0.7))) for p in pictures],
    ):
        figures = dict(attribute_accuracy(lines, judge.answers(np.stack(worse), lines)))
        assert figures["kind"] > 0.9
        assert figures["colour"] > 0.85


def test_it_catches_a_painter_that_ignores_number(judge: Judge) -> None:
    rng = np.random.default_rng(1)
    asked = [line for line in TITLES if len(CHOICES[parse(line).kind].counts) > 1]
    scenes = [parse(line) for line in asked]
    drawn = [
        title(Scene(s.kind, s.colour, int(rng.integers(1, 4)), s.sort, s.setting, s.light))
        for s in scenes
    ]
    figures = dict(attribute_accuracy(asked, judge.answers(painted(drawn), asked)))
    assert abs(figures["count"] - 1 / 3) < 3 * math.sqrt(2 / 9 / len(asked))
    assert figures["kind"] > 0.95


def test_it_catches_a_painter_that_swaps_prompts(judge: Judge, each_title: np.ndarray) -> None:
    asked = [*TITLES[150:], *TITLES[:150]]
    figures = dict(attribute_accuracy(asked, judge.answers(each_title, asked)))
    assert figures["all"] < 0.01
    assert figures["kind"] < 0.2


def test_a_judge_that_is_unfit_or_absent_is_left_out_by_name(judge: Judge, tmp_path: Path) -> None:
    judge.save_pretrained(tmp_path / "network")
    with pytest.raises(UserError, match="run train_judge"):
        fit_judge(tmp_path, device=CPU)
    write_json(tmp_path / "fitness.json", {"absence": "", "pictures": 10, "all": 0.5})
    with pytest.raises(Unmeasurable, match="0.500 of held-out real pictures"):
        fit_judge(tmp_path, device=CPU)
    write_json(tmp_path / "fitness.json", {"absence": "no titles", "pictures": 0, "all": 0.0})
    with pytest.raises(Unmeasurable, match="no titles"):
        fit_judge(tmp_path, device=CPU)
    write_json(tmp_path / "fitness.json", {"absence": "", "pictures": 10, "all": 1.0})
    loaded = fit_judge(tmp_path, device=CPU)
    lines = list(TITLES[:50])
    assert np.array_equal(
        loaded.answers(painted(lines), lines), judge.answers(painted(lines), lines)
    )
    with pytest.raises(Unmeasurable, match="of reconstructions right"):
        answers_if_fit(loaded, np.zeros((50, 32, 32, 3), dtype=np.uint8), lines)


def test_how_fit_it_is_is_told_of_pictures_it_has_not_seen(judge: Judge) -> None:
    share = share_right(judge, settings(held_out_pictures=100), picture_size=SIZE)
    assert 0.2 < share < 1.0


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("pipeline", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    change(tmp_path, TINY)
    return tmp_path


def run_stage(project: Path) -> tuple[dict[str, bytes], str]:
    """The bytes that the stage leaves, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "stages", "train_judge"],
        cwd=project, capture_output=True, text=True, check=True,
    )  # fmt: skip
    folder = project / "models" / "judge"
    files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return files, done.stderr


def test_the_stage_makes_the_same_bytes_whatever_the_runs_seed(project: Path) -> None:
    first, said = run_stage(project)
    network = {"network/config.json", "network/model.safetensors"}
    assert set(first) == {"fitness.json", "manifest.json", *network}
    assert "held-out pictures right" in said
    change(project, {"seed": 7})
    assert run_stage(project)[0] == first


def test_one_trained_ahead_is_taken_as_it_is_and_has_the_same_bytes(project: Path) -> None:
    plain, said = run_stage(project)
    assert "judge: 2/2 in" in said
    shutil.rmtree(project / "models")
    shutil.rmtree(project / ".scratch")
    with subprocess.Popen(
        [sys.executable, "-m", "stages", "train_judge"], cwd=project, stdin=subprocess.PIPE,
        env={**os.environ, AHEAD: "1"},
    ) as ahead:  # fmt: skip
        assert ahead.wait(timeout=120) == 0
    assert not (project / "models").exists()
    taken, said = run_stage(project)
    assert taken == plain
    assert "judge: 2/2 in" not in said


def test_other_data_has_no_judge_and_is_told_so_in_one_line(project: Path) -> None:
    change(project, {"data": {"source": "json"}})
    files, said = run_stage(project)
    assert set(files) == {"fitness.json", "manifest.json"}
    assert json.loads(files["fitness.json"])["all"] == 0.0
    assert said.splitlines() == [
        "no judge: a judge knows the sample's titles alone, and data.source is json"
    ]
