"""Every public argument that is a path takes a string too."""

from __future__ import annotations

import shutil
from pathlib import Path

import blips
import embedded
import numpy as np
import pytest
import torch
from flows import build_flow
from test_painter import build
from tiny import ROOT

from pipeline.codes import CodeStore
from pipeline.codes.store import Record
from pipeline.data.condition import TextCondition
from pipeline.data.embeddings import ImageEmbeddings, TextEmbeddings
from pipeline.data.pairs import read_pairs, write_pairs
from pipeline.data.pixels import Pixels
from pipeline.models.blip import Blip
from pipeline.models.pixelsnail import PixelSNAIL
from pipeline.models.vqvae import VQVAE
from pipeline.painter import Painter
from pipeline.painting_files import save_png
from pipeline.params import SEED, load_section
from pipeline.priors import load_prior


@pytest.mark.parametrize("kind", [str, Path])
def test_models_are_saved_and_loaded_by_either(tmp_path: Path, kind: type) -> None:
    checkpoint, painter = blips.build(), build(1)
    places = {
        name: kind(tmp_path / name) for name in ("blip", "prior", "vqvae", "decoder", "level")
    }
    checkpoint.save(places["blip"])
    painter.prior.save_pretrained(places["prior"])
    painter.prior.levels[0].save_pretrained(places["level"])
    painter.decoder.vqvae.save_pretrained(places["vqvae"])
    build_flow(painter.decoder.vqvae).save_pretrained(places["decoder"])
    assert Blip.from_pretrained(places["blip"]).image_size == checkpoint.image_size
    assert VQVAE.from_pretrained(places["vqvae"]).config == painter.decoder.vqvae.config
    assert PixelSNAIL.from_pretrained(places["level"]).shape == painter.prior.levels[0].shape
    assert isinstance(load_prior(places["prior"]), type(painter.prior))
    device = torch.device("cpu")
    folders = {name: places[name] for name in ("blip", "prior", "vqvae", "decoder")}
    assert Painter.from_folders(**folders, device=device).device == device


@pytest.mark.parametrize("kind", [str, Path])
def test_data_are_saved_and_loaded_by_either(tmp_path: Path, kind: type) -> None:
    pairs = blips.write_pairs_and_pictures(tmp_path / "images", of_each=1)
    write_pairs(kind(tmp_path / "pairs.jsonl"), pairs)
    assert list(read_pairs(kind(tmp_path / "pairs.jsonl"))) == pairs
    blips.pixels_of(tmp_path / "images", tmp_path / "pixels")
    assert len(Pixels.open(kind(tmp_path / "pixels"), blips.SIDE)) == len(pairs)
    embedded.write_pictures(tmp_path / "i", ["a.png"], torch.ones(1, 2))
    words = TextCondition(torch.ones(1, 2), torch.ones(1, 3, 2), torch.ones(1, 3).bool())
    embedded.write_texts(tmp_path / "t", ["x"], words)
    assert ImageEmbeddings.open(kind(tmp_path / "i")).rows(["a.png"]).tolist() == [0]
    assert TextEmbeddings.open(kind(tmp_path / "t")).rows(["x"]).tolist() == [0]
    codes = kind(tmp_path / "codes.lmdb")
    record = Record(np.zeros((2, 2), int), "a.png", id=0, view=0)
    CodeStore.write(codes, [record], shape=(2, 2), n_embed=2)
    assert len(CodeStore(codes)) == len(CodeStore.open(codes)) == 1
    save_png(kind(tmp_path / "a.png"), np.zeros((2, 2, 3), np.uint8), {})
    shutil.copy(ROOT / "params.yaml", tmp_path)
    assert load_section(kind(tmp_path / "params.yaml"), "seed", SEED) == 0
