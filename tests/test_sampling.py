"""The cached sampler gives the uncached forward's numbers, and draws what it is asked to."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from diffusions import drawing
from tapes import record_on_tapes
from torch import Tensor, nn

from pipeline.data.condition import TextCondition
from pipeline.models.pixelsnail import PixelSNAIL
from pipeline.models.pixelsnail_cache import CachedPixelSNAIL
from pipeline.priors.pixelsnail import PixelSNAILPrior
from pipeline.sampling import recorded, sample_codes
from pipeline.sampling.autoregressive import Sampler
from pipeline.sampling.logits import guide, gumbel, keep_top_k, keep_top_p, picker

ROWS = 3


def build(kernel_size: int = 2, **options) -> PixelSNAIL:
    """A small prior whose every weight is at work."""
    torch.manual_seed(0)
    sizes = {"shape": (4, 5), "n_class": 11, "channel": 32, "n_block": 2, "n_res_block": 2}
    sizes |= {"res_channel": 16, "text_dim": 7, "token_dim": 9} | options
    prior = PixelSNAIL(kernel_size=kernel_size, **sizes)
    for parameter in prior.parameters():
        if parameter.abs().max() == 0:
            nn.init.normal_(parameter, std=0.2)
    return prior.eval()


def texts(rows: int = ROWS, seed: int = 1) -> TextCondition:
    generator = torch.Generator().manual_seed(seed)
    pooled = nn.functional.normalize(torch.randn(rows, 7, generator=generator), dim=1)
    lengths = torch.randint(1, 5, (rows, 1), generator=generator)
    mask = torch.arange(4) < lengths
    return TextCondition(pooled, torch.randn(rows, 4, 9, generator=generator), mask)


def seeds(*numbers: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(n) for n in numbers]


def sample_codes_uncached(
    prior: PixelSNAIL,
    cond: TextCondition | None,
    *,
    upper: Tensor | None = None,
    guidance_scale: float = 1.0,
    generator: list[torch.Generator],
    **settings,
) -> Tensor:
    """The specification: a full pass for every code."""
    h, w = prior.shape
    pick = picker(prior.n_class, **{"temperature": 1.0, "top_k": 0, "top_p": 1.0} | settings)
    codes = torch.zeros(len(generator), h, w, dtype=torch.int64)
    for i in range(h):
        noise = gumbel(w, len(generator), prior.n_class, generator)
        for j in range(w):
            logits = prior(codes, cond, upper=upper)[:, :, i, j]
            if guidance_scale != 1:
                null = prior(codes, None, upper=upper)[:, :, i, j]
                logits = guide(torch.cat([logits, null]), guidance_scale)
            codes[:, i, j] = pick(logits, noise[j])
    return codes


SWITCHES = {
    "paper": {"kernel_size": 2},
    "three": {"kernel_size": 3},
    "even": {"kernel_size": 4},
    "port": {"kernel_size": 5},
    "no attention": {"kernel_size": 5, "attention": False},
    "tokens": {"kernel_size": 2, "cross_attention": True},
    "tokens alone": {"kernel_size": 3, "attention": False, "cross_attention": True},
    "no text": {"kernel_size": 2, "text_dim": 0},
    "upper": {"kernel_size": 2, "shape": (4, 6), "upper_shape": (2, 3), "upper_n_class": 5},
    "all": {
        "kernel_size": 5,
        "cross_attention": True,
        "shape": (4, 6),
        "upper_shape": (2, 3),
        "upper_n_class": 5,
    },
    "row": {"kernel_size": 5, "shape": (1, 7)},
    "column": {"kernel_size": 5, "shape": (6, 1)},
    "one code": {"kernel_size": 3, "shape": (1, 1)},
}


def inputs(prior: PixelSNAIL, rows: int = ROWS) -> tuple[TextCondition | None, Tensor | None]:
    shape = prior.config.upper_shape
    upper = None
    if shape:
        generator = torch.Generator().manual_seed(5)
        upper = torch.randint(prior.config.upper_n_class, (rows, *shape), generator=generator)
    return (texts(rows) if prior.config.text_dim else None), upper


@pytest.mark.parametrize("switch", SWITCHES)
@torch.inference_mode()
def test_a_cached_step_gives_the_full_passs_logits(switch: str) -> None:
    prior = build(**SWITCHES[switch])
    cond, upper = inputs(prior)
    codes = torch.randint(11, (ROWS, *prior.shape))
    wanted = prior(codes, cond, upper=upper)
    cache = CachedPixelSNAIL(prior, batch=ROWS)
    cache.begin(prior.context(ROWS, cond, upper=upper))
    for i in range(prior.shape[0]):
        cache.start_row(i)
        for j in range(prior.shape[1]):
            torch.testing.assert_close(cache.logits(i, j), wanted[:, :, i, j], atol=1e-4, rtol=0)
            cache.take(i, j, codes[:, i, j])


@pytest.mark.parametrize("guidance_scale", [1.0, 2.5, 0.0])
@pytest.mark.parametrize("switch", SWITCHES)
@torch.inference_mode()
def test_the_same_noise_gives_the_full_passes_codes(switch: str, guidance_scale: float) -> None:
    prior = build(**SWITCHES[switch]).double()
    cond, upper = inputs(prior)
    if cond is None:
        guidance_scale = 1.0
    settings = {"temperature": 0.9, "top_k": 9, "top_p": 0.95, "guidance_scale": guidance_scale}
    got = sample_codes(prior, cond, upper=upper, generator=seeds(1, 2, 3), **settings)
    wanted = sample_codes_uncached(prior, cond, upper=upper, generator=seeds(1, 2, 3), **settings)
    assert torch.equal(got, wanted)
    assert got.dtype == torch.int64


@pytest.mark.parametrize("switch", SWITCHES)
def test_nothing_of_a_batch_is_left_in_the_next(switch: str) -> None:
    prior = build(**SWITCHES[switch])
    sampler = build_sampler(prior)
    for number, (rows, tokens) in enumerate([(3, 4), (3, 4), (1, 4), (3, 1), (3, 0), (3, 4)]):
        assert_draws(prior, sampler, number, rows=rows, tokens=tokens)


def assert_draws(
    prior: PixelSNAIL, sampler: Sampler, number: int, *, rows: int = ROWS, tokens: int = 4
) -> None:
    """Batch `number`, of its own texts and codes above, is what a new sampler draws."""
    cond, upper = inputs(prior, rows)
    if cond is not None:
        cond = texts(rows, seed=number)
        cond = TextCondition(cond.pooled, cond.tokens[:, :tokens], cond.mask[:, :tokens])
    if upper is not None:
        upper = (upper + number) % 5
    given = {"cond": cond if tokens else None, "upper": upper}
    numbers = range(10 * number, 10 * number + rows)
    got = sampler.draw(**given, generator=seeds(*numbers))
    wanted = build_sampler(prior).draw(**given, generator=seeds(*numbers))
    assert torch.equal(got, wanted)


def build_sampler(prior: PixelSNAIL) -> Sampler:
    return Sampler(prior, temperature=1.0, top_k=0, top_p=0.9, guidance_scale=2.0)


def test_codes_drawn_are_not_the_buffer_of_the_next() -> None:
    prior = build(shape=(1, 1))
    sampler = build_sampler(prior)
    first = sampler.draw(texts(), generator=seeds(1, 2, 3))
    kept = first.clone()
    for seed in range(20):
        sampler.draw(texts(), generator=seeds(seed, seed, seed))
    assert torch.equal(first, kept)


@pytest.mark.parametrize("switch", SWITCHES)
def test_replayed_rows_draw_what_the_steps_do(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    record_on_tapes(monkeypatch)
    prior = build(**SWITCHES[switch])
    sampler = build_sampler(prior)
    for number in range(4):
        assert_draws(prior, sampler, number)
    assert sampler.grids is not None
    assert len(sampler.grids.rows.recording) == prior.shape[0]


def test_a_recording_that_draws_other_codes_or_fails_is_not_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(steps: Sequence[recorded.Work]) -> list[recorded.Work]:
        raise RuntimeError("no graphs today")

    prior = build()
    for instead, words in (
        (lambda steps: [lambda: None for _ in steps], "other values"),
        (fail, "no graphs today"),
    ):
        record_on_tapes(monkeypatch, instead)
        sampler = build_sampler(prior)
        for number in range(4):
            assert_draws(prior, sampler, number)
        assert capsys.readouterr().err.count(words) == 1


class Dial(PixelSNAIL):
    """A prior whose every code has the same known probabilities."""

    def __init__(self, probabilities: list[float]) -> None:
        super().__init__((2, 2), len(probabilities), 16, 2, 1, 1, 8, attention=False)
        self.out.bias.data.copy_(torch.tensor(probabilities).log())


def frequencies(probabilities: list[float], **settings: float) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    codes = sample_codes(Dial(probabilities), batch_size=2000, generator=generator, **settings)
    return codes.flatten().bincount(minlength=len(probabilities)) / codes.numel()


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, [0.1, 0.4, 0.2, 0.3]),
        ({"temperature": 0.5}, [0.01 / 0.3, 0.16 / 0.3, 0.04 / 0.3, 0.09 / 0.3]),
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_k": 1}, [0, 1, 0, 0]),
        ({"top_k": 4}, [0.1, 0.4, 0.2, 0.3]),
        ({"top_p": 0.75}, [0, 4 / 9, 2 / 9, 3 / 9]),
        ({"top_p": 0.65}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_p": 0.01}, [0, 1, 0, 0]),
        ({"temperature": 0.01}, [0, 1, 0, 0]),
    ],
)
def test_codes_come_as_often_as_they_should(
    settings: dict[str, float], wanted: list[float]
) -> None:
    got = frequencies([0.1, 0.4, 0.2, 0.3], **settings)
    torch.testing.assert_close(got, torch.tensor(wanted).float(), atol=0.02, rtol=0)
    assert (got[torch.tensor(wanted) == 0] == 0).all()


def test_top_k_and_top_p_leave_their_logits_as_they_were() -> None:
    logits = torch.randn(5, 8)
    before = logits.clone()
    assert (keep_top_k(logits, 3).isfinite().sum(1) == 3).all()
    assert (keep_top_p(logits, 0.5).isfinite().sum(1) >= 1).all()
    assert torch.equal(logits, before)


def test_guidance_moves_away_from_the_null() -> None:
    conditional, null = torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, 1.5]])
    got = guide(torch.cat([conditional, null]), 3.0)
    torch.testing.assert_close(got, torch.tensor([[4.0, 0.0]]))


def test_a_rows_codes_do_not_depend_on_its_batch() -> None:
    prior, cond = build(cross_attention=True).double(), texts()
    together = sample_codes(prior, cond, guidance_scale=2.0, generator=seeds(4, 5, 6))
    for row, seed in enumerate((4, 5, 6)):
        alone = cond[torch.tensor([row])]
        got = sample_codes(prior, alone, guidance_scale=2.0, generator=seeds(seed))
        assert torch.equal(got[0], together[row])


def test_a_generator_decides_the_codes() -> None:
    prior = build()
    once, again, other = (
        sample_codes(prior, batch_size=4, generator=torch.Generator().manual_seed(s))
        for s in (7, 7, 8)
    )
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert once.min() >= 0
    assert once.max() < prior.n_class


def test_sampling_leaves_a_prior_in_training_in_training() -> None:
    prior = build(dropout=0.5).train()
    once, again = (
        sample_codes(prior, batch_size=2, generator=torch.Generator().manual_seed(1))
        for _ in range(2)
    )
    assert torch.equal(once, again)  # no dropout
    assert prior.training


def test_a_prior_in_bfloat16_draws_nearly_the_same() -> None:
    prior, cond = build(cross_attention=True), texts()
    exact, rough = (
        PixelSNAILPrior([prior]).drawing(drawing(top_k=3, guidance_scale=1.5, precision=precision))
        for precision in ("fp32", "bf16")
    )
    assert [d.samplers[0].sampler.model.out.weight.dtype for d in (exact, rough)] == [
        torch.float32, torch.bfloat16,
    ]  # fmt: skip
    same = exact(cond, seeds(4, 5, 6))[:, 0] == rough(cond, seeds(4, 5, 6))[:, 0]
    assert same.float().mean() > 0.8  # later rows follow what differs
    assert prior.out.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "batch_size is needed"),
        ({"batch_size": 0}, "how many grids"),
        ({"cond": 3, "batch_size": 2}, "cond says 3, batch_size says 2"),
        ({"cond": 3, "generator": seeds(1)}, "cond says 3, generator says 1"),
        ({"batch_size": 1, "temperature": 0.0}, "temperature is 0.0"),
        ({"batch_size": 1, "temperature": float("nan")}, "temperature is nan"),
        ({"batch_size": 1, "top_k": 12}, "top_k is 12, must be from 0"),
        ({"batch_size": 1, "top_k": -1}, "top_k is -1"),
        ({"batch_size": 1, "top_p": 0.0}, "top_p is 0.0"),
        ({"batch_size": 1, "top_p": 1.1}, "top_p is 1.1"),
        ({"batch_size": 1, "guidance_scale": -1.0}, "guidance_scale is -1.0"),
        ({"batch_size": 1, "upper": torch.zeros(1, 2, 2, dtype=torch.int64)}, "upper"),
    ],
)
def test_an_impossible_argument_is_named(arguments: dict, words: str) -> None:
    if "cond" in arguments:
        arguments = arguments | {"cond": texts(arguments["cond"])}
    with pytest.raises(ValueError, match=words):
        sample_codes(build(), **arguments)
