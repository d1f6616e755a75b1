"""Profiles: overlays on params.yaml, as flags for `dvc exp run`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.params import read_yaml
from pipeline.profile import flags

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


@pytest.mark.parametrize("path", sorted((ROOT / "profiles").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_profile_fits_params_yaml(path):
    assert list(flags(read_yaml(path), read_yaml(ROOT / "params.yaml")))


def test_an_unknown_profile_is_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.profile", "huge"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: profile 'huge': expected one of")
    assert done.stderr.count("\n") == 1
