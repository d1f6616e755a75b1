"""Trainings outside the stages: the same loop, nothing kept for going on, and what they took."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from apps.doctor.speed import PRIORS
from pipeline.codes.captioned import CaptionedCodes
from pipeline.data.embeddings import TextEmbeddings
from pipeline.models.levels import save_levels
from pipeline.models.vqvae import VQVAE
from pipeline.params import tuples
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.level_codes import LevelCodes
from pipeline.training.loop import Task, build_accelerator, fit
from pipeline.training.settings import TrainingSettings


def train(
    task: Task,
    settings: TrainingSettings,
    *,
    seed: int,
    label: str,
    by_muon: Collection[str] = (),
) -> float:
    """Train `task.model` in place; returns the processor's seconds that it took."""
    began = time.process_time()
    with TemporaryDirectory() as scratch:
        fit(
            task,
            settings,
            accelerator=build_accelerator(settings.precision),
            checkpoints=Checkpoints(Path(scratch)),
            seed=seed,
            label=label,
            write_curve=lambda _: None,
            by_muon=by_muon,
        )
    return time.process_time() - began


def train_prior(
    family: str,
    section: Mapping[str, Any],
    codes: CaptionedCodes,
    vqvae: VQVAE,
    texts: TextEmbeddings,
    folder: Path,
    *,
    seed: int,
    label: str,
) -> float:
    """Train a prior of `family` over codes, level by level, into `folder`; returns the seconds.

    Args:
        section: the family's, of params.yaml.
        codes: of all splits; training sees every view of its own.
    """
    schema, task = PRIORS[family]
    settings, shapes = schema(**tuples(section)), vqvae.level_shapes
    known, val = codes.of("train", views=True), codes.of("val")
    models, seconds = [], 0.0
    for level, shape in enumerate(shapes):
        torch.manual_seed(seed + level)
        upper = shapes[level - 1] if level else None
        model = settings.build(shape, vqvae.config.n_embed, texts.condition, upper)
        of_level = (LevelCodes(part, shapes, level) for part in (known, val))
        own = task(model, *of_level, settings)
        seconds += train(own, settings, seed=seed + level, label=label)
        models.append(model)
    save_levels(models, folder)
    return seconds
