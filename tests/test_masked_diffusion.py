"""A masked diffusion sees what it may see, starts where it must, and learns."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from diffusions import SIZES, build, texts

from pipeline.data.condition import TextCondition
from pipeline.errors import UserError
from pipeline.models.masked_diffusion import MaskedDiffusion
from pipeline.models.masking import bound, hide
from pipeline.training.diffusion import diffuse
from pipeline.training.strata import stratified


def grids(rows: int, n_class: int = 11, shape: tuple[int, int] = (4, 6)) -> torch.Tensor:
    return torch.randint(n_class, (rows, *shape), generator=torch.Generator().manual_seed(5))


def test_a_new_model_knows_nothing_yet() -> None:
    """A loss far below ln K at the start would mean that it is told what it should find."""
    torch.manual_seed(0)
    model = MaskedDiffusion(**{**SIZES, "n_class": 512, "hidden_size": 64}).eval()
    codes = grids(64, 512)
    seen, hidden = hide(codes, stratified(64), model.mask_id)
    loss = F.cross_entropy(model(seen, texts(64))[hidden], codes[hidden])
    assert float(loss) == pytest.approx(math.log(512), abs=0.05)


def test_what_is_hidden_cannot_be_seen() -> None:
    model, codes = build(), grids(3)
    other = (codes + 1) % 11
    hidden = torch.rand(codes.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    logits = [model(c.masked_fill(hidden, model.mask_id), texts(3)) for c in (codes, other)]
    assert not torch.equal(logits[0], logits[1])  # what is visible is seen
    same = torch.where(hidden, other, codes)
    again = model(same.masked_fill(hidden, model.mask_id), texts(3))
    assert torch.equal(logits[0], again)


def test_the_mask_is_no_code() -> None:
    model = build()
    assert model.mask_id == model.n_class == 11
    logits = model(torch.full((1, 4, 6), model.mask_id), texts(1))
    assert logits.shape == (1, 4, 6, 11)  # it cannot be told, so never drawn


@pytest.mark.parametrize("patch", [1, 2])
def test_every_code_depends_on_every_visible_one(patch: int) -> None:
    model, codes = build(patch=patch), grids(1)
    base = model(codes, texts(1))
    codes[0, 3, 5] = (codes[0, 3, 5] + 1) % 11
    changed = (model(codes, texts(1)) != base).any(dim=-1)
    assert changed.all()


def test_the_text_matters_and_a_dropped_one_is_the_null() -> None:
    model, codes, cond = build(), grids(2), texts(2)
    with_text, without = model(codes, cond), model(codes)
    assert not torch.allclose(with_text, without)
    assert torch.allclose(model(codes, cond, drop=torch.tensor([True, True])), without, atol=1e-5)
    half = model(codes, cond, drop=torch.tensor([False, True]))
    assert torch.allclose(half[0], with_text[0], atol=1e-5)
    pooled = TextCondition(cond.pooled[[1, 0]], cond.tokens, cond.mask)
    tokens = TextCondition(cond.pooled, cond.tokens[[1, 0]], cond.mask[[1, 0]])
    for other in (pooled, tokens):
        assert not torch.allclose(model(codes, other), with_text)


def test_tokens_behind_the_mask_are_not_seen() -> None:
    model, codes, cond = build(), grids(2), texts(2)
    noise = torch.where(cond.mask[..., None], cond.tokens, 9.0)
    other = TextCondition(cond.pooled, noise, cond.mask)
    assert torch.equal(model(codes, cond), model(codes, other))


def test_a_view_s_shift_is_known_and_0_is_none() -> None:
    model, codes = build(), grids(2)
    shifts = torch.tensor([[0, 0], [3, -2]])
    shifted = model(codes, texts(2), shifts=shifts)
    plain = model(codes, texts(2))
    assert torch.equal(shifted[0], plain[0])
    assert not torch.allclose(shifted[1], plain[1])


@pytest.mark.parametrize(("patch", "upper_shape"), [(1, (2, 3)), (2, (2, 3)), (2, (4, 6))])
def test_the_upper_codes_matter(patch: int, upper_shape: tuple[int, int]) -> None:
    model = build(patch=patch, upper_shape=upper_shape, upper_n_class=5)
    upper = grids(2, 5, upper_shape)
    base = model(grids(2), texts(2), upper=upper)
    assert not torch.allclose(base, model(grids(2), texts(2), upper=(upper + 1) % 5))
    with pytest.raises(ValueError, match="upper codes are needed"):
        model(grids(2), texts(2))


def test_it_learns() -> None:
    torch.manual_seed(0)
    model = MaskedDiffusion(**SIZES)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    cond, codes = texts(8), grids(8)
    losses = []
    for _ in range(120):
        seen, hidden = hide(codes, stratified(8), model.mask_id)
        loss = F.cross_entropy(model(seen, cond)[hidden], codes[hidden])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 < losses[0]


def test_a_saved_model_is_the_same(tmp_path: Path) -> None:
    model = build(patch=2, upper_shape=(2, 3), upper_n_class=5)
    model.save_pretrained(tmp_path / "model")
    again = MaskedDiffusion.from_pretrained(tmp_path / "model")
    upper = grids(2, 5, (2, 3))
    told = [m(grids(2), texts(2), upper=upper) for m in (model, again)]
    assert torch.allclose(told[0], told[1], atol=1e-2)
    assert again.config == model.config
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model.safetensors: no such file"):
        MaskedDiffusion.from_pretrained(tmp_path / "model")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden_size": 15}, "no multiple of heads"),
        ({"patch": 4}, "patch = 4 does not divide"),
        ({"token_dim": 0}, "both or neither"),
        ({"upper_shape": (3, 3), "upper_n_class": 4}, "no multiple of upper_shape"),
        ({"n_codes": 4}, "n_codes"),
    ],
)
def test_sizes_that_do_not_go_together_are_named(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(**changes)


def test_as_many_codes_are_hidden_as_strata_say() -> None:
    torch.manual_seed(0)
    codes = grids(24)
    for _ in range(20):
        seen, hidden = hide(codes, stratified(24), 11)
        counts = hidden.flatten(1).sum(1)
        assert sorted(counts.tolist()) == list(range(1, 25))  # 24 grids of 24 codes: each once
        assert torch.equal(seen == 11, hidden)
        assert torch.equal(seen[~hidden], codes[~hidden])


def test_vq_diffusion_s_noise_hides_and_replaces_in_its_shares() -> None:
    torch.manual_seed(0)
    codes = grids(4000)
    seen, asked = diffuse(codes, 11, 0.4)
    assert asked.all()
    hidden = (seen == 11).float().mean()
    replaced = ((seen != 11) & (seen != codes)).float().mean()
    assert float(hidden) == pytest.approx(0.3, abs=0.01)  # 0.6 of a mean time of 0.5
    assert float(replaced) == pytest.approx(0.2 * 10 / 11, abs=0.01)


def test_the_bound_of_a_model_that_knows_nothing_is_exact() -> None:
    codes = grids(4)
    _, hidden = hide(codes, stratified(4), 11)
    cost = bound(torch.zeros(4, 4, 6, 11), codes, hidden)
    assert cost == pytest.approx(24 * math.log(11))
