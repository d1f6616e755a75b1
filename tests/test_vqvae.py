"""The VQ-VAE and its quantiser: shapes, what the text does, saving and loading."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from pipeline.data.captioned import CaptionedImages
from pipeline.errors import UserError
from pipeline.models.quantizer import Quantizer, fsq_levels
from pipeline.models.vqvae import VQVAE, pack_levels, unpack_levels
from pipeline.sealing import sealed, unseal
from pipeline.training.vqvae import VQVAESettings, VQVAETask

SETTINGS = {
    "steps": 10, "batch_size": 8, "lr": 3e-3, "warmup_steps": 2, "weight_decay": 0.0,
    "grad_clip": 1.0, "ema_decay": 0.9, "validate_every": 5, "patience": 0, "checkpoint_every": 5,
    "precision": "fp32", "image_size": 16, "downsample": 4, "levels": 1, "n_embed": 16,
    "embed_dim": 4, "channel": 16, "n_res_block": 1, "res_channel": 8, "quantizer": "ema",
    "commitment_weight": 0.25, "text_dropout": 0.1, "max_shift": 1,
}  # fmt: skip


def settings(**changes) -> VQVAESettings:
    return VQVAESettings(**{**SETTINGS, **changes})


def build(**changes) -> VQVAE:
    torch.manual_seed(0)
    model = settings(**changes).build(text_dim=6)
    model.train()(torch.rand(8, 3, 16, 16) * 2 - 1, torch.randn(8, 6))  # starts the codebook
    return model.eval()


@pytest.mark.parametrize("quantizer", ["ema", "cosine", "fsq"])
@pytest.mark.parametrize(("levels", "shape"), [(1, (4, 4)), (2, (5, 4))])
def test_pictures_become_codes_and_codes_pictures(quantizer, levels, shape):
    model = build(quantizer=quantizer, levels=levels)
    texts = torch.randn(3, 6)
    codes = model.encode(torch.rand(3, 3, 16, 16), texts)
    assert codes.shape == (3, *shape)
    assert model.code_shape == shape
    assert codes.dtype == torch.int64
    assert 0 <= int(codes.min()) <= int(codes.max()) < 16
    images = model.decode(codes, texts)
    assert images.shape == (3, 3, 16, 16)
    assert float(images.abs().max()) <= 1


@pytest.mark.parametrize("levels", [1, 2])
def test_decoding_the_codes_gives_what_training_saw(levels):
    model = build(levels=levels)
    images, texts = torch.rand(3, 3, 16, 16), torch.randn(3, 6)
    with torch.no_grad():
        painted, codes, _ = model(images, texts)
    torch.testing.assert_close(
        model.decode(codes, texts), painted.clamp(-1, 1), atol=1e-5, rtol=1e-5
    )


def test_codes_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="expected"):
        build().decode(torch.zeros(1, 4, 5, dtype=torch.int64), torch.zeros(1, 6))


def test_packing_two_levels_is_undone_exactly():
    top, bottom = torch.arange(8).view(2, 2, 2), torch.arange(32).view(2, 4, 4)
    packed = pack_levels([top, bottom])
    assert packed.shape == (2, 5, 4)
    for level, again in zip([top, bottom], unpack_levels(packed, [(2, 2), (4, 4)]), strict=True):
        assert torch.equal(level, again)


def test_what_the_text_says_need_not_be_in_the_codes():
    """Pictures of one colour, which the text gives away: a single code must suffice."""
    generator = torch.Generator().manual_seed(0)
    colours = torch.randint(0, 255, (6, 3), generator=generator, dtype=torch.uint8)
    images = colours[:, None, None].expand(6, 16, 16, 3).repeat(4, 1, 1, 1)
    texts = F.normalize(torch.randn(6, 6, generator=generator), dim=1).repeat(4, 1)
    task = VQVAETask(
        (chosen := settings(n_embed=2, text_dropout=0.0)).build(6),
        CaptionedImages(images, texts), CaptionedImages(images, texts), chosen,
    )  # fmt: skip
    optimizer = torch.optim.Adam(task.model.parameters(), lr=1e-2)
    for _ in range(150):
        loss, _ = task.loss(task.model, torch.arange(24))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    task.model.eval()
    told = task.validate(task.model)["loss"]
    task.val = CaptionedImages(images, texts.roll(1, dims=0))
    misled = task.validate(task.model)["loss"]
    assert told < 0.5 * misled


@pytest.mark.parametrize("levels", [1, 2])
def test_muon_moves_the_convolutions_within_each_trunk(levels):
    model = build(levels=levels)
    weights = dict(model.named_parameters())
    names = model.hidden_weights()
    assert len(names) == 2 * model.config.n_res_block * 2 * levels
    assert all(weights[name].ndim == 4 for name in names)


def test_a_model_comes_back_as_it_was_saved(tmp_path):
    model = build(levels=2)
    model.save_pretrained(tmp_path / "vqvae")
    again = VQVAE.from_pretrained(tmp_path / "vqvae")
    images, texts = torch.rand(2, 3, 16, 16), torch.randn(2, 6)
    assert torch.equal(model.encode(images, texts), again.encode(images, texts))
    assert again.config == model.config


def test_a_flipped_bit_in_the_weights_is_found(tmp_path):
    build().save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 4
    weights.write_bytes(content)
    with pytest.raises(UserError, match="model.safetensors: damaged"):
        VQVAE.from_pretrained(tmp_path)


def test_a_missing_or_foreign_model_is_named(tmp_path):
    with pytest.raises(UserError, match="config.json: no such file"):
        VQVAE.from_pretrained(tmp_path)
    build().save_pretrained(tmp_path)
    entry = json.loads((tmp_path / "config.json").read_text())
    unseal(entry)
    (tmp_path / "config.json").write_text(json.dumps(sealed({**entry, "model": "Other"})))
    with pytest.raises(UserError, match="holds a Other, not a VQVAE"):
        VQVAE.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_size": 18}, "image_size = 18: expected a multiple of 4"),
        ({"image_size": 20, "levels": 2}, "image_size = 20: expected a multiple of 16"),
        ({"n_embed": 2**16 + 1}, "less than or equal to 65536"),
        ({"n_embed": 24, "quantizer": "fsq"}, "fsq takes a power of two"),
        ({"max_shift": 16}, "expected less than image_size"),
    ],
)
def test_impossible_sizes_are_refused_before_any_work(changes, said):
    with pytest.raises(ValidationError, match=said):
        settings(**changes)


@pytest.mark.parametrize(("n_embed", "levels"), [(16, [4, 4]), (256, [4, 8, 8]), (512, [8] * 3)])
def test_fsq_has_exactly_as_many_codes_as_asked_for(n_embed, levels):
    assert sorted(fsq_levels(n_embed)) == sorted(levels)


def test_unused_codes_are_revived():
    torch.manual_seed(0)
    quantizer = Quantizer("ema", dim=4, n_embed=32, embed_dim=4, commitment_weight=1.0).train()
    far = torch.randn(4, 64, 4) + 50  # the codebook starts far from where the vectors go
    quantizer(far)
    used = 0
    for _ in range(300):
        _, codes, _ = quantizer(torch.randn(4, 64, 4))
        used = len(codes.unique())
    assert used > 24
