"""The painter: a picture depends on its prompt, not on the others asked for with it."""

from __future__ import annotations

import diffusions
import numpy as np
import pytest
import torch
from flows import build_flow
from hypothesis import given
from hypothesis import strategies as st
from painters import write_painter
from pydantic import ValidationError

from pipeline.data.condition import TextCondition
from pipeline.decoder import Decoder
from pipeline.errors import UserError
from pipeline.evaluation.gallery import Draws
from pipeline.models.pixelsnail import PixelSNAIL
from pipeline.models.vqvae import VQVAE
from pipeline.painter import Painter, PaintSettings
from pipeline.painting_files import file_name, save_paintings, save_png
from pipeline.priors import load_prior
from pipeline.priors.diffusion import DiffusionPrior
from pipeline.priors.pixelsnail import PixelSNAILPrior

SETTINGS = {
    "temperature": 1.0, "top_k": 0, "top_p": 0.9, "guidance_scale": 1.5, "candidates": 3,
    "decoder_steps": 0, "decoder_guidance": 1.0, "batch_size": 4, "precision": "fp32",
    "steps": 3, "order": "halton", "remask_steps": 0, "guidance_ramp": 0.0,
}  # fmt: skip


class Reader:
    """Stands for BLIP: a prompt's embedding by its letters; it calls what is red likely."""

    def check_prompts(self, prompts) -> None:
        pass

    def embed_texts(self, prompts):
        rows = torch.tensor([[ord(p[0]) % 7, len(p), 1.0, 2.0] for p in prompts])
        pooled = torch.nn.functional.normalize(rows, dim=1)
        mask = torch.ones(len(prompts), 2, dtype=torch.bool)
        return TextCondition(pooled, pooled[:, None].repeat(1, 2, 1), mask)

    def likelihoods(self, images, text):
        return images[..., 0].mean(axis=(1, 2)) / 255


def build(levels: int, *, family: str = "pixelsnail") -> Painter:
    torch.manual_seed(0)
    vqvae = VQVAE(
        image_size=16, downsample=4, levels=levels, n_embed=8, embed_dim=4, channel=8,
        n_res_block=1, res_channel=8, quantizer="ema",
        commitment_weight=1.0, text_dim=4,
    )  # fmt: skip
    vqvae.train()(torch.rand(8, 3, 16, 16) * 2 - 1, torch.randn(8, 4))
    shapes = vqvae.level_shapes
    priors = []
    for number, shape in enumerate(shapes):
        upper = {"upper_shape": shapes[0], "upper_n_class": 8} if number else {}
        if family == "diffusion":
            texts = {"text_dim": 4, "token_dim": 4}
            priors.append(diffusions.build(shape=shape, n_class=8, **texts, **upper))
            continue
        prior = PixelSNAIL(
            shape, 8, 16, 2, 1, 1, 8, cross_attention=True, text_dim=4, token_dim=4, **upper
        )
        torch.nn.init.normal_(prior.out.weight)
        priors.append(prior.eval())
    prior = (DiffusionPrior if family == "diffusion" else PixelSNAILPrior)(priors)
    return Painter(Reader(), prior, Decoder(vqvae.eval(), build_flow(vqvae)))


@pytest.mark.parametrize("decoder_steps", [0, 2])
@pytest.mark.parametrize("levels", [1, 2])
def test_a_picture_does_not_depend_on_its_company(levels, decoder_steps):
    painter = build(levels)
    settings = PaintSettings(**{**SETTINGS, "decoder_steps": decoder_steps})
    together = painter.paint(["ship", "dog", "a tree"], settings, samples=2, seed=3)
    alone = painter.paint(["a tree"], settings, samples=2, seed=3)
    assert [p.prompt for p in together] == ["ship", "ship", "dog", "dog", "a tree", "a tree"]
    for one, other in zip(together[4:], alone, strict=True):
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.draws, other.draws)
    assert not np.array_equal(alone[0].image, alone[1].image)


def test_the_flow_decoder_paints_the_codes_that_the_least_error_decoder_would(monkeypatch):
    """Its noise is drawn apart: with any number of steps the prior draws the same codes."""
    painted = {}
    for steps in (0, 2):
        painter, codes = build(1), []
        vqvae = painter.decoder.vqvae
        decode = vqvae.decode
        monkeypatch.setattr(
            vqvae, "decode", lambda c, t, seen=codes, d=decode: seen.append(c) or d(c, t)
        )
        settings = PaintSettings(**{**SETTINGS, "decoder_steps": steps})
        (painting,) = painter.paint(["ship"], settings, samples=1, seed=3)
        painted[steps] = torch.cat(codes), painting.draws
    assert torch.equal(painted[0][0], painted[2][0])
    assert not np.array_equal(painted[0][1], painted[2][1])


def test_steps_of_a_flow_decoder_that_is_not_there_are_one_line():
    painter = build(1)
    without = Painter(painter.blip, painter.prior, Decoder(painter.decoder.vqvae))
    settings = PaintSettings(**{**SETTINGS, "decoder_steps": 2})
    with pytest.raises(UserError, match="no flow decoder"):
        without.paint(["ship"], settings, samples=1, seed=3)


def test_the_likeliest_candidate_is_chosen_and_the_first_is_kept_too():
    painter = build(1)
    chosen = painter.paint(["ship"], PaintSettings(**SETTINGS), samples=1, seed=0)[0]
    single = PaintSettings(**{**SETTINGS, "candidates": 1})
    first = painter.paint(["ship"], single, samples=1, seed=0)[0]
    assert np.array_equal(chosen.draws[0], first.image)
    assert np.array_equal(chosen.image, chosen.draws[chosen.chosen])
    assert chosen.likelihood == max(chosen.likelihoods) >= first.likelihood


@pytest.mark.parametrize("family", ["pixelsnail", "diffusion"])
def test_the_choice_does_not_depend_on_company_or_batch_size(tmp_path, family):
    """To the last bit of what is chosen by, with a real BLIP."""
    painter = Painter.from_pretrained(write_painter(tmp_path / "models", family=family))
    prompts = ["A red square", "A blue square on the left", "green"]
    found = [
        painter.paint(prompts, samples=2, seed=3, batch_size=18)[4:],
        painter.paint(prompts[2:], samples=2, seed=3, batch_size=5),
        painter.paint(prompts[2:], samples=2, seed=3, batch_size=1),
    ]
    for painted in found:
        for one, other in zip(painted, found[0], strict=True):
            assert np.array_equal(one.draws, other.draws)
            assert np.array_equal(one.likelihoods, other.likelihoods)
            assert len(set(one.likelihoods)) == 3


def test_every_draw_is_kept_beside_the_chosen_one_and_says_what_it_is(tmp_path):
    painter, settings = build(1), PaintSettings(**SETTINGS)
    paintings = painter.paint(["ship", "1889"], settings, samples=1, seed=0)
    save_paintings(paintings, tmp_path / "made", facts={"seed": "0"}, judged={"ship", "1889"})
    draws = Draws.load(tmp_path / "made")
    assert draws.prompts == ["ship"] * 3 + ["1889"] * 3
    assert np.array_equal(draws.images, np.concatenate([p.draws for p in paintings]))
    assert np.array_equal(draws.best, np.stack([p.image for p in paintings]))
    assert np.array_equal(draws.unranked, np.stack([p.draws[0] for p in paintings]))
    assert len(list((tmp_path / "made").glob("*.png"))) == 2


def test_no_prompt_is_no_picture():
    assert build(1).paint([], PaintSettings(**SETTINGS), samples=2, seed=0) == []


@pytest.mark.parametrize("typed", ["L’e\u0301glise  bleue ", "L'\u00e9glise bleue\u200b"])
def test_a_prompt_typed_in_another_way_is_the_same_prompt_seed_and_file(typed):
    painter, settings = build(1), PaintSettings(**SETTINGS)
    plain, other = (
        painter.paint([prompt], settings, samples=1, seed=3)[0]
        for prompt in ("L'\u00e9glise bleue", typed)
    )
    assert other.prompt == plain.prompt
    assert file_name(other.prompt, 0) == file_name(plain.prompt, 0)
    assert np.array_equal(other.image, plain.image)


def test_another_seed_is_another_picture():
    painter, settings = build(1), PaintSettings(**SETTINGS)
    one, other = (painter.paint(["ship"], settings, samples=1, seed=s)[0] for s in (0, 1))
    assert not np.array_equal(one.image, other.image)


@pytest.mark.parametrize("bad", [{"temperature": 0.0}, {"top_p": 0.0}, {"candidates": 0}])
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ValidationError):
        PaintSettings(**{**SETTINGS, **bad})


def test_more_likeliest_codes_than_there_are_is_one_line():
    with pytest.raises(UserError, match="top_k = 9: at most 8, the number of codes"):
        build(1).paint(["ship"], PaintSettings(**SETTINGS), top_k=9)


def test_repainting_refuses_the_same_as_painting():
    area = np.ones(some_picture().shape[:2], dtype=bool)
    with pytest.raises(UserError, match="top_k = 9: at most 8"):
        build(1).repaint(some_picture(), area, "ship", PaintSettings(**SETTINGS), top_k=9)


def test_the_prior_is_prepared_once_for_settings_that_stay(monkeypatch):
    painter, prepared = build(1), []
    drawing = painter.prior.drawing
    monkeypatch.setattr(
        painter.prior, "drawing", lambda settings: prepared.append(settings) or drawing(settings)
    )
    settings = PaintSettings(**SETTINGS)
    for guidance in (1.0, 1.0, 3.0):
        painter.paint(["ship"], settings, guidance_scale=guidance, batch_size=len(prepared) + 1)
    assert [settings.guidance_scale for settings in prepared] == [1.0, 3.0]


def test_a_prior_comes_back_with_all_its_levels(tmp_path):
    prior = build(2).prior
    prior.save_pretrained(tmp_path / "prior")
    again = load_prior(tmp_path / "prior")
    assert [level.shape for level in again.levels] == [(2, 2), (4, 4)]
    assert PixelSNAIL.from_pretrained(tmp_path / "prior").shape == (4, 4)


@given(st.text(min_size=1, max_size=300), st.integers(0, 9))
def test_no_prompt_leads_out_of_the_folder_or_breaks_a_file(tmp_path_factory, prompt, sample):
    folder = tmp_path_factory.mktemp("pictures")
    name = file_name(prompt, sample)
    assert len(name) < 100
    safe = prompt.encode("utf-8", "replace").decode()
    save_png(folder / name, np.zeros((4, 4, 3), np.uint8), {"prompt": safe})
    assert [p.name for p in folder.iterdir()] == [name]


def test_different_prompts_have_different_names():
    assert file_name("A ship!", 0) != file_name("A ship?", 0)
    assert file_name("A ship", 0) != file_name("A ship", 1)


def some_picture(seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("decoder_steps", [0, 2])
def test_repainting_leaves_all_but_the_area_as_it_was(levels, decoder_steps):
    painter, picture = build(levels, family="diffusion"), some_picture()
    area = np.zeros((16, 16), dtype=bool)
    area[5:11, 3:9] = True
    settings = PaintSettings(**{**SETTINGS, "decoder_steps": decoder_steps})
    paintings = painter.repaint(picture, area, "A red square", settings, samples=2, seed=1)
    assert len(paintings) == 2
    for painting in paintings:
        for draw in painting.draws:
            assert np.array_equal(draw[~area], picture[~area])
            assert not np.array_equal(draw[area], picture[area])
    assert not np.array_equal(paintings[0].image, paintings[1].image)
    again = painter.repaint(picture, area, "A red square", settings, samples=2, seed=1)
    assert np.array_equal(again[1].draws, paintings[1].draws)


def test_what_surrounds_an_area_is_seen():
    painter = build(1, family="diffusion")
    area = np.zeros((16, 16), dtype=bool)
    area[4:8, 4:8] = True
    drawn = {
        painter.repaint(some_picture(s), area, "A red square", PaintSettings(**SETTINGS), seed=1)[0]
        .image[area]
        .tobytes()
        for s in range(12)
    }
    assert len(drawn) > 1


@pytest.mark.parametrize(
    ("picture", "area", "words"),
    [
        (np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), bool), "expected 16 x 16 pixels"),
        (np.zeros((16, 16, 3), np.uint8), np.ones((8, 8), bool), "expected 16 x 16 pixels"),
        (np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16), bool), "no area to paint"),
    ],
)
def test_what_cannot_be_repainted_is_one_line(picture, area, words):
    painter = build(1, family="diffusion")
    with pytest.raises(UserError, match=words):
        painter.repaint(picture, area, "A red square", PaintSettings(**SETTINGS))


def test_pixelsnail_repaints_a_picture_s_end_and_says_so_of_its_midst():
    painter, area = build(1), np.zeros((16, 16), dtype=bool)
    area[4:8] = True
    with pytest.raises(UserError, match="row by row"):
        painter.repaint(some_picture(), area, "A red square", PaintSettings(**SETTINGS))
    area[4:] = True
    (painting,) = painter.repaint(some_picture(), area, "A red square", PaintSettings(**SETTINGS))
    assert np.array_equal(painting.image[:4], some_picture()[:4])
