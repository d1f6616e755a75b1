"""Found early: what a later stage cannot do ends the run before the first one has begun."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import ROOT, change

from pipeline.backbones import SMALLEST
from pipeline.errors import UserError
from pipeline.evaluation.perceptual import lpips_distances
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.models.vqvae import VQVAE
from pipeline.params import read_yaml
from stages.__main__ import THREADS, InstructionSet
from stages.checking import SECTIONS, check_params

OWN = {"threads": THREADS, "instruction_set": InstructionSet}
MIXED = {"prior": "diffusion", "diffusion": {"uniform_share": 0.1}}  # VQ-Diffusion's process


@pytest.fixture
def params(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path / "params.yaml"


def checked(params: Path, **changes: Any) -> list[str]:
    change(params.parent, changes)
    return check_params(params, OWN, processes=1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"generate": {"top_k": 600}}, r"generate\.top_k = 600: at most vqvae\.n_embed = 128"),
        ({"vqvae": {"n_embed": 16}, "generate": {"top_k": 17}}, r"at most vqvae\.n_embed = 16"),
        ({"dump_codes": {"max_shift": 64}}, r"less than vqvae\.image_size = 64"),
        ({"decoder": {"max_shift": 64}}, r"decoder\.max_shift = 64: expected less than vqvae"),
        ({"decoder": {"patch": 16}}, r"decoder\.patch = 16: expected a divisor of the VQ-VAE's"),
        ({"decoder": {"channels": [8] * 7}}, r"expected image_size = 64 to be a multiple of 128"),
        ({"decoder": {"channels": [12]}}, r"decoder\.channels\.0 = 12"),
        ({"decoder": {"guide": {"channels": [8] * 7, "steps": 1}}}, r"decoder\.guide\.patch = 2"),
        ({"decoder": {"guide": {"channels": [], "steps": 1}}}, r"decoder\.guide\.channels"),
        (
            {"decoder": {"guide": {"channels": [8], "steps": 0}}},
            r"generate\.decoder_guidance = 2\.5: expected 1 where there is no guide",
        ),
        ({"generate": {"decoder_steps": -1}}, r"generate\.decoder_steps = -1"),
        ({"generate": {"decoder_guidance": 0.5}}, r"generate\.decoder_guidance = 0\.5"),
        ({"vqvae": {"image_size": 24, "levels": 2}}, r"image_size = 24: expected a multiple of 32"),
        ({"generate": {"prompts": ["A ship", " \u200b "]}}, r"generate\.prompts\.1 = .*is empty"),
        ({"generate": {"prompts": ["a " * 63]}}, r"63 words, blip\.max_text_length = 64"),
        ({"generate": {"top_p": 1.5}}, r"generate\.top_p = 1\.5"),
        ({"evaluate": {"grid_pictures": 1}}, r"evaluate\.grid_pictures = 1"),
        ({"pixelsnail": {"kernel_size": 1}}, r"pixelsnail\.kernel_size = 1"),
        ({"vqvae": {"quantizer": "fsq", "n_embed": 100}}, r"fsq takes a power of two"),
        (
            {**MIXED, "generate": {"order": "confidence"}},
            r"generate\.order = confidence: expected halton where diffusion\.uniform_share",
        ),
        (
            {**MIXED, "generate": {"remask_steps": 2}},
            r"generate\.remask_steps = 2: expected 0 where",
        ),
        ({"pretrained": {"lpips_net": "resnet"}}, r"pretrained\.lpips_net = 'resnet'"),
    ],
)
def test_what_a_later_stage_cannot_do_is_refused(
    params: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        checked(params, **changes)
    assert "\n" not in str(caught.value)


def test_the_settings_that_are_committed_go_together_and_so_does_every_section(
    params: Path,
) -> None:
    assert checked(params) == []
    assert set(SECTIONS) | set(OWN) == set(read_yaml(params))
    with pytest.raises(UserError, match=r"blip\.batch_size = 48: 5 processes share it"):
        check_params(params, OWN, processes=5)


@pytest.mark.parametrize("generate", [{"decoder_guidance": 1.0}, {"decoder_steps": 0}])
def test_a_decoder_without_a_guide_is_allowed_where_none_is_asked(
    params: Path, generate: dict[str, Any]
) -> None:
    without = {"guide": {"channels": [8], "steps": 0}}
    assert checked(params, decoder=without, generate=generate) == []


def test_a_section_that_no_stage_knows_is_named(params: Path) -> None:
    params.write_text(params.read_text() + "vqvea: {n_embed: 3}\n")
    with pytest.raises(UserError, match="vqvea: unknown section; known: seed, prior, data"):
        checked(params)


@pytest.mark.parametrize(("net", "side"), [("squeeze", 16), ("alex", 24), ("vgg", 8)])
def test_a_measure_that_is_impossible_is_left_out_by_name_at_once(
    params: Path, net: str, side: int
) -> None:
    changes = {"pretrained": {"lpips": "fetch", "lpips_net": net}, "vqvae": {"image_size": side}}
    (line,) = checked(params, **changes, dump_codes={"max_shift": 2})
    assert line.startswith("LPIPS will be left out")
    assert f"lpips_net = {net}" in line
    assert checked(params, vqvae={"image_size": 64}) == []


@pytest.mark.parametrize("net", list(SMALLEST))
def test_the_smallest_pictures_of_a_backbone_are_the_smallest(net: str) -> None:
    import lpips

    measure = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False).eval()
    side = SMALLEST[net]
    pictures = torch.rand(1, 3, side, side)
    assert lpips_distances(measure, pictures, pictures, batch_size=1).tolist() == [0.0]
    small = pictures[..., 1:]
    with pytest.raises(Unmeasurable, match=f"at least {side} pixels"):
        lpips_distances(measure, small, small, batch_size=1)
    with pytest.raises(RuntimeError, match="too small"):
        measure(small[:, :, 1:], small[:, :, 1:])


@pytest.mark.parametrize(("image_size", "downsample"), [(16, 4), (60, 5), (8, 2), (12, 3)])
def test_two_levels_of_every_size_that_is_allowed_can_be_packed(
    image_size: int, downsample: int
) -> None:
    vqvae = VQVAE(
        image_size=image_size, downsample=downsample, levels=2, n_embed=8, embed_dim=4,
        channel=8, n_res_block=1, res_channel=8, quantizer="ema", commitment_weight=1.0,
        text_dim=4,
    )  # fmt: skip
    images, texts = torch.rand(8, 3, image_size, image_size), torch.randn(8, 4)
    assert vqvae.train()(images, texts)[0].shape == images.shape


def test_texts_of_params_that_will_be_encoded_are_checked_as_rows_are(params: Path) -> None:
    text = params.read_text()
    old = "Blue ship in a storm at night"
    params.write_text(text.replace(old, r'"Blue ship \ud83d\udea2"'))
    assert checked(params) == []  # a pair of surrogates is the ship that it stands for
    params.write_text(text.replace(old, r'"Blue ship \ud83d"'))
    with pytest.raises(UserError, match=r"generate\.prompts\.0 = .*half a surrogate pair"):
        checked(params)
    params.write_text(text.replace('json: {train: ""', r'json: {train: "a\udc00"'))
    with pytest.raises(UserError, match=r"data\.json\.train = .*half a surrogate pair"):
        checked(params)


@pytest.mark.parametrize("stage", ["download", "train_vqvae"])
def test_every_stage_checks_all_sections_before_it_loads_its_code(params: Path, stage: str) -> None:
    shutil.copy(ROOT / "dvc.yaml", params.parent)
    change(params.parent, {"evaluate": {"grid_pictures": 1}})
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "stages", stage], cwd=params.parent, capture_output=True, text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": ""}, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: params.yaml: evaluate.grid_pictures = 1")
    assert done.stderr.count("\n") == 1
    assert time.monotonic() - start < 10.0


def test_the_check_loads_no_library_that_computes() -> None:
    script = "import sys, stages.checking; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
