"""What to expect: pictures and minutes against what comes out, and runs that go wrong.

    python -m benchmarks.expect [NAME ...]

Each run is a DVC experiment in a copy of the workspace (`dvc exp run --temp`); one that is there
already is kept, so an interrupted table goes on. With names, only these are run. What is there is
written to the table in docs/expect.md and to the pictures beside it; the sentences around are a
person's, and are kept.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from apps.profile import FOLDER, flags
from apps.review.trees import Tree, find_tree
from apps.runs import figures_of
from benchmarks.pages import put_table, save_figure
from pipeline.errors import UserError
from pipeline.evaluation.plots import COLORS, FIGURE_STYLE, GAP, comparison_grid, write_png
from pipeline.files import write_json
from pipeline.params import read_yaml
from pipeline.sample import write_sample

PAGE = Path("docs/expect.md")
PICTURES = Path("docs/expect")
MISLABELLED = Path(".scratch/mislabelled")
SHOWN, SIDE, SCALE = 8, 64, 2  # tiles of a run's grid, their side in pixels, how large they stand
MINUTES = {"quick": 5, "": 20, "long": 60}  # about, of two idle cores of an AMD EPYC of family 25


@dataclass(frozen=True)
class Run:
    """One run: its pictures and profile, what else it changes, and what is made for it first."""

    name: str
    pictures: int
    profile: str
    changes: tuple[str, ...] = ()
    prepare: Callable[[], object] = tuple

    def tree(self) -> Tree | None:
        """Its files, None where it has not been run; the last one, of whichever commit."""
        ours = f"refs/exps/*/*/expect-{self.name}"
        listed = ["for-each-ref", "--sort=-creatordate", "--count=1", "--format=%(objectname)"]
        commit = _git("rev-parse", "HEAD") if self == COMMITTED else _git(*listed, ours)
        return find_tree(commit) if commit else None

    def run(self) -> None:
        """Run it.

        Raises:
            UserError: it failed.
        """
        self.prepare()
        overlay = read_yaml(FOLDER / f"{self.profile}.yaml") if self.profile else {}
        command = ["dvc", "exp", "run", "--temp", "--name", f"expect-{self.name}"]
        command += flags(overlay, read_yaml(Path("params.yaml")))
        for change in (f"data.sample.train={self.pictures}", *self.changes):
            command += ["-S", change]
        if status := subprocess.run(command).returncode:
            raise UserError(f"{self.name}: ended with status {status}")


def mislabelled() -> None:
    """Write a table of the sample in which every text stands beside another picture."""
    write_sample(MISLABELLED, train=2000, test=240, size=96, seed=0)
    for split in ("train", "test"):
        path = MISLABELLED / f"musti-{split}.json"
        rows = json.loads(path.read_text(encoding="utf-8"))["pairs"]
        names = sorted({row["image"] for row in rows})
        order = np.random.default_rng(0).permutation(names)
        other = dict(zip(order, np.roll(order, 1), strict=True))
        write_json(path, {"pairs": [{**row, "image": str(other[row["image"]])} for row in rows]})


COMMITTED = Run("16000-20", 16000, "")  # the default run: metrics/ of this commit
GRID = (
    Run("500-5", 500, "quick"),
    Run("2000-5", 2000, "quick"),
    Run("8000-5", 8000, "quick"),
    Run("500-20", 500, ""),
    Run("2000-20", 2000, ""),
    Run("8000-20", 8000, ""),
    COMMITTED,
    Run("16000-60", 16000, "long"),
)
BARELY = ("decoder.steps=100", "pixelsnail.steps=100")  # for what they could not mend anyway
COLLAPSED = Run("collapsed", 2000, "quick", ("vqvae.lr=0.1", *BARELY))
WRONG_TEXTS = Run(
    "wrong-texts", 2000, "quick",
    (
        "data.source=json", f"data.watch={MISLABELLED.resolve()}",
        f"data.json.train={MISLABELLED.resolve()}/musti-train.json",
        f"data.json.test={MISLABELLED.resolve()}/musti-test.json",
    ),
    prepare=mislabelled,
)  # fmt: skip
WRONG = {"collapsed": "2,000, `vqvae.lr=0.1`", "wrong-texts": "2,000, texts of other pictures"}
# What is cut out of a run's grid of pictures: which grid, and how much of its height in pixels.
BANDS = {
    "collapsed": ("reconstructions", 274),
    "wrong-texts": ("generated", 200),
    "500-20": ("nearest", 274),
}
RUNS = {run.name: run for run in (*GRID, COLLAPSED, WRONG_TEXTS)}

# Heading, figure, digits.
COLUMNS = (
    ("all right", "exact.unranked.all", 2),
    ("titles never seen", "exact.unranked.all_unseen", 2),
    ("count", "exact.unranked.count", 2),
    ("fine detail", "pixels.sharpness.generated", 2),
    ("KID/1000", "neutral.generated.kid", 1),
    ("PSNR, dB", "vqvae.psnr", 1),
    ("codes used", "vqvae.codebook.used", 2),
    ("bits per code", "prior.bits", 2),
    ("of training pictures", "prior.train_bits", 2),
    ("text gain", "prior.text_gain", 3),
    ("matching, AUC", "blip.matching.auc", 2),
    ("captions right", "blip.captions.right", 2),
    ("copies", "pixels.copies.copies", 3),
)


def main(arguments: Sequence[str]) -> int:
    """Run what is missing, then write table and pictures; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=", ".join(RUNS))
    try:
        for name in parser.parse_args(arguments).names or RUNS:
            if name not in RUNS:
                raise UserError(f"{name}: expected one of {', '.join(RUNS)}")
            if RUNS[name].tree() is None:
                print(f"== {name}", flush=True)
                RUNS[name].run()
        _write({name: tree for name, run in RUNS.items() if (tree := run.tree())})
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"written to {PAGE} and {PICTURES}")
    return 0


def _write(trees: Mapping[str, Tree]) -> None:
    """The table into the page, and the pictures beside it, of the runs that are there."""
    PICTURES.mkdir(exist_ok=True)
    put_table(PAGE, "benchmarks.expect", "".join(f"{line}\n" for line in _table(trees)))
    drawn = {
        f"{run.pictures:,} pictures\n{MINUTES[run.profile]} minutes": _first_row(trees[run.name])
        for run in GRID
        if run.name in trees
    }
    if drawn:
        write_png(PICTURES / "pictures.png", comparison_grid(drawn, columns=SHOWN, scale=SCALE))
    for name, (grid, height) in BANDS.items():
        if name in trees:
            image = _grid(trees[name], grid)
            write_png(PICTURES / f"{name}.png", image.crop((0, 0, image.width, height)))
    _draw_curves(trees)


def _table(trees: Mapping[str, Tree]) -> Iterator[str]:
    yield "| pictures | minutes | " + " | ".join(heading for heading, _, _ in COLUMNS) + " |"
    yield "| --- |" + " --- |" * (1 + len(COLUMNS))
    for name, tree in trees.items():
        run, figures = RUNS[name], figures_of(tree) or {}
        cells = [
            f"{figures[figure]:.{digits}f}" if figure in figures else ""
            for _, figure, digits in COLUMNS
        ]
        named = f"{run.pictures:,}" if run in GRID else WRONG[name]
        yield f"| {named} | {MINUTES[run.profile]} | " + " | ".join(cells) + " |"


def _grid(tree: Tree, name: str) -> Image.Image:
    content = tree.read(f"metrics/pictures/{name}.png")
    if content is None:
        raise UserError(f"{tree.name}: it has no metrics/pictures/{name}.png")
    return Image.open(io.BytesIO(content)).convert("RGB")


def _first_row(tree: Tree) -> np.ndarray:
    """The pictures (8, 64, 64, 3) uint8 of the first prompts, which are the same in every run."""
    pixels = np.asarray(_grid(tree, "generated"))[GAP:, GAP:]
    step, side = SIDE * SCALE + GAP, SIDE * SCALE
    tiles = [pixels[:side:SCALE, n * step : n * step + side : SCALE] for n in range(SHOWN)]
    return np.stack(tiles)


def _draw_curves(trees: Mapping[str, Tree]) -> None:
    """All right against pictures; the prior's bits on pictures that it learns from, and others."""
    with matplotlib.style.context(["default", FIGURE_STYLE]):
        figure = Figure(figsize=(11, 4.2), layout="constrained")
        right, bits = figure.subplots(1, 2)
        right.set(title="All right", xlabel="pictures", ylim=(0, 1), xscale="log")
        sizes = sorted({run.pictures for run in GRID})
        right.set_xticks(sizes, [f"{size:,}" for size in sizes])
        right.set_xticks([], minor=True)
        bits.set(title="PixelSNAIL: bits per code", xlabel="steps")
        for color, (profile, minutes) in zip(COLORS, MINUTES.items(), strict=False):
            runs = [run for run in GRID if run.profile == profile and run.name in trees]
            reached = [(figures_of(trees[run.name]) or {})["exact.unranked.all"] for run in runs]
            right.plot(
                [run.pictures for run in runs],
                reached,
                "o-",
                color=color,
                label=f"{minutes} minutes",
            )
        right.legend()
        shown = [run for run in GRID if run.name in trees and run.profile != "quick"]
        for color, run in zip(COLORS, shown, strict=False):
            curve = _curve(trees[run.name], "pixelsnail")
            steps = [row["step"] for row in curve]
            label = f"{run.pictures:,} pictures"
            bits.plot(steps, [row["val_bits"] for row in curve], color=color, label=label)
            bits.plot(steps, [row["bits"] for row in curve], color=color, ls=":", lw=1)
        bits.legend(title="others (dotted: learned from)")
        save_figure(figure, PICTURES / "curves.png")


def _curve(tree: Tree, stage: str) -> list[dict[str, float]]:
    text = (tree.read(f"metrics/curves/{stage}.tsv") or b"").decode("utf-8")
    rows = csv.DictReader(io.StringIO(text), delimiter="\t")
    return [{key: float(value) for key, value in row.items()} for row in rows]


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
