"""generate: prompts → pictures, each with its prompt and seed inside, and an index of them."""

from __future__ import annotations

import pandas as pd

from pipeline.data.pairs import captioned, read_pairs
from pipeline.data.texts import normalise
from pipeline.devices import best_device
from pipeline.errors import UserError
from pipeline.files import replacing
from pipeline.painter import Painter
from pipeline.painting_files import file_name, params_digest, save_png
from pipeline.params import SEED, load_section
from pipeline.sampling_settings import GenerateSettings
from pipeline.sealing import seal_folder
from stages import layout


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "generate", GenerateSettings)
    seed = load_section(layout.PARAMS, "seed", SEED)
    captions = [pair.caption for pair in captioned(read_pairs(layout.PAIRS), "test")]
    tested = list(dict.fromkeys(captions))[: settings.test_prompts]
    prompts = list(dict.fromkeys([*map(normalise, settings.prompts), *tested]))

    painter = Painter.from_pretrained(
        blip=layout.BLIP, prior=layout.PIXELSNAIL, vqvae=layout.VQVAE, device=best_device()
    )
    painter.blip.check_prompts(settings.prompts)
    if settings.top_k > (n_embed := painter.vqvae.config.n_embed):
        raise UserError(f"{layout.PARAMS}: generate.top_k = {settings.top_k}: at most {n_embed}")
    # A data set's captions may be whole passages: they are cut here as they were in training.
    paintings = painter.paint(
        prompts, settings, samples=settings.samples_per_prompt, seed=seed, strict=False
    )
    digest = params_digest(settings, seed)
    rows = []
    with replacing(layout.GENERATED) as folder:
        (folder / "first").mkdir(parents=True)
        for painting in paintings:
            name = file_name(painting.prompt, painting.sample)
            facts = {"prompt": painting.prompt, "seed": str(seed), "sample": str(painting.sample)}
            for file, image in ((name, painting.image), (f"first/{name}", painting.first)):
                save_png(folder / file, image, {**facts, "params": digest})
            rows.append(
                {
                    "prompt": painting.prompt,
                    "sample": painting.sample,
                    "file": name,
                    "first": f"first/{name}",
                    "match": round(painting.match, 6),
                    "test": painting.prompt in set(tested),
                }
            )
        pd.DataFrame(rows).to_csv(folder / "index.csv", index=False, lineterminator="\n")
        seal_folder(folder)
