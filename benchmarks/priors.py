"""The priors side by side: the same codes, texts and seconds; bits, what is right, what is real.

    python -m benchmarks.priors --seeds 0 1 2 --budgets 1 4

In a finished run of the sample. Each family is trained for its own steps in params.yaml times the
budget, for `diffusion.steps` and `pixelsnail.steps` take about equal seconds there, and draws every
title of the sample; a diffusion also in other numbers of steps. What was trained is kept in
`.scratch/priors`, and what was measured in docs/priors.jsonl, so an interrupted table goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from apps.doctor.speed import PRIORS
from pipeline.codes.captioned import CaptionedCodes
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pairs import captioned, read_pairs
from pipeline.decoder import Decoder
from pipeline.errors import UserError
from pipeline.evaluation.attributes import attribute_accuracy
from pipeline.evaluation.distribution import distribution
from pipeline.evaluation.judging import fit_judge
from pipeline.evaluation.neutral_scores import find_space
from pipeline.evaluation.perceptual import find_lpips
from pipeline.evaluation.prior_scores import picture_nats
from pipeline.judge.pictures import REFERENCES, fresh_pictures
from pipeline.models.blip_reader import BlipReader
from pipeline.models.levels import save_levels
from pipeline.models.vqvae import VQVAE
from pipeline.painter import Painter
from pipeline.params import load_section, read_yaml, tuples
from pipeline.priors import Prior, load_prior
from pipeline.progress import say
from pipeline.sample.titles import TITLES
from pipeline.sampling_settings import GenerateSettings
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.level_codes import LevelCodes
from pipeline.training.loop import build_accelerator, fit
from stages import layout

DRAWS = 2  # of each title
FOUND = Path("docs/priors.jsonl")
KEPT = Path(".scratch/priors")
# Heading, key, digits.
COLUMNS = (
    ("training, s", "seconds", 0),
    ("weights, M", "weights", 2),
    ("bits as drawn", "bits", 3),
    ("one by one", "bits_one_by_one", 3),
    ("all right", "all", 3),
    ("count", "count", 3),
    ("new titles", "all_unseen", 3),
    ("KID", "kid", 2),
    ("precision", "precision", 2),
    ("recall", "recall", 2),
    ("coverage", "coverage", 2),
    ("drawing, ms a picture", "drawing", 0),
)


@dataclass(frozen=True)
class Cell:
    """One training; `name` tells it from others of its family that `--set` changed."""

    name: str
    family: str
    seed: int
    budget: int
    changes: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Where what was trained is kept."""
        return KEPT / f"{self.name}-{self.budget}-{self.seed}"


class Run:
    """A finished run, of which all but the prior is used."""

    def __init__(self) -> None:
        self.texts = TextEmbeddings.open(layout.TEXT_EMBEDDINGS)
        pairs = captioned(read_pairs(layout.PAIRS))
        self.codes = CaptionedCodes.load(layout.CODES, pairs, self.texts)
        self.vqvae = VQVAE.from_pretrained(layout.VQVAE)
        cpu = torch.device("cpu")
        self.blip = BlipReader.from_pretrained(layout.BLIP)
        self.decoder = Decoder.from_pretrained(vqvae=layout.VQVAE, flow=layout.DECODER, device=cpu)
        self.judge = fit_judge(layout.JUDGE, device=cpu)
        space = find_space(find_lpips(layout.LPIPS), self.judge)
        if space is None:
            raise UserError("there is no space to compare pictures in")
        self.space = space
        size = load_section(layout.PARAMS, "data.sample.size", int)
        real = fresh_pictures(
            list(TITLES),
            purpose=REFERENCES,
            size=size,
            image_size=self.vqvae.config.image_size,
            seed=0,
        )
        self.real = self.space(real)
        self.settings = load_section(layout.PARAMS, "generate", GenerateSettings)

    def trained(self, cell: Cell) -> tuple[Prior, float]:
        """The cell's prior, and the seconds of the processor that it took."""
        taken = cell.folder.with_suffix(".json")
        if not taken.exists():
            schema, task = PRIORS[cell.family]
            section = {**read_yaml(layout.PARAMS)[cell.family], **cell.changes}
            section["steps"] *= cell.budget
            settings = schema(**tuples(section))
            shapes, began = self.vqvae.level_shapes, time.process_time()
            train, val = self.codes.of("train", views=True), self.codes.of("val")
            models = []
            for level, shape in enumerate(shapes):
                torch.manual_seed(cell.seed + level)
                upper = shapes[level - 1] if level else None
                model = settings.build(
                    shape, self.vqvae.config.n_embed, self.texts.condition, upper
                )
                both = [LevelCodes(part, shapes, level) for part in (train, val)]
                with TemporaryDirectory() as scratch:
                    fit(
                        task(model, *both, settings),
                        settings,
                        accelerator=build_accelerator(settings.precision),
                        checkpoints=Checkpoints(Path(scratch)),
                        seed=cell.seed + level,
                        label=cell.folder.name,
                        write_curve=lambda _: None,
                    )
                models.append(model)
            seconds = time.process_time() - began
            save_levels(models, cell.folder)
            taken.write_text(json.dumps(seconds), encoding="utf-8")
        return load_prior(cell.folder), json.loads(taken.read_text(encoding="utf-8"))

    def measured(self, cell: Cell, steps: int) -> dict[str, Any]:
        """All figures of a cell that draws in `steps`."""
        prior, seconds = self.trained(cell)
        settings = self.settings.model_copy(update={"steps": steps, "candidates": DRAWS})
        began = time.process_time()
        paintings = Painter(self.blip, prior, self.decoder).paint(list(TITLES), settings, seed=1)
        drawing = 1000 * (time.process_time() - began) / (DRAWS * len(TITLES))
        draws = np.concatenate([painting.draws for painting in paintings])
        titles = [painting.prompt for painting in paintings for _ in painting.draws]
        test, cpu = self.codes.of("test"), torch.device("cpu")
        bits = math.log(2) * math.prod(self.codes.codes.shape[1:])
        first = np.stack([painting.draws[0] for painting in paintings])
        weights = sum(
            np.prod(tensor.shape)
            for level in prior.levels  # type: ignore[attr-defined]
            for tensor in level.parameters()
        )
        return {
            "name": cell.name, "family": cell.family, "seed": cell.seed, "budget": cell.budget,
            "steps": steps, "seconds": seconds, "weights": float(weights) / 1e6,
            "bits": float(picture_nats(prior, test, cpu, steps=steps).mean()) / bits,
            "bits_one_by_one": float(picture_nats(prior, test, cpu, steps=None).mean()) / bits,
            **dict(attribute_accuracy(titles, self.judge.answers(draws, titles))),
            **dict(distribution(self.real, self.space(first), seed=0)),
            "drawing": drawing,
        }  # fmt: skip


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Each training and number of steps as a row: means over seeds and standard deviations."""
    rows: dict[tuple[str, int, int], list[Mapping[str, Any]]] = {}
    for figures in found:
        row = (figures["name"], figures["budget"], figures["steps"])
        rows.setdefault(row, []).append(figures)
    lines = [
        "| prior | budget | steps | seeds | " + " | ".join(c[0] for c in COLUMNS) + " |",
        "| --- |" + " --- |" * (3 + len(COLUMNS)),
    ]
    for (name, budget, steps), group in sorted(rows.items(), key=lambda r: (r[0][1], r[0])):
        cells = []
        for _, key, digits in COLUMNS:
            values = [figures[key] for figures in group]
            spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
            cells.append(f"{mean(values):.{digits}f}{spread}")
        shown = str(steps) if group[0]["family"] == "diffusion" else "–"
        lines.append(f"| {name} | {budget} | {shown} | {len(group)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what is missing, then print the table of all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budgets", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--families", nargs="+", choices=list(PRIORS), default=list(PRIORS))
    parser.add_argument("--steps", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--name", default="", help="of a variant, which --set makes")
    parser.add_argument("--set", nargs="*", default=[], help="of its family's section: key=value")
    given = parser.parse_args()
    torch.set_num_threads(load_section(layout.PARAMS, "threads", int))
    changes = {key: json.loads(value) for key, _, value in (s.partition("=") for s in given.set)}
    found = (
        [json.loads(line) for line in FOUND.read_text(encoding="utf-8").splitlines()]
        if (FOUND.exists())
        else []
    )
    done = {(f["name"], f["budget"], f["seed"], f["steps"]) for f in found}
    run = Run()
    for budget in given.budgets:
        for seed in given.seeds:
            for family in given.families:
                cell = Cell(given.name or family, family, seed, budget, changes)
                for steps in given.steps if family == "diffusion" else given.steps[:1]:
                    if (cell.name, budget, seed, steps) in done:
                        continue
                    found.append(run.measured(cell, steps))
                    with FOUND.open("a", encoding="utf-8") as stream:
                        stream.write(json.dumps(found[-1]) + "\n")
                    say(f"{cell.folder.name}, {steps} steps: all right {found[-1]['all']:.3f}")
    print(table(found))


if __name__ == "__main__":
    main()
