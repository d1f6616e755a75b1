"""What each part of BLIP's training is worth: a training with only that part changed, as one table.

    dvc repro download
    python -m benchmarks.blip_ablations --name sample --seeds 0 1 2 --steps 400

Runs in a folder whose `download` is done, with its params.yaml. All rows train as many steps. Each
training's figures are kept in `.scratch/blip_ablations/`, so an interrupted table goes on. They are
of real test pictures; the table is written into docs/ablations.md: means over the seeds ± standard
deviations, and the seconds of a processor.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.pages import mean_cell, put_table
from pipeline.data.pairs import Pair, captioned, read_pairs
from pipeline.data.pixels import Pixels
from pipeline.devices import repeat_exactly
from pipeline.evaluation.blip_sight import captions_right, kinds_right, probe, told_kinds
from pipeline.evaluation.hard_negatives import changed_titles, hard_negatives, other_captions
from pipeline.evaluation.labels import common_labels
from pipeline.evaluation.matching import matching, retrieval
from pipeline.evaluation.scores import Figures
from pipeline.evaluation.shuffling import shuffled_rows
from pipeline.files import write_json
from pipeline.models.blip import Blip
from pipeline.params import load_section, read_yaml, tuples
from pipeline.progress import say
from pipeline.sample.titles import TITLES
from pipeline.training.blip import BlipTask
from pipeline.training.blip_data import Matches
from pipeline.training.blip_settings import BlipSettings
from pipeline.training.blip_thresholds import choose_thresholds
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.loop import build_accelerator, fit
from stages import layout
from stages.scratch import scratch_root

TABLE = Path("docs/ablations.md")
HARD_ONLY = {"even": 0.0, "hard": 1.0, "same_label": 0.0, "changed": 0.0}
PLAIN = {"mirror": False, "smallest_crop": 1.0, "jitter": 0.0}


@dataclass(frozen=True)
class Row:
    """One change of the section `blip`; `part` and `change` are for readers."""

    name: str
    part: str
    change: str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


ROWS = (
    Row("base", "nothing", "as committed, with this budget"),
    Row("hard-only", "negatives", "hard ones alone", {"negatives": HARD_ONLY}),
    Row("no-changed", "negatives", "none changed", {"negatives": {"changed": 0.0}}),
    Row("no-even", "negatives", "none even", {"negatives": {"even": 0.0}}),
    Row("sure", "doubtful negatives", "weigh as others", {"doubtful_weight": 1.0}),
    Row("shorter", "captions", "half in fewer words", {"shorter_share": 0.5}),
    Row("as-titled", "captions", "all as they are", {"shorter_share": 0.0}),
    Row("unbalanced", "rare kinds", "as often as they are", {"rare_below": 0.0}),
    Row("plain-views", "views", "shifts alone", {"views": PLAIN}),
    Row("no-soft", "softened pictures", "none", {"views": {"soft_share": 0.0}}),
    Row("fewer-matches", "pictures matched", "a quarter", {"match_share": 0.25}),
    Row("patch-8", "patches", "of 8 pixels", {"patch_size": 8}),
    Row("no-stem", "stem", "none: patches of pixels", {"stem_channel": 0}),
    Row("deep", "vision layers", "3", {"vision_layers": 3}),
    Row("adamw", "Muon", "AdamW moves all", {"muon": False}),
    Row("no-ema", "EMA weights", "off", {"ema_decay": 0.0}),
    Row("ema", "EMA weights", "of 0.98", {"ema_decay": 0.98}),
    Row("no-decay", "weight decay", "off", {"weight_decay": 0.0}),
    Row("decay", "weight decay", "0.05", {"weight_decay": 0.05}),
)

# Heading, figure, digits.
COLUMNS = (
    ("AUC", "matching.auc", 3),
    ("balanced accuracy", "matching.balanced_accuracy", 3),
    ("text → image @10", "text_to_image.recall@10", 3),
    ("kinds by caption", "kinds.balanced", 3),
    ("kinds by probe", "probe.label_accuracy", 3),
    ("captions right", "captions.right", 3),
    ("wrong count", "hard.count.called_matched", 2),
    ("wrong sort", "hard.sort.called_matched", 2),
    ("wrong colour", "hard.colour.called_matched", 2),
    ("same label", "hard.same_label.called_matched", 2),
    ("seconds", "seconds", 0),
)


@dataclass(frozen=True)
class Data:
    """What all rows share, read once: pairs, and pictures at BLIP's size."""

    pairs: Sequence[Pair]
    train: Matches
    val: Matches
    known: np.ndarray
    unknown: np.ndarray

    @classmethod
    def load(cls, settings: BlipSettings) -> Data:
        """Read the table of pairs and its pictures; rows change neither words nor picture size."""
        pairs = read_pairs(layout.PAIRS)
        blip = settings.start(_of(pairs, "train"), pretrained=layout.PRETRAINED)
        pixels = Pixels.open(layout.BLIP_PIXELS, blip.image_size)
        train, val = (
            Matches.load(pairs, split, pixels=pixels, tokenizer=blip.tokenizer)
            for split in ("train", "val")
        )
        known, unknown = (
            pixels[pixels.rows(pair.image for pair in captioned(pairs, split))]
            for split in ("train", "test")
        )
        return cls(pairs, train, val, known, unknown)


def _of(pairs: Sequence[Pair], split: str) -> list[Pair]:
    return [pair for pair in pairs if pair.split == split]


def train(data: Data, settings: BlipSettings, *, seed: int, saved: Path) -> tuple[Blip, float]:
    """A BLIP of these settings, and the processor's seconds that its training took."""
    torch.manual_seed(seed)
    blip = settings.start(_of(data.pairs, "train"), pretrained=layout.PRETRAINED)
    task = BlipTask(blip, data.train, data.val, settings)
    start = time.process_time()
    fit(
        task,
        settings,
        accelerator=build_accelerator(settings.precision),
        checkpoints=Checkpoints(saved),
        seed=seed,
        label="BLIP",
        write_curve=lambda _: None,
        follow=task.follow,
        lr_shares=task.lr_shares(),
        by_muon=task.by_muon(),
    )
    seconds = time.process_time() - start
    return Blip(dataclasses.replace(blip, thresholds=choose_thresholds(task))), seconds


def judge(data: Data, blip: Blip, *, labels: int, pictures_per_label: int) -> dict[str, float]:
    """Figures on test pictures, by the names that the report has."""
    train, test = captioned(data.pairs, "train"), captioned(data.pairs, "test")
    pictures, threshold = data.unknown, blip.thresholds.captions
    texts, objects = [p.caption for p in test], [p.main_object for p in test]
    known = [p.main_object for p in train]
    kept = common_labels(known, at_least=pictures_per_label, at_most=labels)
    figures: dict[str, float] = {}

    def take(before: str, found: Figures) -> None:
        figures.update({f"{before}{name}": float(value) for name, value in found})

    other = [texts[row] for row in shuffled_rows(texts, seed=0)]
    scores = blip.match(pictures, texts), blip.match(pictures, other)
    take("matching.", matching(*scores, threshold=threshold))
    seen, read = blip.embed_images(pictures), blip.embed_texts(texts).pooled.numpy()
    take("", retrieval(seen, read, texts, range(len(test))))
    said = blip.caption(pictures)
    take("captions.", captions_right(texts, said))
    told = told_kinds([p.caption for p in train], known, kept, {"": said})
    take("kinds.", kinds_right(told[""], objects, kept))
    take("probe.", probe(blip.embed_images(data.known), known, seen, objects, kept, seed=0))
    of_sample = set(texts) <= set(TITLES)
    near = changed_titles(texts) if of_sample else other_captions(texts, objects, seed=0)
    take("hard.", hard_negatives(blip, pictures, texts, near, threshold=threshold))
    return figures


def table(found: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """The rows that are finished, as Markdown: means and standard deviations over the seeds."""
    first = next(iter(found.values()))[0]
    columns = [column for column in COLUMNS if column[1] in first]
    lines = [
        "| part | change | " + " | ".join(column[0] for column in columns) + " |",
        "| --- | --- |" + " --- |" * len(columns),
    ]
    for row in ROWS:
        if row.name in found:
            cells = [
                mean_cell([figures[name] for figures in found[row.name]], digits)
                for _, name, digits in columns
            ]
            lines.append(f"| {row.part} | {row.change} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def changed(settings: BlipSettings, row: Row, *, steps: int) -> BlipSettings:
    """The settings of a row with its budget."""
    values = settings.model_dump()
    for key, value in row.settings.items():
        values[key] = {**values[key], **value} if isinstance(value, Mapping) else value
    every = max(1, steps // 4)
    values |= {"steps": steps, "validate_every": every, "checkpoint_every": every}
    return BlipSettings.of(**tuples(values))


def kept_figures(folder: Path, row: Row, settings: BlipSettings, seed: int) -> Path:
    """Where the figures of a row's training are kept: of other settings they are others."""
    told = settings.model_dump_json().encode()
    return folder / f"{row.name}-{seed}-{hashlib.blake2b(told, digest_size=8).hexdigest()}.json"


def main() -> None:
    """Train what is missing, then write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--name", required=True, help="what the data are, for the heading")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, required=True, help="of every training")
    parser.add_argument("--rows", nargs="*", default=[row.name for row in ROWS])
    parser.add_argument("--table", type=Path, default=TABLE)
    given = parser.parse_args()
    repeat_exactly()
    torch.set_num_threads(load_section(layout.PARAMS, "threads", int))
    settings = load_section(layout.PARAMS, "blip", BlipSettings)
    evaluate = read_yaml(layout.PARAMS)["evaluate"]
    folder = scratch_root() / "blip_ablations" / given.name
    data, base = Data.load(settings), changed(settings, ROWS[0], steps=given.steps)
    for seed in given.seeds:
        for row in (row for row in ROWS if row.name in given.rows):
            own = changed(settings, row, steps=given.steps)
            kept = kept_figures(folder, row, own, seed)
            if kept.exists() or (own == base and row != ROWS[0]):
                continue
            say(f"== {row.part}: {row.change} (seed {seed})")
            blip, seconds = train(data, own, seed=seed, saved=folder / f"{row.name}-{seed}")
            figures = judge(
                data,
                blip,
                labels=evaluate["labels"],
                pictures_per_label=evaluate["pictures_per_label"],
            )
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_json(kept, {**figures, "seconds": seconds})
    found: dict[str, list[Mapping[str, float]]] = {}
    for row in ROWS:
        own = changed(settings, row, steps=given.steps)
        files = [kept_figures(folder, row, own, seed) for seed in given.seeds]
        if all(file.exists() for file in files):
            found[row.name] = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    if found:
        put_table(given.table, f"benchmarks.blip_ablations --name {given.name}", table(found))
        say(f"written to {given.table}")


if __name__ == "__main__":
    main()
