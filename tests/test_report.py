"""The report opens with what cannot be argued with, and names what could not be measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apps.review.differences import Figures as Measured
from apps.review.differences import Verdict, differing
from pipeline.evaluation.features import FeatureSpace
from pipeline.evaluation.headlines import HEADLINES, better
from pipeline.evaluation.report import report, sentence
from pipeline.evaluation.scores import Figures, Scores
from pipeline.evaluation.spread import Spread
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.evaluation.writing import write_scores


def every(**parts: dict[str, float]) -> dict[str, Scores]:
    scores = {part: Scores() for part in HEADLINES}
    for part, figures in parts.items():
        scores[part].take(part, figures.items(), under="")
    return scores


EXACT = {
    "unranked.all": 0.461, "unranked.all_low": 0.414, "unranked.all_high": 0.512,
    "unranked.n": 1348, "unranked.kind": 0.95, "unranked.count": 0.41, "chance.all": 0.003,
    "chance.kind": 0.1, "chance.count": 0.333, "best_of_n.all": 0.516, "real.all": 1.0,
    "reconstructed.all": 1.0,
}  # fmt: skip


def test_the_first_sentence_is_exact_and_has_its_interval_chance_and_ceiling() -> None:
    said = sentence(every(exact=EXACT))
    assert said.startswith(
        "46% [41% to 51%] of the pictures show everything that their line of text asks for "
        "(chance 0.3%), without selection; 52% of those that BLIP picks."
    )
    assert "count 41% (chance 33%)" in said
    assert "Of real pictures 100%, of reconstructed ones 100%." in said
    both = sentence(every(exact={**EXACT, "redrawn.all": 0.98}))
    assert "of reconstructed ones 100% (98% with their detail drawn)." in both


def test_without_a_judge_the_sentence_is_of_labels_and_without_labels_it_claims_nothing() -> None:
    labels = {"generated.label_accuracy": 0.7, "real.label_accuracy": 0.9}
    assert sentence(every(pixels=labels)).startswith("70% of the pictures show the kind of thing")
    assert sentence(every()).startswith("No figure here can say")


def test_the_page_has_every_group_its_cheats_and_what_was_left_out() -> None:
    neutral = {
        f"{row}.{name}": 0.5
        for row in ("real", "reconstructed", "redrawn", "generated", "prior")
        for name in ("kid", "fd", "precision", "recall", "density", "coverage", "n")
    }
    page = report(
        every(exact=EXACT, neutral=neutral, blip={"bleu.unranked": 0.8, "matching.f1": 0.9}),
        {"blip: meteor": "it needs WordNet"},
        space=FeatureSpace("a space", lambda images: images, 1000),
        spread=Spread({"exact.unranked.all": 0.02}, 3, commit="abc1234"),
    )
    assert "Of 3 of the default run of commit abc1234 that differ" in page
    assert page.startswith("# What this run measured\n\n**46%")
    for part in ("## Pixels alone", "## A neutral space", "## BLIP's opinion", "## Left out"):
        assert part in page
    assert "| **generated**, every draw | 0.461 (0.414 to 0.512) |" in page
    assert "| reconstructed, detail drawn | 0.5 |" in page
    assert "![" in page
    assert "KID in units of 1000" in page
    assert "a painter that ignored number and sort would have a BLEU of 0.86" in page
    assert "two lie apart by up to (95 %): exact.unranked.all 0.12" in page
    assert "- blip: meteor: it needs WordNet." in page


def test_figures_know_their_interval_and_how_many_they_are_of() -> None:
    scores = Scores()
    scores.take("a", [("x", 1.0), ("x_low", 0.5), ("x_high", 1.5), ("n", 7)])
    scores.take("b", [("y", 2.0), ("z.n", 3), ("z", 4.0)], under="")
    found = {figure.name: figure for figure in scores.figures()}
    assert set(found) == {"a.x", "y", "z"}
    assert (found["a.x"].low, found["a.x"].high, found["a.x"].n) == (0.5, 1.5, 7)
    assert (found["y"].low, found["y"].n) == (None, None)
    assert found["z"].n == 3


def test_a_measure_that_cannot_be_taken_leaves_nothing_behind() -> None:
    def measure() -> Figures:
        yield "first", 1.0
        raise Unmeasurable("too few pictures")

    scores = Scores()
    scores.take("some", measure())
    assert scores.values == {}
    assert scores.left_out == {"some": "too few pictures"}


def test_metrics_files_hold_headlines_and_the_table_everything(tmp_path: Path) -> None:
    write_scores(
        every(exact=EXACT, vqvae={"psnr": 27.0, "no_text.psnr": 20.0}), tmp_path,
        space=None, spread=None, left_out={"test pictures": "5 of 9 were looked at"},
    )  # fmt: skip
    assert "- test pictures: 5 of 9 were looked at." in (tmp_path / "report.md").read_text()
    assert json.loads((tmp_path / "vqvae.json").read_text()) == {"psnr": 27.0}
    assert json.loads((tmp_path / "neutral.json").read_text()) == {}
    rows = (tmp_path / "figures.tsv").read_text().splitlines()
    assert "exact\tunranked.all\t0.461\t0.414\t0.512\t1348\thigher" in rows
    assert "vqvae\tno_text.psnr\t20.0\t\t\t\thigher" in rows


def test_there_are_some_fifty_headlines_in_all() -> None:
    assert sum(map(len, HEADLINES.values())) <= 55


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("unranked.all", "higher"), ("generated.kid", "lower"), ("copies.copies", "lower"),
        ("hard.count.called_matched", "lower"), ("bits", "lower"), ("lpips.generated", "lower"),
        ("generated.coverage", "higher"), ("copies.further", "neither"), ("psnr", "higher"),
        ("neighbours", "neither"), ("sharpness.redrawn", "neither"), ("redrawn.kid", "lower"),
        ("bleu.real", "higher"),
    ],
)  # fmt: skip
def test_which_way_a_figure_is_better(name: str, way: str) -> None:
    assert better(name) == way


def test_a_comparison_puts_what_is_beyond_chance_first_and_says_which_way() -> None:
    before = {"prior.bits": 3.9, "exact.unranked.all": 0.4, "exact.unranked.count": 0.40}
    after = {"prior.bits": 3.8, "exact.unranked.all": 0.7, "exact.unranked.count": 0.41}
    spread = Spread({"exact.unranked.all": 0.01, "exact.unranked.count": 0.02}, 3)
    runs = [Measured(figures, [*figures], []) for figures in (before, after)]
    rows = differing(*runs, spread)
    assert [(row.difference.name, row.verdict) for row in rows] == [
        ("exact.unranked.all", Verdict.BETTER),
        ("prior.bits", Verdict.UNKNOWN),
        ("exact.unranked.count", Verdict.WITHIN),
    ]
    assert rows[0].difference.margin == pytest.approx(0.06085, abs=1e-5)
    assert differing(runs[1], runs[1], spread) == []
