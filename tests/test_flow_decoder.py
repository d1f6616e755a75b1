"""The flow decoder: what it is told, how it learns, how it paints, and whose codes it refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from flows import TEXT_DIM, build_flow, build_vqvae

from pipeline.data.captioned import CaptionedImages
from pipeline.decoder import Decoder
from pipeline.errors import UserError
from pipeline.models.flow_decoder import FlowDecoder, save_flows
from pipeline.models.vqvae import VQVAE
from pipeline.sampling.flow import integrate
from pipeline.sampling_settings import DetailSettings
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.decoder import DecoderSettings, DecoderTask
from pipeline.training.loop import build_accelerator, fit

SETTINGS = {
    "steps": 30, "batch_size": 8, "lr": 1e-2, "warmup_steps": 2, "weight_decay": 0.0,
    "grad_clip": 1.0, "ema_decay": 0.5, "validate_every": 15, "patience": 0,
    "checkpoint_every": 15, "precision": "fp32", "patch": 2, "channels": (8, 16), "n_res_block": 1,
    "text_dropout": 0.1, "max_shift": 1, "time_mean": 0.0, "time_std": 1.0,
    "guide": {"channels": (8,), "steps": 10},
}  # fmt: skip


def detail(steps: int, guidance: float = 1.0) -> DetailSettings:
    return DetailSettings(decoder_steps=steps, decoder_guidance=guidance)


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def told(vqvae: VQVAE, count: int) -> dict[str, Any]:
    """What a flow decoder is told of `count` pictures' codes."""
    texts = torch.randn(count, TEXT_DIM)
    codes = torch.randint(16, (count, *vqvae.code_shape))
    return {
        "decoded": vqvae.decode(codes, texts).clone(),
        "vectors": [grid.clone() for grid in vqvae.vectors(codes)],
        "text_embeds": texts,
    }


def test_the_flow_of_a_gaussian_is_followed_to_that_gaussian() -> None:
    """x_t = (1 - t) noise + t data, data ~ N(3, 0.5²): the best velocity is known."""
    mean, spread = 3.0, 0.5

    def velocity(x: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        t = times[:, None]
        variance = (t * spread).square() + (1 - t).square()
        slope = (t * spread**2 - (1 - t)) / variance
        return mean + slope * (x - t * mean)

    noise = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    off = {}
    for steps in (1, 2, 4, 8, 64, 256):
        found = integrate(velocity, noise, steps=steps)
        off[steps] = float((found - (mean + spread * noise)).abs().max())
    assert float((integrate(velocity, noise, steps=1) - mean).abs().max()) < 1e-9  # the mean alone
    assert off[256] < off[64] < off[8] < off[4] < off[2] < off[1]
    assert off[256] < 0.02


def test_no_step_is_refused() -> None:
    with pytest.raises(ValueError, match="steps = 0"):
        integrate(lambda x, t: x, torch.zeros(1, 1), steps=0)


def test_guidance_leads_away_from_the_guide_less_and_less_and_not_in_the_last_step() -> None:
    def run(guidance: float, steps: int, guide_way: float = 1.0) -> tuple[float, list[float]]:
        asked: list[float] = []

        def guide(x: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
            asked.append(float(times[0]))
            return torch.full_like(x, guide_way)

        found = integrate(
            lambda x, t: torch.full_like(x, 2.0),
            torch.zeros(1, 1, dtype=torch.float64),
            steps=steps, guide=guide, guidance=guidance,
        )  # fmt: skip
        return float(found), asked

    found, asked = run(3.0, 4)  # the ways differ by 1: 2 of it at time 0, (3/4)² and (1/2)² of that
    assert found == pytest.approx(2 + 2 * (1 + 9 / 16 + 1 / 4) / 4)
    assert asked == [0.0, 0.25, 0.5]
    assert run(3.0, 4, guide_way=2.0)[0] == pytest.approx(2)  # a guide as good leads nowhere else
    assert run(1.0, 4) == (pytest.approx(2), [])  # and costs nothing where it has no weight
    assert run(3.0, 1) == (pytest.approx(2), [])


def test_the_guide_moves_pictures_and_where_there_is_none_it_is_one_line() -> None:
    vqvae = build_vqvae()
    flow, guide = build_flow(vqvae), build_flow(vqvae, channels=(8,))
    codes, texts = torch.randint(16, (2, *vqvae.code_shape)), torch.randn(2, TEXT_DIM)

    def drawn(decoder: Decoder, guidance: float) -> torch.Tensor:
        return decoder.draw(codes, texts, detail(2, guidance), generators=seeded(0, 1))

    plain = drawn(Decoder(vqvae, flow), 1.0)
    assert torch.equal(plain, drawn(Decoder(vqvae, flow, guide), 1.0))
    assert not torch.allclose(plain, drawn(Decoder(vqvae, flow, guide), 3.0), atol=1e-2)
    torch.testing.assert_close(plain, drawn(Decoder(vqvae, flow, flow), 3.0))
    with pytest.raises(UserError, match="decoder_guidance = 3: .*no guide") as caught:
        drawn(Decoder(vqvae, flow), 3.0)
    assert "\n" not in str(caught.value)


def test_the_guide_is_narrower_learns_for_fewer_steps_and_else_alike() -> None:
    settings = DecoderSettings(**SETTINGS)
    of_guide = settings.of_guide
    assert of_guide is not None
    assert (of_guide.channels, of_guide.steps) == ((8,), 10)
    changed = {"channels", "steps"}
    assert of_guide.model_dump(exclude=changed) == settings.model_dump(exclude=changed)
    without = DecoderSettings(**{**SETTINGS, "guide": {"channels": (8,), "steps": 0}})
    assert without.of_guide is None


def test_a_new_one_tells_the_best_velocity_of_a_gaussian_without_structure() -> None:
    vqvae = build_vqvae()
    flow = build_flow(vqvae, learned=False)
    noise, times = torch.randn(3, 3, 16, 16), torch.tensor([0.0, 0.25, 1.0])
    found = flow(noise, times, **told(vqvae, 3))
    slopes = (2 * times - 1) / (times**2 + (1 - times) ** 2)
    torch.testing.assert_close(found, slopes[:, None, None, None] * noise)


@pytest.mark.parametrize(
    ("sizes", "changes"),
    [
        ({}, {}),
        ({"levels": 2}, {}),
        ({"downsample": 8, "image_size": 32}, {"channels": (8, 8, 16)}),
        ({"downsample": 16, "image_size": 32}, {"patch": 4, "channels": (16,)}),
        ({"downsample": 2}, {"patch": 1, "channels": (8, 8)}),
    ],
)
def test_it_is_told_of_codes_of_every_grid_and_of_time_and_text(sizes, changes) -> None:
    vqvae = build_vqvae(**sizes)
    flow = build_flow(vqvae, **changes)
    for block in flow.modules():  # blocks begin at no change; time and text are heard inside them
        if isinstance(block, torch.nn.Conv2d):
            torch.nn.init.normal_(block.weight, std=0.1)
    side = vqvae.config.image_size
    known, noise = told(vqvae, 2), torch.randn(2, 3, side, side)
    found = flow(noise, torch.full((2,), 0.5), **known)
    assert found.shape == noise.shape
    others = [
        {"decoded": known["decoded"] / 2},
        {"text_embeds": -known["text_embeds"]},
        *(
            {"vectors": [v + (n == number) for n, v in enumerate(known["vectors"])]}
            for number in range(len(known["vectors"]))
        ),
    ]
    for other in others:
        assert not torch.allclose(found, flow(noise, torch.full((2,), 0.5), **{**known, **other}))
    assert not torch.allclose(found, flow(noise, torch.full((2,), 0.4), **known))


def captioned(count: int, seed: int) -> CaptionedImages:
    """Pictures of noise, but for a black upper half."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (count, 16, 16, 3), dtype=torch.uint8, generator=generator)
    images[:, :8] = 0
    return CaptionedImages(images, torch.randn(count, TEXT_DIM, generator=generator))


def trained(tmp_path, vqvae: VQVAE, **changes: Any) -> tuple[FlowDecoder, list[dict[str, float]]]:
    settings = DecoderSettings(**{**SETTINGS, **changes})
    torch.manual_seed(0)
    flow = settings.build(vqvae)
    curve = fit(
        DecoderTask(flow, vqvae, captioned(40, 1), captioned(16, 2), settings),
        settings,
        accelerator=build_accelerator("fp32"),
        checkpoints=Checkpoints(tmp_path),
        seed=0,
        label="decoder",
        write_curve=lambda curve: None,
        by_muon=flow.hidden_weights(),
    )
    return flow, curve


def test_it_learns_and_the_vqvae_stays_as_it_is(tmp_path) -> None:
    vqvae = build_vqvae()
    before = {name: value.clone() for name, value in vqvae.state_dict().items()}
    flow, curve = trained(tmp_path, vqvae)
    assert curve[-1]["val_loss"] < 0.98  # a new one's is 1, of unit residuals
    assert all(torch.equal(value, before[name]) for name, value in vqvae.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in vqvae.parameters())
    assert all(torch.isfinite(value).all() for value in flow.state_dict().values())


def test_a_new_ones_loss_is_one_because_the_residual_is_brought_to_unit_size(tmp_path) -> None:
    vqvae, settings = build_vqvae(), DecoderSettings(**{**SETTINGS, "max_shift": 0})
    flow = settings.build(vqvae)
    task = DecoderTask(flow, vqvae, captioned(200, 1), captioned(64, 2), settings)
    assert 0.05 < float(flow.scale) < 2
    torch.manual_seed(0)
    loss, _ = task.loss(flow, torch.arange(200))
    assert float(loss) == pytest.approx(1, abs=0.05)
    assert task.validate(flow)["loss"] == pytest.approx(1, abs=0.05)


def test_every_weight_learns(tmp_path) -> None:
    """After two steps nothing stands behind weights that are still 0."""
    vqvae, settings = build_vqvae(levels=2), DecoderSettings(**{**SETTINGS, "text_dropout": 0.0})
    flow = settings.build(vqvae).train()
    task = DecoderTask(flow, vqvae, captioned(16, 1), captioned(8, 2), settings)
    optimizer = torch.optim.SGD(flow.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        task.loss(flow, torch.arange(16))[0].backward()
        optimizer.step()
    deaf = [name for name, p in flow.named_parameters() if p.grad is None or not p.grad.any()]
    assert deaf == []


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("levels", [1, 2])
def test_a_picture_depends_on_its_codes_text_and_generator_not_on_its_batch(
    levels, guidance
) -> None:
    vqvae = build_vqvae(levels=levels)
    decoder = Decoder(vqvae, build_flow(vqvae), build_flow(vqvae, channels=(8,)))
    codes, texts = torch.randint(16, (5, *vqvae.code_shape)), torch.randn(5, TEXT_DIM)
    together = decoder.draw(codes, texts, detail(3, guidance), generators=seeded(0, 1, 2, 3, 4))
    alone = decoder.draw(codes[3:4], texts[3:4], detail(3, guidance), generators=seeded(3))
    torch.testing.assert_close(together[3:4], alone, rtol=0, atol=1e-5)
    other = decoder.draw(codes[3:4], texts[3:4], detail(3, guidance), generators=seeded(4))
    assert not torch.allclose(alone, other, atol=1e-2)
    assert float(together.abs().max()) <= 1
    assert torch.isfinite(together).all()


def test_without_steps_the_least_error_decoder_paints() -> None:
    vqvae = build_vqvae()
    codes, texts = torch.randint(16, (2, *vqvae.code_shape)), torch.randn(2, TEXT_DIM)
    for decoder in (Decoder(vqvae), Decoder(vqvae, build_flow(vqvae))):
        found = decoder.draw(codes, texts, detail(0), generators=seeded(0, 1))
        assert torch.equal(found, vqvae.decode(codes, texts))
    with pytest.raises(UserError, match="decoder_steps = 4: there is no flow decoder"):
        Decoder(vqvae).draw(codes, texts, detail(4), generators=seeded(0, 1))


def test_it_comes_back_as_it_was_saved_and_refuses_another_vqvae(tmp_path) -> None:
    vqvae = build_vqvae()
    save_flows(build_flow(vqvae), build_flow(vqvae, channels=(8,)), tmp_path / "decoder")
    vqvae.save_pretrained(tmp_path / "vqvae")
    found = Decoder.from_pretrained(
        vqvae=tmp_path / "vqvae", flow=tmp_path / "decoder", device=torch.device("cpu")
    )
    again = found.flow
    assert again is not None
    assert math.isclose(float(again.scale), 0.2, rel_tol=1e-3)  # 16 bits
    assert found.guide is not None
    assert found.guide.config.channels == (8,)
    save_flows(again, None, tmp_path / "decoder")  # nothing of the guide is left behind
    alone = Decoder.from_pretrained(
        vqvae=tmp_path / "vqvae", flow=tmp_path / "decoder", device=torch.device("cpu")
    )
    assert alone.flow is not None
    assert alone.guide is None
    with torch.no_grad():
        next(vqvae.parameters()).add_(1e-3)
    with pytest.raises(UserError, match="another VQ-VAE; run train_decoder") as caught:
        Decoder(vqvae, again)
    with pytest.raises(UserError, match="another VQ-VAE; run train_decoder"):
        Decoder(vqvae, build_flow(vqvae), again)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"patch": 8}, "patch = 8: expected a divisor of the VQ-VAE's downsample, 4"),
        ({"channels": (8, 8, 8, 8, 8)}, "expected image_size = 16 to be a multiple of 32"),
        ({"channels": (12,)}, "channels.0 = 12"),
        ({"channels": ()}, "channels"),
    ],
)
def test_sizes_that_do_not_go_together_are_one_line(sizes, said) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        build_flow(build_vqvae(), **{"channels": (8,), **sizes})
    assert "\n" not in str(caught.value)
