"""What the evaluation leaves behind: metrics for diffs, a table of every figure, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pipeline.evaluation.features import FeatureSpace
from pipeline.evaluation.headlines import HEADLINES, better
from pipeline.evaluation.report import report
from pipeline.evaluation.scores import Scores
from pipeline.evaluation.spread import Spread
from pipeline.files import replacing, write_json, write_text, write_tsv
from pipeline.progress import say

COLUMNS = ("part", "measure", "value", "low", "high", "n", "better")


def write_scores(
    every: Mapping[str, Scores],
    folder: Path,
    *,
    space: FeatureSpace | None,
    spread: Spread | None,
    left_out: Mapping[str, str],
) -> None:
    """Write `PART.json` for each part, `figures.tsv` and `report.md` into `folder`.

    Args:
        every: the figures of each part that `HEADLINES` names.
        space: the neutral one; None for none.
        spread: over trainings of the same settings; None: it was never measured.
        left_out: what no part has, and why; what a part lacks, it says itself.
    """
    rows = [
        {
            "part": part,
            "measure": figure.name,
            "value": figure.value,
            "low": "" if figure.low is None else figure.low,
            "high": "" if figure.high is None else figure.high,
            "n": "" if figure.n is None else figure.n,
            "better": better(figure.name),
        }
        for part, scores in every.items()
        for figure in scores.figures()
    ]
    write_tsv(folder / "figures.tsv", rows, columns=COLUMNS)
    every_left_out = dict(left_out)
    for part, scores in every.items():
        write_json(folder / f"{part}.json", scores.nested(HEADLINES[part]))
        every_left_out |= {f"{part}: {measure}": why for measure, why in scores.left_out.items()}
    for measure, why in sorted(every_left_out.items()):
        say(f"left out: {measure}: {why}")
    text = report(every, every_left_out, space=space, spread=spread)
    write_text(folder / "report.md", text)


def write_captions(path: Path, prompts: Sequence[str], captions: Sequence[str]) -> None:
    """Write what BLIP says of each prompt's unselected draw."""
    with replacing(path) as aside:
        table = pd.DataFrame({"prompt": prompts, "caption": captions})
        table.to_csv(aside, sep="\t", index=False, lineterminator="\n")
