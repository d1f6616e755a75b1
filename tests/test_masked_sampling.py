"""Groups of codes drawn given all before them: likely as the model says, and by own noise alone."""

from __future__ import annotations

import itertools
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from diffusions import build, drawing, seeds, texts
from tapes import record_on_tapes

from pipeline.errors import UserError
from pipeline.models.vqvae import pack_levels
from pipeline.priors.diffusion import DiffusionPrior
from pipeline.sampling.logits import gumbel
from pipeline.sampling.masked import MaskedSampler, guidance_at, posterior
from pipeline.sampling.orders import group_sizes, groups, halton_order


def all_grids(n_class: int, shape: tuple[int, int]) -> torch.Tensor:
    cells = shape[0] * shape[1]
    every = list(itertools.product(range(n_class), repeat=cells))
    return torch.tensor(every).reshape(-1, *shape)


@pytest.mark.parametrize("steps", [1, 2, 3, None])
def test_the_probabilities_of_all_grids_sum_to_one(steps: int | None) -> None:
    prior = DiffusionPrior([build(shape=(2, 3), n_class=3)])
    every = all_grids(3, (2, 3))
    cond = texts(1)[torch.zeros(len(every), dtype=torch.int64)]
    nats = prior.nats(every, cond, steps=steps)
    assert float(nats.neg().exp().sum()) == pytest.approx(1, abs=1e-5)
    assert nats.neg().exp().max() > 2 / 3**6  # and it is no uniform distribution


def test_the_probabilities_of_all_grids_of_two_levels_sum_to_one() -> None:
    top = build(shape=(1, 2), n_class=3)
    bottom = build(shape=(2, 2), n_class=3, upper_shape=(1, 2), upper_n_class=3)
    every = all_grids(3, (3, 2))
    prior = DiffusionPrior([top, bottom])
    cond = texts(1)[torch.zeros(len(every), dtype=torch.int64)]
    assert float(prior.nats(every, cond, steps=2).neg().exp().sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "changes", [{}, {"temperature": 1.0, "steps": 1}, {"steps": 2, "remask_steps": 2}]
)
def test_grids_come_as_often_as_they_should(changes: dict) -> None:
    """Remasking changes nothing where the model's conditionals agree; here it may a little."""
    model = build(shape=(1, 2), n_class=2)
    count = 2000
    cond = texts(1)[torch.zeros(count, dtype=torch.int64)]
    settings = drawing(**{"steps": 2, **changes})
    drawn = MaskedSampler(model, settings).draw(cond, generators=seeds(*range(count)))
    found = Counter(tuple(grid.flatten().tolist()) for grid in drawn)
    every = all_grids(2, (1, 2))
    shares = DiffusionPrior([model]).nats(every, cond[:4], steps=settings.steps).neg().exp()
    tolerance = 0.04 if not settings.remask_steps else 0.2
    for grid, share in zip(every, shares.tolist(), strict=True):
        assert found[tuple(grid.flatten().tolist())] / count == pytest.approx(share, abs=tolerance)


@pytest.mark.parametrize("changes", [{}, {"order": "confidence"}, {"remask_steps": 2}])
@pytest.mark.parametrize("uniform_share", [0.0, 0.2])
def test_a_grid_depends_on_its_own_seed_alone(changes: dict, uniform_share: float) -> None:
    model = build(uniform_share=uniform_share)
    sampler = MaskedSampler(model, drawing(guidance_scale=2.0, **changes))
    cond = texts(3)
    together = sampler.draw(cond, generators=seeds(1, 2, 3))
    alone = sampler.draw(cond[1:2], generators=seeds(2))
    assert torch.equal(together[1:2], alone)
    assert not torch.equal(together[1], sampler.draw(cond[1:2], generators=seeds(4))[0])
    assert 0 <= int(together.min()) <= int(together.max()) < model.n_class


@pytest.mark.parametrize("changes", [{}, {"order": "confidence"}, {"guidance_ramp": 0.5}])
@pytest.mark.parametrize("uniform_share", [0.0, 0.2])
def test_replayed_passes_draw_what_the_network_does(
    changes: dict, uniform_share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_on_tapes(monkeypatch)
    model, settings = build(uniform_share=uniform_share), drawing(guidance_scale=2.0, **changes)
    sampler, sizes = MaskedSampler(model, settings), (3, 3, 2, 3)
    for number, rows in enumerate(sizes):
        how = {"cond": texts(rows, seed=number), "generators": seeds(*range(number, number + rows))}
        drawn = sampler.draw(**how)
        assert sampler.passes is not None
        assert len(sampler.passes.recorded.recording) == 1
        how["generators"] = seeds(*range(number, number + rows))
        with monkeypatch.context() as plain:
            plain.setattr("pipeline.sampling.recorded.RECORDED", ())
            assert torch.equal(drawn, MaskedSampler(model, settings).draw(**how))


@pytest.mark.parametrize("order", ["halton", "confidence"])
def test_samples_of_one_text_are_not_all_one(order: str) -> None:
    """Confidence without enough noise paints the surest thing: one colour."""
    model = build()
    model.embedding.weight.data *= 0.3  # softer, as of a model that was trained
    cond = texts(1)[torch.zeros(64, dtype=torch.int64)]
    drawn = MaskedSampler(model, drawing(order=order, steps=8)).draw(
        cond, generators=seeds(*range(64))
    )
    assert len({tuple(grid.flatten().tolist()) for grid in drawn}) == 64
    shares = torch.bincount(drawn.flatten(), minlength=11) / drawn.numel()
    one_by_one = MaskedSampler(model, drawing(steps=24)).draw(cond, generators=seeds(*range(64)))
    expected = torch.bincount(one_by_one.flatten(), minlength=11) / one_by_one.numel()
    entropy, own = (float(-(p * p.clamp(min=1e-9).log()).sum()) for p in (shares, expected))
    assert entropy > 0.7 * own  # of weights that nobody trained; one colour has 0


def test_noise_is_float64_whose_tail_is_not_cut() -> None:
    model, seen = build(), []
    sampler = MaskedSampler(model, drawing())
    pick = sampler.pick
    sampler.pick = lambda logits, noise: seen.append(noise.dtype) or pick(logits, noise)
    sampler.draw(texts(2), generators=seeds(1, 2))
    assert set(seen) == {torch.float64}
    generator = torch.Generator().manual_seed(0)
    assert gumbel(1, 1, 1 << 20, generator, torch.float64).isfinite().all()


@pytest.mark.parametrize("settings", [{}, {"order": "confidence"}, {"remask_steps": 3}])
@pytest.mark.parametrize("uniform_share", [0.0, 0.2])
def test_given_codes_stay(settings: dict, uniform_share: float) -> None:
    model = build(uniform_share=uniform_share)
    sampler = MaskedSampler(model, drawing(**settings))
    given = torch.randint(11, (2, 4, 6))
    area = torch.zeros(4, 6, dtype=torch.bool)
    area[1:3, 2:4] = True
    drawn = sampler.draw(texts(2), generators=seeds(1, 2), given=given.masked_fill(area, -1))
    assert torch.equal(drawn[:, ~area], given[:, ~area])
    assert int(drawn.max()) < 11
    other = sampler.draw(texts(2), generators=seeds(3, 4), given=given.masked_fill(area, -1))
    assert not torch.equal(drawn, other)
    whole = sampler.draw(texts(2), generators=seeds(1, 2), given=given)
    assert torch.equal(whole, given)


def test_given_codes_are_seen() -> None:
    model = build()
    sampler = MaskedSampler(model, drawing())
    given = torch.zeros(1, 4, 6, dtype=torch.int64)
    given[0, 1, 1] = -1
    every = [
        sampler.draw(texts(1), generators=seeds(s), given=(given + k).where(given >= 0, -1))[
            0, 1, 1
        ]
        for k in (0, 7)
        for s in range(60)
    ]
    assert Counter(map(int, every[:60])) != Counter(map(int, every[60:]))


def test_other_areas_in_one_batch_are_refused() -> None:
    given = torch.zeros(2, 4, 6, dtype=torch.int64)
    given[0, 0, 0] = given[1, 0, 1] = -1
    with pytest.raises(ValueError, match="the same in all grids"):
        MaskedSampler(build(), drawing()).draw(texts(2), generators=seeds(1, 2), given=given)


def test_pixelsnail_paints_an_end_anew_and_says_so_of_other_areas() -> None:
    from pipeline.models.pixelsnail import PixelSNAIL
    from pipeline.priors.pixelsnail import PixelSNAILPrior

    torch.manual_seed(0)
    model = PixelSNAIL((4, 6), 11, 32, 2, 1, 1, 16, text_dim=7, token_dim=9, cross_attention=True)
    torch.nn.init.normal_(model.out.weight)
    draw = PixelSNAILPrior([model.eval()]).drawing(drawing(guidance_scale=2.0))
    given = torch.randint(11, (2, 4, 6))
    given[:, 2, 3:], given[:, 3] = -1, -1
    drawn = draw(texts(2), seeds(1, 2), given)
    assert torch.equal(drawn[given >= 0], given[given >= 0])
    assert int(drawn.min()) >= 0
    nothing_left = draw(texts(2), seeds(1, 2), None)  # the next batch knows nothing of it
    assert not torch.equal(nothing_left[:, :2], given[:, :2])
    given[:, 3, 5] = 4
    with pytest.raises(UserError, match="row by row"):
        draw(texts(2), seeds(1, 2), given)


def test_the_levels_of_given_codes_are_told_apart() -> None:
    top = build(shape=(2, 3))
    bottom = build(shape=(4, 6), upper_shape=(2, 3), upper_n_class=11)
    draw = DiffusionPrior([top, bottom]).drawing(drawing())
    levels = [torch.randint(11, (2, 2, 3)), torch.randint(11, (2, 4, 6))]
    levels[1][:, 0, 0] = -1
    given = pack_levels(levels)
    drawn = draw(texts(2), seeds(1, 2), given)
    assert torch.equal(drawn[given >= 0], given[given >= 0])
    assert drawn.shape == given.shape


def test_the_second_pass_is_skipped_while_guidance_is_off() -> None:
    model = build()
    rows = []
    real = model.logits
    model.logits = lambda codes, context: rows.append(len(codes)) or real(codes, context)
    settings = drawing(guidance_scale=3.0, guidance_ramp=0.5, steps=6)
    MaskedSampler(model, settings).draw(texts(2), generators=seeds(1, 2))
    assert rows == [2, 4, 4, 4, 4, 4]  # only at first is nothing known
    rows.clear()
    MaskedSampler(model, drawing(steps=6)).draw(texts(2), generators=seeds(1, 2))
    assert rows == [2] * 6


def test_guidance_grows_to_its_scale() -> None:
    assert guidance_at(0.0, 3.0, 0.5) == 1
    assert guidance_at(0.25, 3.0, 0.5) == 2
    assert guidance_at(0.5, 3.0, 0.5) == guidance_at(1.0, 3.0, 0.5) == 3
    assert guidance_at(0.0, 3.0, 0.0) == 3


@pytest.mark.parametrize("shape", [(1, 1), (4, 6), (8, 8), (16, 16)])
def test_halton_s_order_has_every_cell_once(shape: tuple[int, int]) -> None:
    order = halton_order(shape)
    assert sorted(order.tolist()) == list(range(shape[0] * shape[1]))


def test_halton_s_first_cells_are_spread() -> None:
    first = halton_order((8, 8))[:16]
    quarters = Counter((int(c) // 8 // 4, int(c) % 8 // 4) for c in first)
    assert len(quarters) == 4
    assert min(quarters.values()) >= 3


@pytest.mark.parametrize("cells", [1, 5, 64, 256])
@pytest.mark.parametrize("steps", [1, 2, 8, 64, 400])
def test_groups_are_all_cells_and_none_is_empty(cells: int, steps: int) -> None:
    sizes = group_sizes(cells, steps)
    assert sum(sizes) == cells
    assert min(sizes) >= 1
    assert len(sizes) == min(steps, cells)
    assert torch.cat(list(groups(torch.arange(cells), steps))).tolist() == list(range(cells))
    with pytest.raises(ValueError, match="steps = 0"):
        group_sizes(cells, 0)


def test_the_posterior_is_bayes_rule_on_vq_diffusion_s_chain() -> None:
    """Against the chain's own matrices, multiplied out."""
    k, uniform, now, then = 3, 0.3, 0.8, 0.5

    def marginal(time: float) -> torch.Tensor:
        """(from code, to code or MASK)."""
        q = torch.full((k, k + 1), uniform * time / k, dtype=torch.float64)
        q[:, :k] += (1 - time) * torch.eye(k, dtype=torch.float64)
        q[:, k] = (1 - uniform) * time
        return q

    stays = (1 - now) / (1 - then)
    hides = 1 - (1 - now * (1 - uniform)) / (1 - then * (1 - uniform))
    step = torch.zeros(k + 1, k + 1, dtype=torch.float64)
    step[:k, :k] = stays * torch.eye(k) + (1 - stays - hides) / k
    step[:k, k], step[k, k] = hides, 1
    assert torch.allclose(marginal(then) @ step, marginal(now))
    for seen, clean in itertools.product(range(k + 1), range(k)):
        shares, masked = posterior(
            torch.tensor([[seen]]), torch.tensor([[clean]]), k, uniform, now=now, then=then
        )
        found = torch.cat([shares[0, 0], masked[0]])
        expected = marginal(then)[clean] * step[:, seen]
        assert torch.allclose(found / found.sum(), expected / expected.sum())


def test_a_bound_is_above_the_mean_of_exact_costs() -> None:
    """Over all orders one by one, the bound is their mean; Halton's is one of them."""
    prior = DiffusionPrior([build(shape=(1, 2), n_class=3)])
    codes, cond = all_grids(3, (1, 2)), texts(1)[torch.zeros(9, dtype=torch.int64)]
    model, orders = prior.levels[0], []
    context = model.context(9, cond)
    for order in ([0, 1], [1, 0]):
        seen, cost = torch.full((9, 2), 3), torch.zeros(9)
        for cell in order:
            logits = model.logits(seen.reshape(9, 1, 2), context)[:, 0]
            cost += torch.nn.functional.cross_entropy(
                logits[:, cell], codes[:, 0, cell], reduction="none"
            )
            seen[:, cell] = codes[:, 0, cell]
        orders.append(cost)
    estimates = torch.stack([prior.bound(codes, cond, seed=s) for s in range(200)]).mean(0)
    assert torch.allclose(estimates, ((orders[0] + orders[1]) / 2).double(), atol=0.3)


def test_an_impossible_setting_is_named() -> None:
    for changes, words in (({"top_k": 99}, "top_k is 99"), ({"temperature": -1.0}, "temperature")):
        with pytest.raises(ValueError, match=words):
            MaskedSampler(build(), SimpleNamespace(**{**vars(drawing()), **changes}))
