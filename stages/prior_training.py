"""What the training stages of priors share: one family is trained, the others say that they rest.

A stage of each family stands in dvc.yaml, so that `-S prior=…` is all that a person has to change.
That of a family which `prior` does not name leaves an empty folder, as a model that is "off" does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from pipeline.codes.captioned import CaptionedCodes
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pairs import captioned, read_pairs
from pipeline.files import replacing, write_tsv
from pipeline.models.levels import save_levels
from pipeline.models.vqvae import VQVAE
from pipeline.progress import say
from pipeline.sealing import seal_folder
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.level_codes import LevelCodes
from pipeline.training.loop import Curve, Task, build_accelerator, fit
from stages import layout
from stages.resuming import kept_run, trains_ahead

RESTING = ("step", "loss", "bits", "val_loss", "val_bits")  # columns of a curve without rows


def leave_out(family: layout.Family, *, chosen: layout.Family) -> None:
    """Leave what stands for a family that nobody asked for."""
    with replacing(layout.PRIORS[family]) as aside:
        aside.mkdir()
        seal_folder(aside)
    write_tsv(_curve_file(family), [], columns=RESTING)
    say(f"nothing to train: the prior is {chosen}")


def train_prior(
    family: layout.Family,
    settings: Any,
    task: Callable[[Any, LevelCodes, LevelCodes, Any], Task],
    *,
    label: str,
    seed: int,
) -> None:
    """Train a model of `family` for each level of the codes, the coarse one first.

    Args:
        settings: the family's section.
        task: what `fit` trains, of a model, training codes, validation codes and settings.
        label: of the progress line.
    """
    vqvae = VQVAE.from_pretrained(layout.VQVAE)
    shapes, n_embed = vqvae.level_shapes, vqvae.config.n_embed
    texts = TextEmbeddings.open(layout.TEXT_EMBEDDINGS)
    codes = CaptionedCodes.load(layout.CODES, captioned(read_pairs(layout.PAIRS)), texts)
    train, val = codes.of("train", views=True), codes.of("val")

    accelerator = build_accelerator(settings.precision)
    with kept_run(f"train_{family}") as folder:
        models: list[Any] = []
        curves: list[Curve] = [[] for _ in shapes]
        for level, shape in enumerate(shapes):
            torch.manual_seed(seed + level)
            upper_shape = shapes[level - 1] if level else None
            model = settings.build(shape, n_embed, texts.condition, upper_shape)
            write_curve = partial(_write_curve, _curve_file(family), curves, level)
            fit(
                task(
                    model,
                    LevelCodes(train, shapes, level),
                    LevelCodes(val, shapes, level),
                    settings,
                ),
                settings,
                accelerator=accelerator,
                checkpoints=Checkpoints(folder / str(level)),
                seed=seed + level,
                label=label if len(shapes) == 1 else f"{label}, level {level + 1}",
                write_curve=(lambda _: None) if trains_ahead() else write_curve,
            )
            models.append(model)
        if trains_ahead():
            raise SystemExit  # as if interrupted: the outs are its stage's to make
        if accelerator.is_main_process:
            save_levels(models, layout.PRIORS[family])


def _curve_file(family: layout.Family) -> Path:
    return layout.CURVES / f"{family}.tsv"


def _write_curve(path: Path, curves: list[Curve], level: int, curve: Curve) -> None:
    """Write the curves of all levels so far as one table."""
    curves[level] = curve
    rows = [{"level": n, **row} for n, rows in enumerate(curves, start=1) for row in rows]
    write_tsv(path, rows)
