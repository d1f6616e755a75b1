"""`codebrush export`: a folder, and a repository on the hub, that paint the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hub_server import TOKEN, HubServer
from painters import write_painter
from tiny import ROOT

from apps import card
from apps import export as sharing
from apps.review.freshness import Stale
from pipeline import hub
from pipeline.errors import UserError
from pipeline.painter import Painter
from pipeline.painter_folder import ABOUT, PainterFolder

SENTENCE = "**42% [37% to 46%] of the pictures show everything.**"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_painter(folder / "models")
    (folder / "metrics").mkdir()
    (folder / "metrics/report.md").write_text(f"# What\n\n{SENTENCE}\n\n## Pictures\n\nx\n")
    (folder / "metrics/data.json").write_text('{"pictures": {"train": 9, "test": 2}, "rows": 11}')
    (folder / "params.yaml").write_text("data: {source: sample}\n")
    return folder


@pytest.fixture
def server():
    """A hub; only a child process can be sent to it: the library reads where it is at import."""
    with HubServer() as server:
        yield server


def command(server: HubServer, home: Path, *arguments: str, token: str = TOKEN):
    environment = {
        **os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(home / "hf"), "HF_TOKEN": token,
        "HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "apps.cli", *arguments],
        cwd=home, env=environment, capture_output=True, text=True, timeout=200,
    )  # fmt: skip


def test_an_export_paints_the_same_bytes_in_another_folder(project, tmp_path):
    sharing.export(project / "models", tmp_path / "shared")
    (tmp_path / "shared").rename(tmp_path / "moved")
    ours, theirs = (
        Painter.from_pretrained(folder).paint("A red square")[0]
        for folder in (project / "models", tmp_path / "moved")
    )
    assert np.array_equal(ours.draws, theirs.draws)
    assert np.array_equal(ours.likelihoods, theirs.likelihoods)
    here, there = (folder / ABOUT for folder in (project / "models", tmp_path / "moved"))
    assert here.read_bytes() == there.read_bytes()  # so the PNGs are the same, facts and all


def test_an_export_has_the_models_and_a_card_and_nothing_else(project, tmp_path):
    shutil.copytree(project / "models", tmp_path / "run/models")
    (tmp_path / "run/models/judge").mkdir()
    sharing.export(tmp_path / "run/models", tmp_path / "shared")
    assert {p.name for p in (tmp_path / "shared").iterdir()} == {
        "README.md", "blip", "decoder", "painter.json", "prior", "vqvae",
    }  # fmt: skip
    for part in ("blip", "decoder", "prior", "vqvae"):
        here, there = (folder / part for folder in (project / "models", tmp_path / "shared"))
        files = {file.relative_to(here) for file in here.rglob("*") if file.is_file()}
        assert files == {f.relative_to(there) for f in there.rglob("*") if f.is_file()}
        assert all((here / f).read_bytes() == (there / f).read_bytes() for f in files)


@pytest.mark.parametrize("part", ["retrieval", "captioner"])
def test_a_damaged_blip_is_not_exported(project, tmp_path, part):
    models = Path(shutil.copytree(project / "models", tmp_path / "models"))
    weights = models / "blip" / part / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=rf"{part}/model.safetensors: damaged"):
        sharing.export(models, tmp_path / "shared")
    assert not (tmp_path / "shared").exists()


def test_the_card_has_the_runs_own_figures_settings_data_and_licence(project, tmp_path):
    sharing.export(project / "models", tmp_path / "shared")
    text = (tmp_path / "shared/README.md").read_text()
    assert SENTENCE in text
    assert "x\n" not in text.split("## Settings")[0].split(SENTENCE)[1]
    assert "| guidance_scale | 1.5 |" in text
    assert "the one is kept of which the prompt is the likeliest caption" in text
    assert "| remask_steps |" not in text  # PixelSNAIL has no use for it
    assert "Pictures: 9 train, 2 test; from 11 rows" in text
    assert text.startswith("---\nlicense: mit\n")


def card_of(params: str, folder: Path) -> str:
    """The card of a run of these params that has no report."""
    write_painter(folder / "run/models")
    (folder / "run/params.yaml").write_text(params)
    sharing.export(folder / "run/models", folder / "shared")
    return (folder / "shared/README.md").read_text()


def test_a_card_of_others_data_claims_no_licence_and_without_a_report_no_figure(project, tmp_path):
    text = card_of("data: {source: musti}\n", tmp_path)
    assert text.startswith("---\nlicense: other\n")
    assert "There is no report beside these models." in text
    assert "MIT, like the code; no data of others" not in text


def test_a_card_of_a_checkpoint_of_others_claims_no_licence(project, tmp_path):
    text = card_of("data: {source: sample}\npretrained: {blip: fetch}\n", tmp_path)
    assert text.startswith("---\nlicense: other\n")
    assert "no data of others went into it" not in text
    assert "BLIP began as a published checkpoint" in text


def test_figures_that_dvc_calls_stale_are_not_told(tmp_path, monkeypatch):
    write_painter(tmp_path / "run/models")
    (tmp_path / "run/metrics").mkdir()
    (tmp_path / "run/metrics/report.md").write_text(f"# What\n\n{SENTENCE}\n")
    (tmp_path / "run/dvc.lock").write_text("")
    monkeypatch.setattr(card, "stale_stages", lambda _: [Stale("evaluate", 1, "generate ran")])
    with pytest.raises(UserError, match="evaluate is stale, so its figures may not be of these"):
        sharing.export(tmp_path / "run/models", tmp_path / "shared")
    assert not (tmp_path / "shared").exists()


def test_a_folder_that_holds_something_is_left_alone(project, tmp_path):
    (tmp_path / "mine").write_text("mine")
    for taken in (tmp_path, tmp_path / "mine"):
        with pytest.raises(UserError, match="holds something already"):
            sharing.export(project / "models", taken)
    assert (tmp_path / "mine").read_text() == "mine"


def test_nobody_loses_the_folder_that_they_stand_in(project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="you are in it"):
        sharing.export(project / "models", Path())


@pytest.mark.parametrize("name", ["painter", "a/b/c", "../x", "a/..", "", "a b/c"])
def test_a_name_that_is_none_is_refused_before_anybody_is_asked(project, tmp_path, name):
    with pytest.raises(UserError, match="expected owner/name"):
        sharing.push(tmp_path, name, private=False)


def test_what_was_pushed_is_fetched_by_its_name_and_paints_the_same_bytes(
    server, project, tmp_path
):
    pushed = command(
        server, tmp_path, "export", "shared", "--models", str(project / "models"),
        "--push", "painter/small", "--private",
    )  # fmt: skip
    assert pushed.returncode == 0, pushed.stderr
    assert server.private == {"painter/small": True}
    assert "README.md" in server.repositories["painter/small"]
    for out, models in (("there", "painter/small"), ("here", str(project / "models"))):
        done = command(server, tmp_path, "paint", "A red square", "--models", models, "--out", out)
        assert done.returncode == 0, done.stderr
    here, there = (next((tmp_path / out).iterdir()) for out in ("here", "there"))
    assert here.name == there.name
    server.asked.clear()
    server.repositories.clear()
    again = command(server, tmp_path, "paint", "A red square", "--models", "nobody/here")
    assert again.returncode == 1
    assert again.stderr.startswith("error: nobody/here: no such folder here, and on the hub: ")
    assert again.stderr.count("\n") == 1
    assert here.read_bytes() == there.read_bytes()


def test_of_a_repository_that_is_no_painter_nothing_large_is_fetched(server, tmp_path):
    server.repositories["big/model"] = {"model.safetensors": b"x" * 100, "config.json": b"{}"}
    server.private["big/model"] = False
    done = command(server, tmp_path, "paint", "A red square", "--models", "big/model")
    assert done.returncode == 1
    assert done.stderr.startswith("error: big/model: no such folder here, and on the hub: ")
    assert not [asked for asked in server.asked if "model.safetensors" in asked]


def test_a_push_that_is_not_allowed_is_one_line(server, project, tmp_path):
    done = command(
        server, tmp_path, "export", "shared", "--models", str(project / "models"),
        "--push", "painter/small", token="hf_wrong",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: --push painter/small: ")
    assert done.stderr.count("\n") == 1
    assert PainterFolder.read(tmp_path / "shared").settings.guidance_scale == 1.5


@pytest.mark.parametrize("name", ["models", "/tmp/a", "../a", "a/b/c", "a/", "a/.b", ".a/b"])
def test_no_path_is_taken_for_a_name_on_the_hub(name):
    assert not hub.is_name(name)


def test_a_folder_goes_before_a_name_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hub.is_name("owner/name")
    (tmp_path / "owner/name").mkdir(parents=True)
    assert not hub.is_name("owner/name")


def test_the_files_painter_json_names_are_those_that_are_there(project, tmp_path):
    sharing.export(project / "models", tmp_path / "shared")
    entry = json.loads((tmp_path / "shared/painter.json").read_text())
    assert {part["folder"] for part in entry["parts"].values()} == {
        "blip",
        "prior",
        "vqvae",
        "decoder",
    }
