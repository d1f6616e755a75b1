"""The prior sees all codes before a position and its condition, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.data.condition import TextCondition
from pipeline.errors import UserError
from pipeline.models.causal_conv import CausalConv
from pipeline.models.pixelsnail import PixelSNAIL
from pipeline.models.storage import round_as_kept
from pipeline.sealing import sealed, unseal

SIZES = {"n_class": 7, "channel": 32, "n_block": 2, "n_res_block": 1, "res_channel": 8}
SIZES |= {"text_dim": 5, "token_dim": 6}


def build(kernel_size: int = 2, shape: tuple[int, int] = (4, 5), **options) -> PixelSNAIL:
    """A small prior whose every weight is at work, in float64."""
    torch.manual_seed(0)
    prior = PixelSNAIL(shape, kernel_size=kernel_size, **(SIZES | options))
    for parameter in prior.parameters():
        if parameter.abs().max() == 0:
            nn.init.normal_(parameter, std=0.3)
    return prior.double().eval()


def texts(rows: int, seed: int = 1) -> TextCondition:
    torch.manual_seed(seed)
    mask = torch.tensor([[True, True, True], [True, False, False]])[torch.arange(rows) % 2]
    return TextCondition(F.normalize(torch.randn(rows, 5), dim=1), torch.randn(rows, 3, 6), mask)


@pytest.mark.parametrize(
    ("up", "left", "right", "current"),
    [
        (1, 1, 0, True),
        (2, 1, 1, True),
        (3, 3, 0, True),
        (4, 2, 2, True),
        (2, 2, 2, False),
        (6, 3, 3, True),
        (1, 8, 8, False),
    ],
)
@pytest.mark.parametrize("height", [1, 2, 5])
def test_a_causal_convolution_is_a_convolution_with_a_causal_kernel(
    up: int, left: int, right: int, current: bool, height: int
) -> None:
    torch.manual_seed(0)
    conv = CausalConv(3, 4, up=up, left=left, right=right, current=current).double()
    kernel = torch.zeros(up + 1, left + right + 1, 3, 4, dtype=torch.float64)
    for rows_up in range(1, up + 1):
        kernel[up - rows_up] = conv.above[rows_up - 1].view(-1, 3, 4)
    kernel[up, : left + current] = conv.beside.view(-1, 3, 4)
    x = torch.randn(height, 6, 2, 3, dtype=torch.float64, requires_grad=True)  # (h, w, B, C)
    padded = F.pad(x.permute(2, 3, 0, 1), (left, right, up, 0))
    wanted = F.conv2d(padded, kernel.permute(3, 2, 0, 1), conv.bias).permute(2, 3, 0, 1)
    torch.testing.assert_close(conv(x), wanted)
    leaves = [x, *conv.parameters()]
    for got, right_one in zip(
        torch.autograd.grad(conv(x).square().sum(), leaves),
        torch.autograd.grad(wanted.square().sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(got, right_one)


@pytest.mark.parametrize(("left", "right"), [(2, 2), (3, 0), (1, 1), (1, 0)])
def test_a_convolution_in_bfloat16_is_nearly_that_in_float32(left: int, right: int) -> None:
    torch.manual_seed(0)
    conv = CausalConv(32, 24, up=3, left=left, right=right, current=True)
    x = torch.randn(6, 9, 4, 32, requires_grad=True)
    leaves = [x, *conv.parameters()]
    direction = torch.randn(6, 9, 4, 24)

    def run() -> list[Tensor]:
        out = conv(x)
        return [out, *torch.autograd.grad((out * direction).sum(), leaves)]

    exact = run()
    with torch.autocast("cpu", torch.bfloat16):
        rough = run()
    assert rough[0].dtype == torch.bfloat16
    for wanted, got in zip(exact, rough, strict=True):
        assert (got - wanted).norm() < 0.03 * wanted.norm()


def test_nothing_of_a_later_code_is_left_by_rounding() -> None:
    """Filtering mixes the cells of a row: a trace of what comes next would be learned from."""
    prior = build(5).float()
    codes = torch.randint(7, (1, 4, 5))
    changed = codes.clone()
    changed[0, 2, 2] = (codes[0, 2, 2] + 1) % 7
    for precision in (torch.float32, torch.bfloat16):
        with torch.no_grad(), torch.autocast("cpu", precision, enabled=precision.itemsize == 2):
            moved = (prior(changed) - prior(codes))[0].abs().amax(0).flatten()
        assert (moved[:13] == 0).all()
        assert moved[13] > 0


def test_a_convolution_that_inference_used_first_still_learns() -> None:
    conv = CausalConv(3, 4, up=2, left=1, right=1, current=True)
    x = torch.randn(3, 11, 1, 3)  # a width that no other test has
    with torch.inference_mode():
        conv(x)
    conv(x).sum().backward()
    assert conv.above.grad is not None


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("kernel_size", [2, 3, 4, 5])
def test_a_code_sees_those_before_it_and_none_after(kernel_size: int, attention: bool) -> None:
    prior = build(kernel_size, attention=attention)
    codes = torch.randint(7, (1, 4, 5))
    positions = [(i, j) for i in range(4) for j in range(5)]
    with torch.no_grad():
        logits = prior(codes)[0]  # (n_class, h, w)
        for number, (i, j) in enumerate(positions):
            changed = codes.clone()
            changed[0, i, j] = (codes[0, i, j] + 1) % 7
            moved = (prior(changed)[0] - logits).abs().amax(0).flatten()
            assert (moved[: number + 1] == 0).all()
            if j < 4:
                assert moved[number + 1] > 1e-6  # the code to its right
            if i < 3:
                assert moved[number + 5] > 1e-6  # the code below
            if attention:
                assert (moved[number + 1 :] > 0).all()


def test_the_paper_s_block_sees_its_neighbour_within_one_block() -> None:
    """The port's lags by two columns a block; see the module's docstring."""
    prior = build(5, attention=False)
    x = torch.randn(4, 5, 1, 32, dtype=torch.float64, requires_grad=True)
    block = prior.groups[0][0]
    branch = block(x, torch.zeros(1, 32, dtype=torch.float64), None) - x
    (grad,) = torch.autograd.grad(branch[3, 3].sum(), x)
    assert grad[3, 3].abs().sum() > 0
    assert grad[3, 2].abs().sum() > 0
    assert grad[3, 4].abs().sum() == 0


@pytest.mark.parametrize("cross_attention", [True, False])
def test_the_text_matters_and_a_dropped_one_is_the_null(cross_attention: bool) -> None:
    prior = build(cross_attention=cross_attention)
    codes, cond = torch.randint(7, (4, 4, 5)), texts(4)
    with torch.no_grad():
        told, other, untold = prior(codes, cond), prior(codes, texts(4, seed=2)), prior(codes)
        drop = torch.tensor([True, False, True, False])
        some = prior(codes, cond, drop=drop)
    assert (told - other).abs().max() > 1e-3
    torch.testing.assert_close(some[drop], untold[drop])
    torch.testing.assert_close(some[~drop], told[~drop])


def test_tokens_behind_the_mask_are_not_seen() -> None:
    prior, cond, codes = build(cross_attention=True), texts(4), torch.randint(7, (4, 4, 5))
    junk = torch.where(cond.mask[..., None], cond.tokens, 1e3)
    torch.testing.assert_close(
        prior(codes, cond), prior(codes, TextCondition(cond.pooled, junk, cond.mask))
    )


def test_the_upper_code_above_a_cell_matters_there() -> None:
    prior = build(shape=(4, 6), upper_shape=(2, 3), upper_n_class=4)
    codes, upper = torch.randint(7, (1, 4, 6)), torch.zeros(1, 2, 3, dtype=torch.int64)
    other = upper.clone()
    other[0, 1, 2] = 1
    with torch.no_grad():
        moved = (prior(codes, upper=upper) - prior(codes, upper=other)).abs().amax((0, 1))
    assert (moved[2:, 4:] > 1e-6).all()


def test_a_new_prior_is_uniform_and_learns() -> None:
    torch.manual_seed(0)
    prior = PixelSNAIL((4, 4), 5, 32, 2, 1, 1, 32, text_dim=5, token_dim=6, cross_attention=True)
    codes, cond = torch.randint(5, (2, 4, 4)), texts(2)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        loss = F.cross_entropy(prior(codes, cond, drop=torch.tensor([False, True])), codes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(torch.tensor(5.0).log().item(), abs=1e-4)
    assert losses[-1] < 0.2
    assert all(p.grad is not None for p in prior.parameters())  # what DDP needs


def test_bf16_autocast_gives_nearly_the_same() -> None:
    prior, codes = build(5).float(), torch.randint(7, (2, 4, 5))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rough = prior(codes, texts(2)).float()
    with torch.no_grad():
        exact = prior(codes, texts(2))
    assert (rough - exact).abs().mean() < 0.05 * exact.abs().mean()


def test_a_saved_prior_is_the_same_and_its_bytes_too(tmp_path: Path) -> None:
    prior = build(shape=(4, 6), upper_shape=(2, 3), upper_n_class=4, cross_attention=True)
    prior = prior.float()
    round_as_kept(prior)
    prior.save_pretrained(tmp_path / "a")
    loaded = PixelSNAIL.from_pretrained(tmp_path / "a")
    loaded.save_pretrained(tmp_path / "b")
    assert loaded.config == prior.config
    assert not loaded.training
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    for key, value in prior.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[key])


def test_a_folder_without_a_whole_prior_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="config.json: no such file"):
        PixelSNAIL.from_pretrained(tmp_path / "none")
    build().save_pretrained(tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(UserError, match="damaged"):
        PixelSNAIL.from_pretrained(tmp_path / "cut")
    build().save_pretrained(tmp_path / "other")
    config = tmp_path / "other" / "config.json"
    entry = json.loads(config.read_text()) | {"model": "VQVAE"}
    config.write_text(json.dumps(entry))
    with pytest.raises(UserError, match="config.json: damaged"):
        PixelSNAIL.from_pretrained(tmp_path / "other")
    unseal(entry)
    config.write_text(json.dumps(sealed(entry)))
    with pytest.raises(UserError, match="config.json: holds a VQVAE, not a PixelSNAIL"):
        PixelSNAIL.from_pretrained(tmp_path / "other")
    build().save_pretrained(tmp_path / "flipped")
    config = tmp_path / "flipped" / "config.json"
    config.write_text(config.read_text().replace('"dropout": 0.0', '"dropout": 0.2'))
    with pytest.raises(UserError, match="config.json: damaged"):
        PixelSNAIL.from_pretrained(tmp_path / "flipped")
    build().save_pretrained(tmp_path / "older")
    config = tmp_path / "older" / "config.json"
    entry = json.loads(config.read_text())
    unseal(entry)
    entry["config"]["token_lim"] = entry["config"].pop("token_dim")
    config.write_text(json.dumps(sealed(entry)))
    with pytest.raises(UserError, match="config.json: no model that this version can load"):
        PixelSNAIL.from_pretrained(tmp_path / "older")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kernel_size": 1}, "kernel_size = 1"),
        ({"channel": 0}, "PixelSNAILConfig: channel = 0: Input should be greater"),
        ({"cross_attention": True, "token_dim": 0}, "cross_attention needs"),
        ({"upper_shape": (3, 5), "upper_n_class": 4}, "no multiple of"),
        ({"upper_shape": (2, 5), "upper_n_class": 0}, "upper_n_class is 0"),
    ],
)
def test_sizes_that_do_not_go_together_are_named(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(**options)


def wrong_inputs() -> list[tuple[dict, dict, str]]:
    codes, cond = torch.zeros(2, 4, 5, dtype=torch.int64), texts(2)
    wide = TextCondition(torch.zeros(2, 9), cond.tokens, cond.mask)
    upper: Tensor = torch.zeros(2, 2, 5, dtype=torch.int64)
    return [
        ({}, {"codes": codes[:, 1:]}, "codes of shape"),
        ({}, {"codes": codes, "cond": texts(3)}, "condition has 3 rows"),
        ({}, {"codes": codes, "cond": wide}, "pooled is 9 wide"),
        ({}, {"codes": codes, "drop": torch.tensor([True])}, "drop has 1 rows"),
        ({}, {"codes": codes, "upper": upper}, "upper codes are needed"),
        ({"text_dim": 0}, {"codes": codes, "cond": cond}, "prior without text"),
        (
            {"upper_shape": (4, 5), "upper_n_class": 3},
            {"codes": codes, "upper": upper},
            "upper codes of shape",
        ),
    ]


@pytest.mark.parametrize(("options", "inputs", "words"), wrong_inputs())
def test_inputs_that_do_not_fit_are_named(options: dict, inputs: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(**options)(**inputs)
