"""Profiles: overlays on params.yaml, as flags for `dvc exp run`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from apps.profile import flags
from pipeline.errors import UserError
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.judge.settings import JudgeSettings
from pipeline.params import load_section, read_yaml
from pipeline.training.blip import BlipSettings
from pipeline.training.decoder_settings import DecoderSettings
from pipeline.training.diffusion_settings import DiffusionSettings
from pipeline.training.pixelsnail_settings import PixelSNAILSettings
from pipeline.training.vqvae import VQVAESettings
from stages.dump_codes import DumpSettings
from stages.generate import GenerateSettings

ROOT = Path(__file__).resolve().parents[1]


def test_each_leaf_becomes_a_flag():
    overlay = {"data": {"source": "json", "json": {"train": "a/b.json"}}, "vqvae": {"levels": 2}}
    params = {"data": {"source": "sample", "json": {"train": ""}}, "vqvae": {"levels": 1}}
    assert " ".join(flags(overlay, params)) == (
        "-S data.source='json' -S data.json.train='a/b.json' -S vqvae.levels=2"
    )


def test_a_key_that_params_yaml_does_not_have_is_refused():
    with pytest.raises(UserError, match=r"vqvae.n_embd: params.yaml has no such key"):
        list(flags({"vqvae": {"n_embd": 3}}, {"vqvae": {"n_embed": 2}}))


SECTIONS = {
    "blip": BlipSettings,
    "vqvae": VQVAESettings,
    "dump_codes": DumpSettings,
    "decoder": DecoderSettings,
    "pixelsnail": PixelSNAILSettings,
    "diffusion": DiffusionSettings,
    "judge": JudgeSettings,
    "generate": GenerateSettings,
    "evaluate": EvaluateSettings,
}


@pytest.mark.parametrize("path", sorted((ROOT / "profiles").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_profile_fits_params_yaml(path, tmp_path):
    profile, params = read_yaml(path), read_yaml(ROOT / "params.yaml")
    assert list(flags(profile, params))
    laid_over = {key: _laid_over(params[key], profile.get(key, {})) for key in SECTIONS}
    merged = tmp_path / "params.yaml"
    merged.write_text(json.dumps(laid_over))  # which is YAML too
    for key, schema in SECTIONS.items():
        load_section(merged, key, schema)  # raises


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    nested = {k: _laid_over(below[k], v) for k, v in above.items() if isinstance(v, dict)}
    return {**below, **above, **nested}


def test_an_unknown_profile_is_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.profile", "huge"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: profile 'huge': expected one of")
    assert done.stderr.count("\n") == 1
