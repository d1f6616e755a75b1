"""The report's part on what BLIP can and cannot see: tables of figures, chosen and laid out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.evaluation.blip_sight import CONFUSION, blind_spots
from pipeline.evaluation.scores import Figure, Scores

PICTURE = "captions"  # the file that shows captions, right and wrong
SIGHT = ("hard", "captions", "kinds", "probe")  # families that have tables of their own
READS = {
    "captions.right": "captions that say the whole title",
    "kinds.balanced": "captions that name the right kind, balanced",
    "kinds.titles.balanced": "the same of the titles themselves (the ceiling)",
    "probe.label_accuracy": "kinds told by a linear probe of the embeddings, balanced",
}


@dataclass(frozen=True)
class Table:
    """Heads, and rows of as many cells."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def sight(scores: Scores) -> Iterator[str | Table]:
    """Paragraphs and tables: what of pairs, kinds and attributes BLIP tells apart.

    Args:
        scores: BLIP's.
    """
    figures = {figure.name: figure for figure in scores.figures()}
    spots = blind_spots(scores.values)
    if spots:
        yield "**What it has not learned.** " + " ".join(spots)
    yield Table(
        ("of real pictures that it was not trained on", "share (95 %)", "n"),
        [[said, _cell(figures[name]), _count(figures[name])] for name, said in READS.items()
         if name in figures],
    )  # fmt: skip
    changes = [name.split(".")[1] for name in figures if name.startswith("hard.")]
    yield Table(
        ("a text that is wrong in", "called matched (95 %)", "own text ranked first",
         "captions right in it", "n"),
        [[change.replace("_", " "),
          *(_cell(figures.get(name)) for name in (f"hard.{change}.called_matched",
            f"hard.{change}.ranked_first", f"captions.{change}")),
          _count(figures.get(f"hard.{change}.called_matched"))]
         for change in dict.fromkeys(changes)],
    )  # fmt: skip
    yield from _confusion(figures)


def _confusion(figures: Mapping[str, Figure]) -> Iterator[str | Table]:
    before = f"kinds.{CONFUSION}."
    cells = [
        name.removeprefix(before).split(".told_") for name in figures if name.startswith(before)
    ]
    kinds = list(dict.fromkeys([kind for kind, _ in cells] + [told for _, told in cells]))
    if kinds:
        yield "What kind of thing captions name (columns) where it is another (rows):"
        yield Table(
            ("kind", *kinds),
            [[kind, *(_share(figures.get(f"{before}{kind}.told_{told}")) for told in kinds)]
             for kind in dict.fromkeys(kind for kind, _ in cells)],
        )  # fmt: skip


def _cell(figure: Figure | None) -> str:
    if figure is None or figure.low is None:
        return "" if figure is None else f"{figure.value:.3g}"
    return f"{figure.value:.3g} ({figure.low:.3g} to {figure.high:.3g})"


def _share(figure: Figure | None) -> str:
    return "" if figure is None else f"{figure.value:.2f}"


def _count(figure: Figure | None) -> str:
    return "" if figure is None or figure.n is None else str(figure.n)
