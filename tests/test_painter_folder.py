"""One folder that paints as it was judged, and says so if it cannot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from painters import write_painter

from pipeline.errors import UserError
from pipeline.models.vqvae import VQVAE
from pipeline.painter import Painter
from pipeline.painter_folder import ABOUT, PainterFolder
from pipeline.sealing import sealed


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_painter(tmp_path_factory.mktemp("painter") / "models")


@pytest.fixture
def own(models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(models, tmp_path / "models"))


def test_a_folder_paints_in_a_line_with_the_settings_that_it_was_judged_with(models):
    painter = Painter.from_pretrained(models)
    painting = painter.paint("A red square on the left")[0]
    assert painting.image.shape == (16, 16, 3)
    assert len(painting.draws) == 3
    explicit = Painter.from_folders(
        **{name: models / name for name in ("blip", "prior", "vqvae", "decoder")},
        device=torch.device("cpu"),
    )
    assert painter.settings == PainterFolder.read(models).settings
    again = explicit.paint(["A red square on the left"], painter.settings, samples=1, seed=0)[0]
    assert np.array_equal(again.draws, painting.draws)


def test_a_setting_is_changed_by_its_name_and_the_others_stay(models):
    painter = Painter.from_pretrained(str(models))
    one = painter.paint("A red square", candidates=1)[0]
    assert len(one.draws) == 1
    assert np.array_equal(one.draws[0], painter.paint("A red square")[0].draws[0])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"guidance": 2.0}, "guidance: unknown key"), ({"top_p": 2.0}, "top_p = 2.0: ")],
)
def test_a_setting_that_cannot_be_is_named(models, wrong, said):
    with pytest.raises(ValueError, match=said):
        Painter.from_pretrained(models).paint("A red square", **wrong)


def test_models_without_settings_must_be_told(models):
    folders = {name: models / name for name in ("blip", "prior", "vqvae", "decoder")}
    painter = Painter.from_folders(**folders, device=torch.device("cpu"))
    with pytest.raises(ValueError, match="expected settings"):
        painter.paint("A red square")


def test_settings_of_other_models_are_never_taken_for_these_models(own):
    vqvae = VQVAE.from_pretrained(own / "vqvae")
    torch.nn.init.normal_(next(vqvae.parameters()))
    vqvae.save_pretrained(own / "vqvae")
    with pytest.raises(UserError, match="vqvae: not the model that .*painter.json was written for"):
        Painter.from_pretrained(own)


def test_another_blip_is_refused_though_only_its_manifest_tells(own):
    manifest = own / "blip/manifest.json"
    entry = json.loads(manifest.read_text())
    entry["files"]["retrieval/model.safetensors"] = "0" * 64
    manifest.write_text(json.dumps(entry))
    with pytest.raises(UserError, match="blip: not the model that .*painter.json was written for"):
        PainterFolder.read(own)


def test_a_missing_or_damaged_part_is_one_line(own, tmp_path):
    with pytest.raises(UserError, match="no such file; expected the folder that `dvc repro`"):
        Painter.from_pretrained(tmp_path)
    text = (own / ABOUT).read_text()
    (own / ABOUT).write_text(text.replace('"temperature": 1.0', '"temperature": 9.0'))
    with pytest.raises(UserError, match="painter.json: damaged"):
        Painter.from_pretrained(own)
    (own / ABOUT).write_text("[]")
    with pytest.raises(UserError, match="painter.json: not what this version writes"):
        Painter.from_pretrained(own)
    (own / ABOUT).write_text(text)
    shutil.rmtree(own / "prior")
    with pytest.raises(UserError, match="prior: no such folder"):
        Painter.from_pretrained(own)


def test_the_file_leads_out_of_no_folder(own):
    entry = json.loads((own / ABOUT).read_text())
    entry.pop("crc32")
    entry["parts"]["prior"]["folder"] = "../../prior"
    (own / ABOUT).write_text(json.dumps(sealed(entry)))
    assert PainterFolder.read(own).parts["prior"] == own / "prior"
