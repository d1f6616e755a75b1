"""What each part is worth: the run of this folder with only that part changed, as one table.

    dvc repro
    python -m benchmarks.ablations --seeds 0 1 2

All rows train with the same small budget, over the BLIP of the finished run. What a row's change
does not touch it takes from other rows: VQ-VAEs, decoders and priors are kept in
`.scratch/ablations`. Figures are kept in docs/ablations.json, so an interrupted table goes on where
it was stopped, and several of these commands may share one folder's work: each takes the next row
that nobody has, and waits for what another trains. On two cores two commands with `threads: 1` are
fastest. The table is written into docs/ablations.md; what more pictures bring is drawn beside it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import torch
from filelock import FileLock
from matplotlib.figure import Figure

from benchmarks.ablation_rows import BASE, BUDGET, ROWS, Row
from benchmarks.measure import processor
from benchmarks.pages import draw_means, mean_cell, put_table, save_figure
from benchmarks.prior_judging import ByAttributes, ByLabel, Columns, find_judging
from benchmarks.trainings import train, train_prior
from pipeline.codes import CodeStore
from pipeline.codes.captioned import CaptionedCodes
from pipeline.codes.encode import ViewBatches, encoded_views
from pipeline.data.captioned import CaptionedImages
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pairs import Pair, captioned, read_pairs
from pipeline.data.pixels import Pixels
from pipeline.data.views import to_float, to_uint8
from pipeline.decoder import Decoder
from pipeline.devices import repeat_exactly
from pipeline.evaluation.distribution import distribution
from pipeline.evaluation.plots import COLORS, FIGURE_STYLE
from pipeline.evaluation.prior_scores import picture_nats
from pipeline.files import write_json
from pipeline.models.blip_reader import BlipReader
from pipeline.models.flow_decoder import save_flows
from pipeline.models.vqvae import VQVAE
from pipeline.painter import Painter
from pipeline.params import load_section, read_yaml, tuples
from pipeline.priors import load_prior
from pipeline.progress import say
from pipeline.sampling_settings import GenerateSettings
from pipeline.sealing import read_manifest
from pipeline.seeds import derive_seed
from pipeline.training.decoder import DecoderTask
from pipeline.training.decoder_settings import DecoderSettings
from pipeline.training.vqvae import VQVAETask
from pipeline.training.vqvae_settings import VQVAESettings
from stages import layout
from stages.runs import held
from stages.scratch import scratch_root

FOUND, PAGE = Path("docs/ablations.json"), Path("docs/ablations.md")
FIGURES = Path("docs/ablations")
BATCH = 64  # pictures at a time
GAINED = "gained"
# Bits are of one codebook: compare them at equal codes.
LEFT: Columns = (
    ("PSNR", "psnr", 2),
    ("bits per code", "bits", 3),
    ("redrawn: KID", "redrawn.kid", 2),
)
RIGHT: Columns = (
    ("KID", "kid", 2), ("precision", "precision", 2), ("recall", "recall", 2),
    ("coverage", "coverage", 2), ("training, s", "seconds", 0),
)  # fmt: skip


class Settings:
    """All that a row is trained and drawn with: params.yaml, the budget, and its change."""

    def __init__(self, params: Mapping[str, Any], row: Row, seed: int) -> None:
        self.seed, self.pictures, self.prior = seed, row.pictures, str(params["prior"])
        self._sections = {key: dict(v) for key, v in params.items() if isinstance(v, Mapping)}
        for key, value in chain(BUDGET.items(), row.settings.items()):
            section, _, name = key.rpartition(".")
            if section:
                self._sections[section][name] = value
            else:
                self.prior = value

    def __getitem__(self, section: str) -> dict[str, Any]:
        return self._sections[section]

    @property
    def of_vqvae(self) -> list[Any]:
        """All that the VQ-VAE depends on."""
        return [self.seed, self.pictures, self["vqvae"]]

    @property
    def of_decoder(self) -> list[Any]:
        """All that the flow decoder depends on."""
        return [*self.of_vqvae, self["decoder"]]

    @property
    def of_codes(self) -> list[Any]:
        """All that the codes depend on."""
        return [*self.of_vqvae, self["dump_codes"]]

    @property
    def of_prior(self) -> list[Any]:
        """All that the prior depends on."""
        return [*self.of_codes, self.prior, self[self.prior]]


class Workshop:
    """What rows share, and the parts that were made for them."""

    def __init__(self, kept: Path, lpips: Path) -> None:
        self.kept = kept
        self.texts = TextEmbeddings.open(layout.TEXT_EMBEDDINGS)
        self.pairs = captioned(read_pairs(layout.PAIRS))
        self.size = load_section(layout.PARAMS, "vqvae.image_size", int)
        self.pixels = Pixels.open(layout.VQVAE_PIXELS, self.size)
        self.blip = BlipReader.from_pretrained(layout.BLIP)
        codes = CaptionedCodes.load(layout.CODES, self.pairs, self.texts)
        self.judging: ByAttributes | ByLabel = find_judging(self.size, codes, self.texts, lpips)
        # With their files' checksums: of other pictures or by another BLIP a part is another.
        self._read = [read_manifest(f) for f in (layout.TEXT_EMBEDDINGS, layout.VQVAE_PIXELS)]

    @cached_property
    def redrawn_from(self) -> np.ndarray:
        """Real pictures, one for each title, whose codes the decoder paints."""
        return self.judging.others()

    def pairs_of(self, settings: Settings) -> list[Pair]:
        """The pairs of all splits, of training the share that a row has."""
        train = [pair for pair in self.pairs if pair.split == "train"]
        left_out = {pair.id for pair in train[round(settings.pictures * len(train)) :]}
        return [pair for pair in self.pairs if pair.id not in left_out]

    def images(self, settings: Settings, split: str) -> CaptionedImages:
        """The pictures of a split, with their texts."""
        of_split = [pair for pair in self.pairs_of(settings) if pair.split == split]
        return CaptionedImages.load(of_split, self.texts, self.pixels)

    def digest(self, *depends_on: Any) -> str:
        """What names a part or a row that depends on these, and on what all rows share."""
        told = json.dumps([self._read, *depends_on], sort_keys=True)
        return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()

    def made(
        self, part: str, depends_on: Sequence[Any], make: Callable[[Path], float]
    ) -> tuple[Path, float]:
        """A part's folder and the processor's seconds that it took, made unless it is there."""
        folder = self.kept / f"{part}-{self.digest(*depends_on)}"
        taken = folder.with_name(f"{folder.name}.json")
        with FileLock(f"{folder}.lock"):
            if not taken.exists():
                write_json(taken, make(folder))
        return folder, float(json.loads(taken.read_text(encoding="utf-8")))

    def vqvae(self, settings: Settings) -> tuple[Path, float]:
        """The VQ-VAE of a row."""

        def make(folder: Path) -> float:
            own = VQVAESettings(**tuples(settings["vqvae"]))
            torch.manual_seed(settings.seed)
            model = own.build(self.texts.condition.text_dim)
            known, val = (self.images(settings, split) for split in ("train", "val"))
            task, muon = VQVAETask(model, known, val, own), model.hidden_weights()
            seconds = train(task, own, seed=settings.seed, label="VQ-VAE", by_muon=muon)
            model.save_pretrained(folder)
            return seconds

        return self.made("vqvae", settings.of_vqvae, make)

    def codes(self, settings: Settings, vqvae: VQVAE) -> CaptionedCodes:
        """The codes of a row."""
        pairs = self.pairs_of(settings)

        def make(path: Path) -> float:
            batches = ViewBatches(pairs, views=settings["dump_codes"]["views"])
            records = encoded_views(
                vqvae, CaptionedImages.load(pairs, self.texts, self.pixels), pairs, batches,
                range(len(batches)), max_shift=settings["dump_codes"]["max_shift"],
                seed=settings.seed,
            )  # fmt: skip
            CodeStore.write(path, records, shape=vqvae.code_shape, n_embed=vqvae.config.n_embed)
            return 0.0

        store, _ = self.made("codes", settings.of_codes, make)
        return CaptionedCodes.load(store, pairs, self.texts)

    def decoder(self, settings: Settings, vqvae: VQVAE) -> tuple[Path, float]:
        """The flow decoder of a row, and its guide."""

        def make(folder: Path) -> float:
            flows, seconds = [], 0.0
            known, val = (self.images(settings, split) for split in ("train", "val"))
            whole = DecoderSettings(**tuples(settings["decoder"]))
            for own in filter(None, (whole, whole.of_guide)):
                torch.manual_seed(settings.seed)
                model = own.build(vqvae)
                task, muon = DecoderTask(model, vqvae, known, val, own), model.hidden_weights()
                seconds += train(task, own, seed=settings.seed, label="decoder", by_muon=muon)
                flows.append(model)
            save_flows(flows[0], flows[1] if len(flows) > 1 else None, folder)
            return seconds

        return self.made("decoder", settings.of_decoder, make)

    def prior(self, settings: Settings, vqvae: VQVAE, codes: CaptionedCodes) -> tuple[Path, float]:
        """The prior of a row."""

        def make(folder: Path) -> float:
            return train_prior(
                settings.prior, settings[settings.prior], codes, vqvae, self.texts, folder,
                seed=settings.seed, label=settings.prior,
            )  # fmt: skip

        return self.made("prior", settings.of_prior, make)

    def measured(self, settings: Settings) -> dict[str, float]:
        """All figures of a row."""
        folder, seconds = self.vqvae(settings)
        vqvae = VQVAE.from_pretrained(folder)
        codes = self.codes(settings, vqvae)
        flow, of_flow = self.decoder(settings, vqvae)
        prior_folder, of_prior = self.prior(settings, vqvae, codes)
        decoder = Decoder.from_pretrained(vqvae=folder, flow=flow, device=torch.device("cpu"))
        prior = load_prior(prior_folder)
        generate = GenerateSettings(**tuples(settings["generate"]))
        own = VQVAESettings(**tuples(settings["vqvae"]))
        val = self.images(settings, "val")
        with torch.no_grad():
            psnr = VQVAETask(vqvae, val, val, own).validate(vqvae)["psnr"]
        nats = picture_nats(prior, codes.of("test"), torch.device("cpu"), steps=generate.steps)
        bits = float(nats.mean()) / math.log(2) / math.prod(vqvae.code_shape)
        redrawn = self._redrawn(decoder, generate, settings.seed)
        painted = self._painted(Painter(self.blip, prior, decoder), generate, settings.seed)
        return {
            "psnr": psnr, "bits": bits, "seconds": seconds + of_flow + of_prior,
            **{f"redrawn.{name}": value for name, value in redrawn},
            **self.judging.figures(painted),
        }  # fmt: skip

    def _redrawn(
        self, decoder: Decoder, generate: GenerateSettings, seed: int
    ) -> Iterator[tuple[str, float]]:
        texts = self.blip.embed_texts(list(self.judging.titles)).pooled
        made = []
        for rows in torch.arange(len(texts)).split(BATCH):
            images = to_float(torch.from_numpy(self.redrawn_from[rows.numpy()]))
            codes = decoder.encode(images, texts[rows])
            seeds = (derive_seed(seed, "redrawn", row) for row in rows.tolist())
            generators = [torch.Generator().manual_seed(each) for each in seeds]
            made.append(to_uint8(decoder.draw(codes, texts[rows], generate, generators=generators)))
        space = self.judging.space
        features = space(torch.cat(made).numpy())
        yield from distribution(self.judging.features, features, seed=0, kid_unit=space.kid_unit)

    def _painted(self, painter: Painter, generate: GenerateSettings, seed: int) -> np.ndarray:
        """Pictures of every title, (P, n, H, W, 3): the draws, or the one picked of a few."""
        titles = list(self.judging.titles)
        if generate.candidates > 1:
            picked = [painting.image for painting in painter.paint(titles, generate, seed=seed)]
            return np.stack(picked)[:, None]
        several = generate.model_copy(update={"candidates": self.judging.draws})
        return np.stack([painting.draws for painting in painter.paint(titles, several, seed=seed)])


Found = Sequence[Mapping[str, Any]]


def _found() -> Found:
    whole = json.loads(FOUND.read_text(encoding="utf-8")) if FOUND.exists() else {"results": []}
    results: Found = whole["results"]
    return results


def table(found: Found, columns: Columns) -> str:
    """The rows that were measured, as Markdown: means over seeds and standard deviations.

    The first of `columns` is told beside the first row, too, seed by seed; without that row a seed
    is left out.
    """
    (heading, told, digits), *others = columns
    unchanged = {figures["seed"]: figures[told] for figures in found if figures["row"] == BASE}
    compared = [
        {**figures, GAINED: figures[told] - unchanged[figures["seed"]]}
        for figures in found
        if figures["seed"] in unchanged
    ]
    columns = (*LEFT, columns[0], (f"{heading}: gained", GAINED, digits), *others, *RIGHT)
    lines = [
        "| part | change | seeds | " + " | ".join(heading for heading, _, _ in columns) + " |",
        "| --- | --- | --- |" + " --- |" * len(columns),
    ]
    for row in ROWS:
        group = [figures for figures in compared if figures["row"] == row.name]
        if group:
            cells = [
                mean_cell([figures[key] for figures in group], digits, signed=key == GAINED)
                for _, key, digits in columns
            ]
            lines.append(f"| {row.part} | {row.change} | {len(group)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw_curves(found: Found, columns: Columns, path: Path) -> None:
    """Draw what more pictures bring: what is right, and how near to real ones the pictures are."""
    heading, told, _ = columns[0]
    panels = (
        (heading.capitalize(), {"drawn for titles": told}),
        ("KID", {"drawn for titles": "kid", "redrawn from real pictures' codes": "redrawn.kid"}),
    )
    rows = sorted((row for row in ROWS if not row.settings), key=lambda row: row.pictures)
    by_row = [(row.pictures, [f for f in found if f["row"] == row.name]) for row in rows]
    groups = [(pictures, group) for pictures, group in by_row if group]
    with matplotlib.style.context(["default", FIGURE_STYLE]):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        for axes, (title, lines) in zip(figure.subplots(1, len(panels)), panels, strict=True):
            axes.set(title=title, xlabel="share of the training pictures", xscale="log")
            shares = [row.pictures for row in rows]
            axes.set_xticks(shares, [str(Fraction(share)) for share in shares])
            axes.set_xticks([], minor=True)
            for color, (label, key) in zip(COLORS, lines.items(), strict=False):
                draw_means(axes, groups, key, color=color, label=label)
            axes.legend()
        save_figure(figure, path)


def _keep(figures: Mapping[str, Any]) -> None:
    """Put a row's figures in the place of those of before."""
    cell = ("data", "row", "seed")
    others = [each for each in _found() if any(each[key] != figures[key] for key in cell)]
    found = [*others, dict(figures)]
    found.sort(key=lambda f: (f["data"], [row.name for row in ROWS].index(f["row"]), f["seed"]))
    write_json(FOUND, {"machine": processor(), "results": found})


def _write_page(data: str, columns: Columns) -> None:
    """Put the table of all that was measured of `data` into its page, and draw its curves."""
    of_data = [each for each in _found() if each["data"] == data]
    put_table(PAGE, f"benchmarks.ablations --data {data}", table(of_data, columns))
    FIGURES.mkdir(exist_ok=True)
    draw_curves(of_data, columns, FIGURES / f"{data}-pictures.png")


def main() -> None:
    """Measure what is missing, and write the table after each row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", default="sample", help="what this folder's data are called")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], default=None)
    parser.add_argument("--lpips", type=Path, default=layout.LPIPS, help="where its weights are")
    given = parser.parse_args()
    repeat_exactly()
    torch.set_num_threads(load_section(layout.PARAMS, "threads", int))
    params, kept = read_yaml(layout.PARAMS), scratch_root() / "ablations"
    kept.mkdir(parents=True, exist_ok=True)
    workshop = Workshop(kept, given.lpips)
    for seed in given.seeds:
        for row in (row for row in ROWS if given.rows is None or row.name in given.rows):
            with held(kept / f"{row.name}-{seed}") as ours:
                settings = Settings(params, row, seed)
                identity = {
                    "data": given.data, "row": row.name, "seed": seed,
                    "of": workshop.digest(
                        settings.of_decoder, settings.of_prior, settings["generate"]
                    ),
                }  # fmt: skip
                if not ours or any(identity.items() <= each.items() for each in _found()):
                    continue
                say(f"== {row.part}: {row.change} (seed {seed})")
                figures = workshop.measured(settings)
                rounded = {name: round(float(value), 6) for name, value in figures.items()}
                with FileLock(kept / "found.lock"):
                    _keep({**identity, **rounded})
                    _write_page(given.data, workshop.judging.columns)
    with FileLock(kept / "found.lock"):
        _write_page(given.data, workshop.judging.columns)


if __name__ == "__main__":
    main()
