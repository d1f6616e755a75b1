"""The pages that benchmarks write into: a table between two marks, and figures beside it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from pipeline.evaluation.plots import write_png
from pipeline.files import write_text

END = "<!-- until here -->\n"


def put_table(page: Path, command: str, table: str) -> None:
    """Put a table where the page has that of `command`; the sentences around are a person's.

    Args:
        command: the benchmark's module, as the mark before the table names it.
        table: in Markdown, whole lines; in a page without the mark it comes last.
    """
    mark = f"<!-- the table: python -m {command} -->\n"
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    before, _, rest = text.partition(mark)
    after = rest.partition(END)[2]
    write_text(page, f"{before}{mark}{table}{END}{after}")


def mean_cell(values: Sequence[float], digits: int, *, signed: bool = False) -> str:
    """A table's cell: the mean over trainings, and the standard deviation of several.

    Args:
        signed: of a difference, which has its sign also where it is positive.
    """
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):{'+' if signed else ''}.{digits}f}{spread}"


def draw_means(
    axes: Axes,
    groups: Sequence[tuple[float, Sequence[Mapping[str, float]]]],
    key: str,
    *,
    color: str,
    label: str,
) -> None:
    """Draw a figure's means over trainings as one line; bars are their standard deviations.

    Args:
        groups: where each stands from left to right, and its trainings' figures.
        key: of those figures, the one drawn.
    """
    values = [[figures[key] for figures in group] for _, group in groups]
    axes.errorbar(
        [place for place, _ in groups], [mean(each) for each in values],
        [stdev(each) if len(each) > 1 else 0 for each in values],
        fmt="o-", capsize=3, color=color, label=label,
    )  # fmt: skip


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG of few bytes, the same for the same figure."""
    drawn = io.BytesIO()
    FigureCanvasAgg(figure).print_png(drawn, metadata={"Software": None})
    write_png(path, Image.open(drawn))
