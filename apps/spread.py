"""`python -m apps.spread`: how far runs of the same settings lie apart, over seeds and over draws.

    python -m apps.spread --seeds 0 1 2 --draws 0 1 2

Each run is a DVC experiment in a copy of the workspace (`dvc exp run --temp`), so a stage whose
inputs do not change comes out of the run cache: other draws train nothing, and the judge is trained
once. Experiments that are there already are kept, so an interrupted table goes on. The result is
docs/spread.json, which the report and `python -m apps.compare` read, and docs/spread.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean

from apps.runs import read_figures
from pipeline.errors import UserError
from pipeline.evaluation.headlines import HEADLINES
from pipeline.evaluation.spread import Spread
from pipeline.files import write_text

JSON, PAGE = Path("docs/spread.json"), Path("docs/spread.md")
OWN = [f":!{path.as_posix()}" for path in (JSON, PAGE)]  # which a run may change


def main(arguments: Sequence[str]) -> int:
    """Run what is missing, then write both files; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of training")
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2], help="of one training")
    given = parser.parse_args(arguments)
    try:
        _check(given.seeds, given.draws)
        by_seed = [_run(f"seed-{seed}", f"seed={seed}") for seed in given.seeds]
        by_draw = [_run(f"draw-{draw}", f"generate.draw={draw}") for draw in given.draws]
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    commit = _git("rev-parse", "--short", "HEAD")
    seeds, draws = Spread.of(by_seed, commit=commit), Spread.of(by_draw, commit=commit)
    seeds.save(JSON)
    write_text(PAGE, "\n".join(_page(by_seed, seeds, draws)) + "\n")
    print(f"written to {JSON} and {PAGE}")
    return 0


def _check(seeds: Sequence[int], draws: Sequence[int]) -> None:
    """Refuse what would end in no figure, or in figures of another tree than the commit's."""
    for name, numbers in (("--seeds", seeds), ("--draws", draws)):
        if len(set(numbers)) < 2:
            given = " ".join(map(str, numbers))
            raise UserError(f"{name} {given}: expected at least two numbers")
    if changed := _git("diff", "--name-only", "HEAD", "--", ".", *OWN).splitlines():
        raise UserError(f"{changed[0]}: not committed, and runs are kept by their commit")


def _run(name: str, change: str) -> dict[str, float]:
    """The figures of an experiment, which is run if it is not there yet.

    Raises:
        UserError: it failed.
    """
    name = f"spread-{name}"
    head = _git("rev-parse", "HEAD")
    experiment = f"refs/exps/{head[:2]}/{head[2:]}/{name}"  # where DVC keeps those of a commit
    if not _git("rev-parse", "--verify", "--quiet", experiment):
        print(f"== {change}", flush=True)
        command = ["dvc", "exp", "run", "--temp", "--name", name, "-S", change]
        if status := subprocess.run(command).returncode:
            raise UserError(f"dvc exp run -S {change} ended with status {status}")
    return read_figures(experiment)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True).stdout.strip()


def _page(runs: Sequence[dict[str, float]], seeds: Spread, draws: Spread) -> Iterable[str]:
    yield "# How sure a figure is"
    yield ""
    yield (
        f"Made by `python -m apps.spread`, of {seeds.runs} trainings of the default run of commit "
        f"{seeds.commit} that differ in `seed` alone, and of {draws.runs} draws (`generate.draw`) "
        "from one training. "
        "The margin is what two runs of the same settings differ by at most, 95 times in 100 "
        "(Student's t on the seeds' standard deviation, which pays for there being few). Only a "
        "difference beyond it speaks for one of two settings; of forty figures that are the same, "
        "two fall outside by chance. A seed changes the data, all trainings and the draws; a draw "
        "changes only what is drawn."
    )
    yield ""
    yield "| figure | mean | sd over seeds | sd over draws | margin of a difference |"
    yield "| --- | --- | --- | --- | --- |"
    for part, names in HEADLINES.items():
        for name in names:
            figure = f"{part}.{name}"
            if figure in seeds.deviations:
                margin = seeds.margin(figure)
                drawn = draws.deviations.get(figure)
                cells = (
                    mean(run[figure] for run in runs), seeds.deviations[figure], drawn, margin,
                )  # fmt: skip
                shown = ("" if cell is None else f"{cell:.3g}" for cell in cells)
                yield f"| {figure} | " + " | ".join(shown) + " |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
