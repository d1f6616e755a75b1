"""How long a training takes on this machine, by a few steps of its own loop on made-up data.

`python -m apps.doctor.speed PARAMS STAGE…` prints a line of JSON for each.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from apps.doctor.timing import MEASURING
from pipeline.codes.captioned import CaptionedCodes
from pipeline.data.captioned import CaptionedImages
from pipeline.data.condition import TextCondition
from pipeline.data.pairs import Pair
from pipeline.data.pixels import Pixels, seal_pixels, shard_name
from pipeline.devices import best_device, repeat_exactly
from pipeline.models.vqvae import VQVAE
from pipeline.params import load_section
from pipeline.training.blip import BlipTask
from pipeline.training.blip_data import Matches
from pipeline.training.blip_settings import BlipSettings
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.decoder import DecoderTask
from pipeline.training.decoder_settings import DecoderSettings
from pipeline.training.diffusion import DiffusionTask
from pipeline.training.diffusion_settings import DiffusionSettings
from pipeline.training.level_codes import LevelCodes
from pipeline.training.loop import Task, build_accelerator, fit
from pipeline.training.pixelsnail import PixelSNAILTask
from pipeline.training.pixelsnail_settings import PixelSNAILSettings
from pipeline.training.vqvae import VQVAETask
from pipeline.training.vqvae_settings import VQVAESettings

# Of each family: its section's schema, and its task.
PRIORS: dict[str, tuple[Any, Any]] = {
    "pixelsnail": (PixelSNAILSettings, PixelSNAILTask),
    "diffusion": (DiffusionSettings, DiffusionTask),
}
WARM_UP, TIMED = 2, 5  # steps; the first starts the codebook, and fills caches
WORDS = 12  # tokens of a caption, about the default's
PICTURES = 64


class _Clock:
    """A task that notes when each of its steps begins, and validates nothing."""

    def __init__(self, task: Task) -> None:
        self.task, self.model, self.rows = task, task.model, task.rows
        self.begun: list[float] = []

    def loss(self, model: torch.nn.Module, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The task's own, once all steps before it are done."""
        if best_device().type != "cpu":
            torch.accelerator.synchronize()
        self.begun.append(time.perf_counter())
        return self.task.loss(model, rows)

    def validate(self, model: torch.nn.Module) -> dict[str, float]:
        """No loss."""
        return {"loss": 0.0}


@dataclass(frozen=True)
class Training:
    """A model's training as its stage starts it, on made-up data.

    Attributes:
        by_muon: names of the weights that Muon moves.
    """

    task: Task
    settings: Any
    by_muon: Collection[str] = ()


def training_seconds(stage: str, params: Path) -> float:
    """The seconds of all steps of a training stage, validation left out, on this machine.

    Args:
        stage: its name in dvc.yaml.
        params: params.yaml, whose sizes, batches and numbers of steps count.
    """
    return sum(
        step_seconds(training) * training.settings.steps for training in trainings(stage, params)
    )


def trainings(stage: str, params: Path) -> Iterator[Training]:
    """The trainings of a stage: of a prior, one for each level. Arguments as above."""
    torch.manual_seed(0)
    family = stage.removeprefix("train_")
    blip_settings = load_section(params, "blip", BlipSettings)
    if stage == "finetune_blip":
        blip = _blip(blip_settings)
        yield Training(blip, blip_settings, blip.by_muon())
        return
    texts = _texts(blip_settings)
    vqvae = load_section(params, "vqvae", VQVAESettings)
    model = vqvae.build(texts.pooled.shape[1])
    known = CaptionedImages(torch.from_numpy(_noise(vqvae.image_size)), texts.pooled)
    if stage == "train_vqvae":
        yield Training(VQVAETask(model, known, known, vqvae), vqvae, model.hidden_weights())
    elif stage == "train_decoder":
        settings = load_section(params, "decoder", DecoderSettings)
        for own in filter(None, (settings.of_guide, settings)):
            decoder = own.build(model)
            task = DecoderTask(decoder, model.to(best_device()), known, known, own)
            yield Training(task, own, decoder.hidden_weights())
    else:
        schema, prior_task = PRIORS[family]
        prior_settings: Any = load_section(params, family, schema)
        for level in _levels(prior_settings, prior_task, model, texts):
            yield Training(level, prior_settings)


def step_seconds(training: Training) -> float:
    """Of a step, by those of a short run of the stages' own loop."""
    few = WARM_UP + TIMED + 1  # the last says when the one before it ended
    changes = {"steps": few, "validate_every": few, "checkpoint_every": few, "patience": 0}
    clock = _Clock(training.task)
    settings = training.settings
    with TemporaryDirectory() as folder:
        fit(
            clock,
            settings.model_copy(update=changes),
            accelerator=build_accelerator(settings.precision),
            checkpoints=Checkpoints(Path(folder)),
            seed=0,
            label=MEASURING,
            write_curve=lambda curve: None,
            by_muon=training.by_muon,
        )
    return (clock.begun[-1] - clock.begun[WARM_UP]) / TIMED


def _texts(blip: BlipSettings) -> TextCondition:
    pooled = torch.nn.functional.normalize(torch.randn(PICTURES, blip.projection_dim), dim=1)
    tokens = torch.randn(PICTURES, WORDS, blip.hidden_size)
    return TextCondition(pooled, tokens, torch.ones(PICTURES, WORDS, dtype=torch.bool))


def _pairs() -> list[Pair]:
    words = [f"word{number}" for number in range(WORDS - 2)]
    return [
        Pair(
            id=number, image=f"{number}.png", split="train", caption=f"{' '.join(words)} {number}",
            text=" ".join(words * 9), title="", match="NO" if number % 2 else "YES",
            objects=("ship",),
        )
        for number in range(PICTURES)
    ]  # fmt: skip


def _blip(settings: BlipSettings) -> BlipTask:
    side, pairs = settings.image_size, _pairs()
    # Windows removes no file that is mapped.
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        checkpoint = settings.start(pairs, pretrained=Path(folder) / "none")
        np.save(Path(folder) / shard_name(0), _noise(side))
        names = np.array([pair.image.encode() for pair in pairs])
        seal_pixels(Path(folder), names, counts=[len(names)], size=side)
        pixels = Pixels.open(folder, side)
        known = Matches.load(pairs, "train", pixels=pixels, tokenizer=checkpoint.tokenizer)
        known = replace(known, images=known.images[:])
    return BlipTask(checkpoint, known, known, settings)


def _levels(settings: Any, task: Any, vqvae: VQVAE, texts: TextCondition) -> Iterator[Task]:
    shapes, codes = vqvae.level_shapes, vqvae.config.n_embed
    rows = torch.arange(PICTURES)
    packed: Tensor = torch.randint(codes, (PICTURES, *vqvae.code_shape))
    known = CaptionedCodes(
        codes=packed,
        pairs=_pairs(),
        splits=torch.zeros(PICTURES),
        views=torch.zeros(PICTURES),
        shifts=torch.zeros(PICTURES, 2),
        condition=texts,
        condition_rows=rows,
    )
    for level, shape in enumerate(shapes):
        model = settings.build(shape, codes, texts, shapes[level - 1] if level else None)
        levels = LevelCodes(known, shapes, level)
        yield task(model, levels, levels, settings)


def _noise(side: int) -> np.ndarray:
    """(PICTURES, side, side, 3) uint8."""
    return np.random.default_rng(0).integers(0, 256, (PICTURES, side, side, 3), dtype=np.uint8)


def main(params: str, *stages: str) -> None:
    """Measure as the stages run, in a process that got the launcher's environment."""
    repeat_exactly()
    device = best_device()
    on = torch.backends.cpu.get_cpu_capability()
    if device.type != "cpu":
        on = torch.cuda.get_device_name() if device.type == "cuda" else device.type
    for stage in stages:
        seconds = training_seconds(stage, Path(params))
        torch_says = f"{torch.__version__}, computing on {on}"
        facts = {"seconds": seconds, "torch": torch_says, "on_cpu": device.type == "cpu"}
        print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
