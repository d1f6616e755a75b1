"""What each part is worth: one run with only that part changed, as one table.

    python -m benchmarks.ablations --seeds 0 1 2

The rows are changes of the default run; another profile (`--profile`, `--set`) may already have
some of them, or train the other prior. Each row is a DVC experiment in a copy of the workspace
(`dvc exp run --temp`), so every stage that the change does not touch comes out of the run cache.
All rows train with the same small budget. Experiments that are there already are kept, so an
interrupted table goes on; the table is made of what `dvc exp show` says, and written to
docs/ablations.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from apps.profile import FOLDER, flags
from benchmarks.pages import put_table
from pipeline.params import read_yaml

BUDGET = (
    "vqvae.steps=400", "decoder.steps=600", "pixelsnail.steps=800", "pixelsnail.lr=0.003",
    "diffusion.steps=1300", "generate.candidates=1", "evaluate.mixture_pictures=8",
)  # fmt: skip
TABLE = Path("docs/ablations.md")


@dataclass(frozen=True)
class Row:
    """One change; `name` is the experiment's, `part` and `change` are for readers."""

    name: str
    part: str
    change: str
    flags: tuple[str, ...] = ()


ROWS = (
    Row("base", "nothing", "as committed, with this budget"),
    Row("no-text", "text in the VQ-VAE", "trained without it", ("vqvae.text_dropout=1.0",)),
    Row("no-text-drawn", "text in the decoder", "off", ("decoder.text_dropout=1.0",)),
    Row("fewer", "pictures", "a quarter", ("data.sample.train=4000",)),
    Row("fine-grid", "grid", "16×16", ("vqvae.downsample=4",)),
    Row("two-levels", "levels", "two", ("vqvae.levels=2",)),
    Row("codes-512", "codes", "512", ("vqvae.n_embed=512",)),
    Row("cosine", "quantiser", "cosine codebook", ("vqvae.quantizer=cosine",)),
    Row("fsq", "quantiser", "FSQ", ("vqvae.quantizer=fsq",)),
    Row("two-views", "augmented views", "two", ("dump_codes.views=2",)),
    Row("diffusion", "prior", "masked diffusion", ("prior=diffusion",)),
    Row("pooled", "cross-attention", "pooled text alone", ("pixelsnail.cross_attention=false",)),
    Row("no-attention", "PixelSNAIL's attention", "off", ("pixelsnail.attention=false",)),
    # A step of the 5×5 block takes 2.35 times as long (32 grids, channel 96), so it has fewer.
    Row(
        "port-block", "PixelSNAIL's block", "5×5 of the port, equal time",
        ("pixelsnail.kernel_size=5", "pixelsnail.steps=340"),
    ),
    Row("uncorrupted", "token corruption", "off", ("pixelsnail.token_corruption=0.0",)),
    Row("ema", "EMA weights", "on", ("vqvae.ema_decay=0.99", "pixelsnail.ema_decay=0.99")),
    Row("guided-1", "guidance scale", "1", ("generate.guidance_scale=1.0",)),
    Row("guided-4", "guidance scale", "4", ("generate.guidance_scale=4.0",)),
    Row("cold", "temperature", "0.8", ("generate.temperature=0.8",)),
    Row("best-of-4", "best of n", "4", ("generate.candidates=4",)),
    Row("least-error", "decoder", "least error alone", ("generate.decoder_steps=0",)),
    Row("narrow", "decoder's width", "half", ("decoder.channels=[32,64]",)),
    Row("two-steps", "decoder's steps", "2", ("generate.decoder_steps=2",)),
    Row("eight-steps", "decoder's steps", "8", ("generate.decoder_steps=8",)),
    Row("unguided", "decoder's guidance", "1", ("generate.decoder_guidance=1.0",)),
)  # fmt: skip

# Heading, metrics file, path in it, digits. Bits are of one codebook: compare them at equal codes.
COLUMNS = (
    ("all right", "exact", ("unranked", "all"), 3),
    ("all right of the picked", "exact", ("best_of_n", "all"), 3),
    ("count", "exact", ("unranked", "count"), 3),
    ("label accuracy", "pixels", ("generated", "label_accuracy"), 3),
    ("KID", "neutral", ("generated", "kid"), 2),
    ("coverage", "neutral", ("generated", "coverage"), 3),
    ("sharpness", "pixels", ("sharpness", "generated"), 2),
    ("PSNR", "vqvae", ("psnr",), 2),
    ("codes used", "vqvae", ("codebook", "used"), 2),
    ("bits per code", "prior", ("bits",), 3),
    ("text gain", "prior", ("text_gain",), 4),
)


def experiments(shown: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The name and metrics of every finished experiment in the JSON of `dvc exp show`."""
    for commit in shown:
        for experiment in commit.get("experiments") or []:
            # One that still runs is listed with the metrics that it began with.
            if (experiment.get("executor") or {}).get("state") not in (None, "success"):
                continue
            for revision in experiment["revs"]:
                if revision.get("name") and revision.get("data"):
                    files = revision["data"]["metrics"]
                    yield (
                        revision["name"],
                        {Path(f).stem: entry.get("data", {}) for f, entry in files.items()},
                    )


def _finished() -> dict[str, Mapping[str, Any]]:
    command = ["dvc", "exp", "show", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(experiments(json.loads(done.stdout)))


def _cell(found: Sequence[Mapping[str, Any]], file: str, path: Sequence[str], digits: int) -> str:
    """The mean over seeds and their standard deviation; nothing where a run lacks the figure."""
    values = []
    for metrics in found:
        value: Any = metrics.get(file, {})
        for part in path:
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            return ""
        values.append(float(value))
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{spread}"


def table(finished: Mapping[str, Mapping[str, Any]], seeds: Sequence[int], profile: str) -> str:
    """The rows that are finished with every seed, as Markdown: means and standard deviations."""
    lines = [
        "| part | change | " + " | ".join(column[0] for column in COLUMNS) + " |",
        "| --- | --- |" + " --- |" * len(COLUMNS),
    ]
    for row in ROWS:
        names = [_name(row, seed, profile) for seed in seeds]
        if all(name in finished for name in names):
            found = [finished[name] for name in names]
            cells = [_cell(found, file, path, digits) for _, file, path, digits in COLUMNS]
            lines.append(f"| {row.part} | {row.change} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _name(row: Row, seed: int, profile: str) -> str:
    return "-".join(filter(None, ("ablation", profile, row.name, str(seed))))


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--profile", default="", help="a name in profiles/; else the default run")
    parser.add_argument("--set", nargs="*", default=[], help="params of every row, as key=value")
    parser.add_argument("--table-only", action="store_true", help="run nothing")
    given = parser.parse_args()
    profile = []
    if given.profile:
        overlay = read_yaml(FOLDER / f"{given.profile}.yaml")
        profile = list(flags(overlay, read_yaml(Path("params.yaml"))))
    for seed in given.seeds:
        for row in () if given.table_only else ROWS:
            name = _name(row, seed, given.profile)
            if name in _finished():
                continue
            changes = [f"seed={seed}", *BUDGET, *given.set, *row.flags]
            print(f"== {row.part}: {row.change} (seed {seed})", flush=True)
            command = ["dvc", "exp", "run", "--temp", "--name", name, *profile]
            command += [part for change in changes for part in ("-S", change)]
            if status := subprocess.run(command).returncode:
                sys.exit(status)
    budget = ", ".join(f"`{change}`" for change in (*BUDGET, *given.set))
    base = f"the profile `{given.profile}`" if given.profile else "the default run"
    said = (
        f"\nOf {base} with a small budget ({budget}), in each row one part changed. Means over the "
        f"seeds {', '.join(map(str, given.seeds))} ± their standard deviation.\n\n"
    )
    lines = table(_finished(), given.seeds, given.profile)
    put_table(TABLE, "benchmarks.ablations", f"{said}{lines}\n")
    print(f"written to {TABLE}")


if __name__ == "__main__":
    main()
