"""generate: prompts → pictures, each with its prompt and seed inside, and an index of them.

Beside the models it writes the settings that they are judged with, so that they are a painter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipeline.data.prompts import read_prompts
from pipeline.data.texts import normalise
from pipeline.devices import own_device
from pipeline.files import replacing
from pipeline.painter import Painter
from pipeline.painter_folder import PainterFolder
from pipeline.painting_files import load_draws, params_digest, save_draws, save_paintings
from pipeline.params import SEED, load_section
from pipeline.sampling_settings import GenerateSettings, PaintSettings
from pipeline.sealing import seal_folder
from pipeline.seeds import derive_seed
from stages import layout
from stages.sharing import do_in_shares

SHARE = 256  # draws, about


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "generate", GenerateSettings)
    seed = load_section(layout.PARAMS, "seed", SEED)
    judged = read_prompts(layout.PROMPTS)[: settings.judged_prompts or None]
    prompts = list(dict.fromkeys([*map(normalise, settings.prompts), *judged]))

    parts = {
        "blip": layout.BLIP,
        "prior": layout.PRIORS[load_section(layout.PARAMS, "prior", layout.FAMILY)],
        "vqvae": layout.VQVAE,
        "decoder": layout.DECODER,
    }
    painter = Painter.from_folders(**parts, device=own_device())
    painter.blip.check_prompts(settings.prompts)

    # A data set's captions may be whole passages: they are cut here as they were in training.
    condition = painter.blip.embed_texts(prompts)

    def paint(some: slice, path: Path) -> None:
        paintings = painter.paint(
            prompts[some],
            settings,
            samples=settings.samples_per_prompt,
            seed=derive_seed(seed, settings.draw),
            strict=False,
            condition=condition[some],
        )
        save_draws(paintings, path)

    def put_together(made: Sequence[Path]) -> None:
        with replacing(layout.GENERATED) as folder:
            save_paintings(
                (painting for file in made for painting in load_draws(file)),
                folder,
                facts={"seed": str(seed), "params": params_digest(settings, seed)},
                judged=set(judged),
            )
            seal_folder(folder)
        PainterFolder(
            parts=parts,
            settings=PaintSettings(**settings.values_of(PaintSettings)),
            threads=load_section(layout.PARAMS, "threads", int),
            instruction_set=load_section(layout.PARAMS, "instruction_set", str),
        ).write(layout.PAINTER)

    draws = settings.samples_per_prompt * settings.candidates
    whole = math.lcm(settings.batch_size, draws) // draws  # prompts whose draws fill batches
    length = whole * max(1, SHARE // (whole * draws))
    do_in_shares(
        "generate",
        {
            f"{first:09d}": partial(paint, slice(first, first + length))
            for first in range(0, len(prompts), length)
        },
        label="shares of paintings",
        put_together=put_together,
    )
