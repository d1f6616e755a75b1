"""The pages that benchmarks write into: a table between two marks, and figures beside it."""

from __future__ import annotations

import io
from pathlib import Path

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


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG of few bytes, the same for the same figure."""
    drawn = io.BytesIO()
    FigureCanvasAgg(figure).print_png(drawn, metadata={"Software": None})
    write_png(path, Image.open(drawn))
