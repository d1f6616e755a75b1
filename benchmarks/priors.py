"""The priors side by side: the same codes, texts and seconds; bits, what is right, what is real.

    python -m benchmarks.priors --seeds 0 1 2 --budgets 0.25 1 4
    python -m benchmarks.priors --families diffusion --name equal-weights --set layers=4

In a finished run. Each family is trained for its own steps in params.yaml times the budget, for
`diffusion.steps` and `pixelsnail.steps` take about equal seconds there, and draws every title of
the sample, or every caption of other test pictures; a diffusion also in other numbers of steps.
What was trained is kept in `.scratch/priors`, and what was measured in docs/priors.json, so an
interrupted table goes on; table and figures are written into docs/priors.md and beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib.style
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from apps.doctor.speed import PRIORS
from benchmarks.measure import processor
from benchmarks.pages import draw_means, mean_cell, put_table, save_figure
from benchmarks.prior_judging import ByAttributes, ByLabel, Columns, find_judging
from benchmarks.trainings import train_prior
from pipeline.codes.captioned import CaptionedCodes
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pairs import captioned, read_pairs
from pipeline.decoder import Decoder
from pipeline.evaluation.plots import COLORS, FIGURE_STYLE, comparison_grid, write_png
from pipeline.evaluation.prior_scores import picture_nats
from pipeline.files import write_json
from pipeline.models.blip_reader import BlipReader
from pipeline.models.vqvae import VQVAE
from pipeline.painter import Painter, Painting
from pipeline.params import load_section, read_yaml
from pipeline.priors import Prior, load_prior
from pipeline.progress import say
from pipeline.sampling_settings import GenerateSettings
from stages import layout

FOUND, PAGE, FIGURES = Path("docs/priors.json"), Path("docs/priors.md"), Path("docs/priors")
KEPT = Path(".scratch/priors")
SHOWN = 8  # titles whose pictures stand side by side
LEFT: Columns = (
    ("weights, M", "weights", 2), ("training, s", "seconds", 0), ("bits as drawn", "bits", 3),
    ("one by one", "bits_one_by_one", 3),
)  # fmt: skip
RIGHT: Columns = (
    ("FD", "fd", 0), ("KID/1000", "kid", 2), ("precision", "precision", 2),
    ("recall", "recall", 2), ("coverage", "coverage", 2), ("ms a picture", "drawing", 0),
)  # fmt: skip
MIDDLE = {"sample": ByAttributes.columns}  # of other data, ByLabel's


@dataclass(frozen=True)
class Cell:
    """One training; `name` tells it from others of its family that `--set` changed."""

    name: str
    family: str
    seed: int
    budget: float
    changes: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Where what was trained is kept."""
        return KEPT / f"{self.name}-{self.budget:g}-{self.seed}"


class Run:
    """A finished run, of which all but the prior is used."""

    def __init__(self, lpips: Path) -> None:
        self.texts = TextEmbeddings.open(layout.TEXT_EMBEDDINGS)
        pairs = captioned(read_pairs(layout.PAIRS))
        self.codes = CaptionedCodes.load(layout.CODES, pairs, self.texts)
        self.vqvae = VQVAE.from_pretrained(layout.VQVAE)
        cpu = torch.device("cpu")
        self.blip = BlipReader.from_pretrained(layout.BLIP)
        self.decoder = Decoder.from_pretrained(vqvae=layout.VQVAE, flow=layout.DECODER, device=cpu)
        size = self.vqvae.config.image_size
        self.judging = find_judging(size, self.codes, self.texts, lpips)
        self.settings = load_section(layout.PARAMS, "generate", GenerateSettings)

    def trained(self, cell: Cell) -> tuple[Prior, float]:
        """The cell's prior, and the seconds of the processor that it took."""
        taken = cell.folder.with_name(f"{cell.folder.name}.json")
        if not taken.exists():
            section = {**read_yaml(layout.PARAMS)[cell.family], **cell.changes}
            section["steps"] = round(cell.budget * section["steps"])
            seconds = train_prior(
                cell.family, section, self.codes, self.vqvae, self.texts, cell.folder,
                seed=cell.seed, label=cell.folder.name,
            )  # fmt: skip
            taken.write_text(json.dumps(seconds), encoding="utf-8")
        return load_prior(cell.folder), json.loads(taken.read_text(encoding="utf-8"))

    def painted(self, prior: Prior, titles: Sequence[str], *, steps: int) -> list[Painting]:
        """The draws of titles; a picture does not depend on the others."""
        changes = {"steps": steps, "candidates": self.judging.draws}
        settings = self.settings.model_copy(update=changes)
        painter = Painter(self.blip, prior, self.decoder)
        return painter.paint(titles, settings, seed=1)

    def measured(self, cell: Cell, steps: int) -> dict[str, Any]:
        """All figures of a cell that draws in `steps`."""
        prior, seconds = self.trained(cell)
        began = time.process_time()
        painted = self.painted(prior, list(self.judging.titles), steps=steps)
        pictures = np.stack([painting.draws for painting in painted])
        drawing = 1000 * (time.process_time() - began) / math.prod(pictures.shape[:2])
        test, cpu = self.codes.of("test"), torch.device("cpu")
        nats = math.log(2) * math.prod(self.codes.codes.shape[1:])  # in a bit for every code
        weights = sum(
            np.prod(tensor.shape)
            for level in prior.levels  # type: ignore[attr-defined]
            for tensor in level.parameters()
        )
        return {
            "name": cell.name, "family": cell.family, "seed": cell.seed, "budget": cell.budget,
            "steps": steps, "seconds": seconds, "weights": float(weights) / 1e6,
            "bits": float(picture_nats(prior, test, cpu, steps=steps).mean()) / nats,
            "bits_one_by_one": float(picture_nats(prior, test, cpu, steps=None).mean()) / nats,
            **self.judging.figures(pictures), "drawing": drawing,
        }  # fmt: skip

    def draw_side_by_side(self, cells: Mapping[str, Cell], path: Path) -> None:
        """Draw the first pictures of some titles: real ones, and those of each cell."""
        every = self.judging.titles
        rows = [place * len(every) // SHOWN for place in range(SHOWN)]
        titles = [every[row] for row in rows]
        shown = {"real": self.judging.real[rows]}
        for name, cell in cells.items():
            painted = self.painted(self.trained(cell)[0], titles, steps=self.settings.steps)
            shown[name] = np.stack([painting.draws[0] for painting in painted])
        write_png(path, comparison_grid(shown, titles, columns=SHOWN, scale=2))


Rows = dict[tuple[float, str, int], list[Mapping[str, Any]]]


def _rows(found: Sequence[Mapping[str, Any]]) -> Rows:
    """What was found, by (budget, name, steps): the seeds' figures of each."""
    rows: Rows = {}
    for figures in sorted(found, key=lambda f: (f["budget"], f["name"], f["steps"], f["seed"])):
        rows.setdefault((figures["budget"], figures["name"], figures["steps"]), []).append(figures)
    return rows


def tables(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Each data set's table: means over seeds and standard deviations."""
    for data in sorted({figures["data"] for figures in found}, key=lambda d: (d != "sample", d)):
        columns = (*LEFT, *MIDDLE.get(data, ByLabel.columns), *RIGHT)
        yield f"\n{data}:\n\n"
        yield "| prior | budget | steps | seeds | " + " | ".join(c[0] for c in columns) + " |\n"
        yield "| --- |" + " --- |" * (3 + len(columns)) + "\n"
        rows = _rows([figures for figures in found if figures["data"] == data])
        for (budget, name, steps), group in rows.items():
            cells = [
                mean_cell([figures[key] for figures in group], digits) for _, key, digits in columns
            ]
            shown = str(steps) if group[0]["family"] == "diffusion" else "–"
            start = f"| {name} | {budget:g} | {shown} | {len(group)} | "
            yield start + " | ".join(cells) + " |\n"
    yield "\n"


def draw_curves(found: Sequence[Mapping[str, Any]], *, data: str, steps: int, folder: Path) -> None:
    """Draw a data set's figures against the seconds of training; bars are deviations over seeds.

    Args:
        steps: in which a diffusion draws.
    """
    heading, told, _ = MIDDLE.get(data, ByLabel.columns)[0]
    panels = ((heading.capitalize(), told), ("KID/1000", "kid"), ("Coverage", "coverage"))
    plain = [f for f in found if f["data"] == data and f["name"] == f["family"]]
    with matplotlib.style.context(["default", FIGURE_STYLE]):
        figure = Figure(figsize=(11, 3.6), layout="constrained")
        for axes, (title, key) in zip(figure.subplots(1, len(panels)), panels, strict=True):
            axes.set(title=title, xlabel="seconds of a core")
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter(ScalarFormatter())
            for color, family in zip(COLORS, PRIORS, strict=False):
                of_family = [f for f in plain if f["family"] == family]
                groups = [
                    (mean(figures["seconds"] for figures in group), group)
                    for (_, _, drawn_in), group in _rows(of_family).items()
                    if family != "diffusion" or drawn_in == steps
                ]
                draw_means(axes, groups, key, color=color, label=family)
            axes.legend()
        save_figure(figure, folder / f"{data}-curves.png")


def main() -> None:
    """Measure what is missing, then write the table of all, curves and pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", default="sample", help="what this folder's data are called")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budgets", type=float, nargs="+", default=[1, 4])
    parser.add_argument("--families", nargs="+", choices=list(PRIORS), default=list(PRIORS))
    parser.add_argument("--steps", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--name", default="", help="of a variant, which --set makes")
    parser.add_argument("--set", nargs="*", default=[], help="of its family's section: key=value")
    parser.add_argument("--lpips", type=Path, default=layout.LPIPS, help="where its weights are")
    given = parser.parse_args()
    torch.set_num_threads(load_section(layout.PARAMS, "threads", int))
    changes = {key: json.loads(value) for key, _, value in (s.partition("=") for s in given.set)}
    found = json.loads(FOUND.read_text(encoding="utf-8"))["results"] if FOUND.exists() else []
    identity = ("data", "name", "budget", "seed", "steps")
    done = {tuple(figures[key] for key in identity) for figures in found}
    run = Run(given.lpips)
    for budget in given.budgets:
        for seed in given.seeds:
            for family in given.families:
                cell = Cell(given.name or family, family, seed, budget, changes)
                for steps in given.steps if family == "diffusion" else given.steps[:1]:
                    if (given.data, cell.name, budget, seed, steps) in done:
                        continue
                    found.append({"data": given.data, **run.measured(cell, steps)})
                    write_json(FOUND, {"machine": processor(), "results": found})
                    put_table(PAGE, "benchmarks.priors", "".join(tables(found)))
                    say(f"{cell.folder.name}, {steps} steps: KID {found[-1]['kid']:.2f}")
    FIGURES.mkdir(exist_ok=True)
    for data in {figures["data"] for figures in found}:
        draw_curves(found, data=data, steps=run.settings.steps, folder=FIGURES)
    cells = {
        family: cell
        for family in PRIORS
        if (cell := Cell(family, family, given.seeds[0], given.budgets[0], {})).folder.exists()
    }
    run.draw_side_by_side(cells, FIGURES / f"{given.data}.png")


if __name__ == "__main__":
    main()
