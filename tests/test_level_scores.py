"""Two levels have two codebooks: figures of one must not hide behind the other's."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import diffusions
import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.codes.captioned import CaptionedCodes
from pipeline.data.condition import TextCondition
from pipeline.data.pairs import SPLITS, Pair
from pipeline.evaluation.judged import Judged
from pipeline.evaluation.maps import Maps
from pipeline.evaluation.prior_scores import prior_scores
from pipeline.evaluation.vqvae_scores import codebooks
from pipeline.models.pixelsnail import PixelSNAIL
from pipeline.models.vqvae import VQVAE, pack_levels
from pipeline.priors.diffusion import DiffusionPrior
from pipeline.priors.pixelsnail import PixelSNAILPrior
from pipeline.shares import never

N_EMBED = 16


def codes(count: int) -> Tensor:
    """A top level that is one code throughout, above one that uses all of them."""
    generator = torch.Generator().manual_seed(0)
    bottom = torch.randint(N_EMBED, (count, 4, 4), generator=generator)
    return pack_levels([torch.zeros(count, 2, 2, dtype=torch.int64), bottom])


def build() -> VQVAE:
    torch.manual_seed(0)
    return VQVAE(
        image_size=16, downsample=4, levels=2, n_embed=N_EMBED, embed_dim=4, channel=16,
        n_res_block=1, res_channel=8, quantizer="ema", commitment_weight=0.25, text_dim=6,
    ).eval()  # fmt: skip


def test_a_collapsed_level_shows() -> None:
    assert dict(codebooks(build(), codes(12))) == {"perplexity": 1.0, "used": 1 / N_EMBED}


def of_one_title(folder: Path, *, train: int, test: int) -> Judged:
    """What `prior_scores` reads of a run of two levels, all of whose pictures have one title."""
    count = train + test
    texts = TextCondition(torch.zeros(1, 6), torch.zeros(1, 1, 6), torch.ones(1, 1).bool())
    none = torch.zeros(count, dtype=torch.int64)
    pairs = [
        Pair(row, f"{row}.png", "train" if row < train else "test", "a", "", "a", "", ())
        for row in range(count)
    ]
    splits = torch.tensor([SPLITS.index(pair.split) for pair in pairs])
    known = CaptionedCodes(codes(count), pairs, splits, none, torch.zeros(count, 2), texts, none)
    run = SimpleNamespace(
        train_codes=known.of("train"), test_codes=known.of("test"),
        vqvae=build(), device=torch.device("cpu"), maps=Maps(folder, never),
    )  # fmt: skip
    return cast(Judged, run)


def test_the_unigram_model_knows_the_levels_apart(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"channel": 16, "kernel_size": 2, "n_block": 1, "n_res_block": 1, "res_channel": 8,
             "text_dim": 6}  # fmt: skip
    top = PixelSNAIL((2, 2), N_EMBED, **sizes)
    bottom = PixelSNAIL((4, 4), N_EMBED, **sizes, upper_shape=(2, 2), upper_n_class=N_EMBED)
    judged = of_one_title(tmp_path, train=300, test=100)
    scores = prior_scores(
        PixelSNAILPrior([top, bottom]), judged, steps=4, mixture_pictures=2, seed=0
    )
    # The top's code is certain, each of the bottom's 16 cells costs 4 bits.
    assert scores.values["unigram"] == pytest.approx(16 * np.log2(N_EMBED) / 20, abs=0.05)
    assert scores.values["bits"] == pytest.approx(4.0)  # untrained: uniform
    assert scores.values["text_gain"] == pytest.approx(0.0)  # all have one title
    assert next(f for f in scores.figures() if f.name == "bits").n == 100
    assert "bits_bound" not in scores.values  # it is trained by its bits


def test_a_diffusion_s_bits_stand_beside_its_bound(tmp_path: Path) -> None:
    shapes = {"n_class": N_EMBED, "text_dim": 6, "token_dim": 6}
    top = diffusions.build(shape=(2, 2), **shapes)
    bottom = diffusions.build(shape=(4, 4), **shapes, upper_shape=(2, 2), upper_n_class=N_EMBED)
    judged = of_one_title(tmp_path, train=20, test=20)
    prior = DiffusionPrior([top, bottom])
    found = prior_scores(prior, judged, steps=2, mixture_pictures=2, seed=0).values
    rows = judged.test_codes
    for name, steps in (("bits", 2), ("bits_one_by_one", None)):
        nats = prior.nats(*rows.batch(torch.arange(20), torch.device("cpu")), steps=steps)
        assert found[name] == pytest.approx(float(nats.mean()) / 20 / np.log(2))
    assert found["bits_bound"] > 0
    assert found["bits_bound_low"] < found["bits_bound"] < found["bits_bound_high"]
