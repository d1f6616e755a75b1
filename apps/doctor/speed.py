"""How long the trainings will take on this machine: a few real steps of each, of made-up data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pipeline.codes.captioned import CaptionedCodes
from pipeline.data.captioned import CaptionedImages
from pipeline.data.condition import TextCondition
from pipeline.data.images import content_name
from pipeline.data.pairs import Pair
from pipeline.download.pretrained import OFF, Pretrained
from pipeline.models.vqvae import VQVAE
from pipeline.params import load_section
from pipeline.training.blip import BlipTask
from pipeline.training.blip_data import Matches
from pipeline.training.blip_settings import BlipSettings
from pipeline.training.decoder import DecoderTask
from pipeline.training.decoder_settings import DecoderSettings
from pipeline.training.diffusion import DiffusionTask
from pipeline.training.diffusion_settings import DiffusionSettings
from pipeline.training.level_codes import LevelCodes
from pipeline.training.loop import Task
from pipeline.training.pixelsnail import PixelSNAILTask
from pipeline.training.pixelsnail_settings import PixelSNAILSettings
from pipeline.training.vqvae import VQVAETask
from pipeline.training.vqvae_settings import VQVAESettings
from stages.layout import FAMILY

PRIORS: dict[str, tuple[str, Any, Any]] = {
    "pixelsnail": ("PixelSNAIL", PixelSNAILSettings, PixelSNAILTask),
    "diffusion": ("diffusion", DiffusionSettings, DiffusionTask),
}
WARM_UP, TIMED = 2, 5  # steps; the first starts the codebook, and fills caches
WORDS = 12  # tokens of a caption, about the default's
PICTURES = 64


def training_seconds(params: Path) -> Iterator[tuple[str, float | None]]:
    """Yield each training's name and the seconds of all its steps here; None: it cannot be told.

    Args:
        params: params.yaml, whose sizes, batches and numbers of steps count.
    """
    torch.manual_seed(0)
    blip = load_section(params, "blip", BlipSettings)
    vqvae = load_section(params, "vqvae", VQVAESettings)
    decoder = load_section(params, "decoder", DecoderSettings)
    family = load_section(params, "prior", FAMILY)
    name, schema, prior_task = PRIORS[family]
    prior = load_section(params, family, schema)
    scratch = load_section(params, "pretrained", Pretrained).blip == OFF
    yield "BLIP", _timed(_blip(blip), blip.batch_size) * blip.steps if scratch else None
    texts = _texts(blip)
    model = vqvae.build(blip.projection_dim)
    known = CaptionedImages(torch.from_numpy(_noise(vqvae.image_size)), texts.pooled)
    task: Task = VQVAETask(model, known, known, vqvae)
    yield "VQ-VAE", _timed(task, vqvae.batch_size) * vqvae.steps
    task = DecoderTask(decoder.build(model), model, known, known, decoder)
    yield "decoder", _timed(task, decoder.batch_size) * decoder.steps
    levels = _levels(prior, prior_task, model, texts)
    yield name, sum(_timed(task, prior.batch_size) * prior.steps for task in levels)


def _timed(task: Task, batch: int) -> float:
    """Seconds of a step: loss, gradients, update."""
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=1e-4, fused=True)
    task.model.train()
    begun = 0.0
    for step in range(WARM_UP + TIMED):
        if step == WARM_UP:
            begun = time.perf_counter()
        optimizer.zero_grad()
        rows = torch.arange(batch) % task.rows
        loss, _ = task.loss(task.model, rows)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return (time.perf_counter() - begun) / TIMED


def _texts(blip: BlipSettings) -> TextCondition:
    pooled = torch.nn.functional.normalize(torch.randn(PICTURES, blip.projection_dim), dim=1)
    tokens = torch.randn(PICTURES, WORDS, blip.hidden_size)
    return TextCondition(pooled, tokens, torch.ones(PICTURES, WORDS, dtype=torch.bool))


def _pairs() -> list[Pair]:
    words = [f"word{number}" for number in range(WORDS - 2)]
    return [
        Pair(
            id=number, image="", split="train", caption=f"{' '.join(words)} {number}",
            text=" ".join(words * 9), title="", match="NO" if number % 2 else "YES",
            objects=("ship",),
        )
        for number in range(PICTURES)
    ]  # fmt: skip


def _blip(settings: BlipSettings) -> Task:
    side = settings.image_size
    with TemporaryDirectory() as folder:
        pairs = []
        for pair, pixels in zip(_pairs(), _noise(side), strict=True):
            path = Path(folder) / "picture.png"
            Image.fromarray(pixels).save(path)
            name = f"{content_name(path.read_bytes())}.png"
            path.rename(Path(folder) / name)
            pairs.append(replace(pair, image=name))
        checkpoint = settings.start(pairs, pretrained=Path(folder) / "none")
        known = Matches.load(
            pairs,
            "train",
            images=Path(folder),
            image_size=side,
            tokenizer=checkpoint.tokenizer,
        )
    return BlipTask(checkpoint, known, known, settings)


def _levels(settings: Any, task: Any, vqvae: VQVAE, texts: TextCondition) -> Iterator[Task]:
    shapes, codes = vqvae.level_shapes, vqvae.config.n_embed
    rows = torch.arange(PICTURES)
    packed: Tensor = torch.randint(codes, (PICTURES, *vqvae.code_shape))
    known = CaptionedCodes(
        packed, _pairs(), torch.zeros(PICTURES), torch.zeros(PICTURES, 2), texts, rows
    )
    for level, shape in enumerate(shapes):
        model = settings.build(shape, codes, texts, shapes[level - 1] if level else None)
        levels = LevelCodes(known, shapes, level)
        yield task(model, levels, levels, settings)


def _noise(side: int) -> np.ndarray:
    """(PICTURES, side, side, 3) uint8."""
    return np.random.default_rng(0).integers(0, 256, (PICTURES, side, side, 3), dtype=np.uint8)
