"""finetune_blip: pictures and texts → a BLIP that matches them and a BLIP that captions."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch

from pipeline.data.pairs import of_split, read_pairs
from pipeline.data.pixels import Pixels
from pipeline.files import write_tsv
from pipeline.models.storage import round_as_kept
from pipeline.params import SEED, load_section
from pipeline.training.blip import BlipSettings, BlipTask
from pipeline.training.blip_data import Matches
from pipeline.training.blip_thresholds import choose_thresholds
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.loop import build_accelerator, fit
from stages import layout
from stages.resuming import kept_run


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "blip", BlipSettings)
    seed = load_section(layout.PARAMS, "seed", SEED)
    pairs = read_pairs(layout.PAIRS)

    accelerator = build_accelerator(settings.precision)
    with kept_run("finetune_blip") as folder:
        torch.manual_seed(seed)
        blip = settings.start(of_split(pairs, "train"), pretrained=layout.PRETRAINED / "blip")
        pixels = Pixels.open(layout.BLIP_PIXELS, blip.image_size)
        train, val = (
            Matches.load(
                pairs,
                split,
                pixels=pixels,
                tokenizer=blip.tokenizer,
            )
            for split in ("train", "val")
        )
        task = BlipTask(blip, train, val, settings)
        fit(
            task,
            settings,
            accelerator=accelerator,
            checkpoints=Checkpoints(folder),
            seed=seed,
            label="BLIP",
            write_curve=partial(write_tsv, layout.CURVES / "blip.tsv"),
            follow=task.follow,
            lr_shares=task.lr_shares(),
            by_muon=task.by_muon(),
        )
        if accelerator.is_main_process:
            round_as_kept(task.objectives)
            thresholds = choose_thresholds(task)
            replace(blip, thresholds=thresholds).save(layout.BLIP)
