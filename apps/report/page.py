"""The page of a run: one HTML file with all its pictures inside, which loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from pathlib import Path

from apps.report.charts import curves, scatter
from apps.report.markdown import html_of
from apps.report.run import METHODS, Run, Shown
from apps.review.page import visible
from pipeline.files import write_text
from stages import layout

STYLE = files("apps.report").joinpath("report.css").read_text(encoding="utf-8")
SCRIPT = files("apps.report").joinpath("report.js").read_text(encoding="utf-8")


def write_report(folder: Path, out: Path) -> None:
    """Write the page of the run in `folder` to `out`.

    Raises:
        UserError: the folder has no report, or `out` is a folder.
    """
    write_text(out, "\n".join(page(Run(folder))) + "\n")


def page(run: Run) -> Iterator[str]:
    """Yield the page's lines."""
    before, pictures, after = _parted(run.report())
    figures = _Figures(run)
    sections = {
        ("top", "Summary"): html_of(before, figures),
        ("gallery", "Gallery"): _gallery(run),
        ("grids", "Grids"): html_of(pictures, figures),
        ("latents", "Latents"): _latents(run),
        ("curves", "Curves"): _curves(run),
        ("figures", "Figures"): html_of(after, figures),
    }
    written = {anchor: "\n".join(lines) for anchor, lines in sections.items()}
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    # Even if a run's words got through the escaping, a browser would run and load nothing.
    policy = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'",
    }
    told = escape("; ".join(f"{name} {value}" for name, value in policy.items()))
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{told}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield f"<title>What a run measured</title><style>{STYLE}</style></head>"
    yield '<body><nav aria-label="Parts">'
    yield from (f'<a href="#{at}">{title}</a>' for (at, title), text in written.items() if text)
    yield "</nav><main>"
    for (at, _), text in written.items():
        if text:
            yield f'<section id="{at}">{text}</section>'
    yield "</main>"
    yield '<dialog aria-labelledby="named"><form method="dialog"><button>Close</button></form>'
    yield '<img alt=""><h2 id="named"></h2><dl></dl></dialog>'
    yield f"<script>{SCRIPT}</script></body></html>"


def _parted(text: str) -> tuple[str, str, str]:
    """The report before its pictures, its pictures, and what follows them."""
    head, found, rest = text.partition("\n## Pictures\n")
    pictures, _, after = rest.partition("\n## ")
    return head, f"## Pictures\n{pictures}" if found else "", f"## {after}" if after else ""


class _Figures:
    """A picture that the report names, as it lies beside it."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __call__(self, shows: str, path: str) -> str:
        content = self.run.read(layout.METRICS / path)
        if content is None:
            return f"<p>{escape(visible(path))} is not here.</p>"
        if Path(path).stem.startswith("latents"):
            return ""  # drawn as points that open their pictures
        source = _uri(Shown(content, "png", {}))
        return (
            f'<button class="grid-picture" data-facts="{escape(json.dumps({"grid": shows}))}">'
            f'<img alt="{escape(visible(shows))}" src="{source}"></button>'
        )


def _gallery(run: Run) -> Iterator[str]:
    shown, count = run.generated()
    if not shown:
        return
    some = "all" if len(shown) == count else f"the first {len(shown)} of"
    yield f"<h2>Generated</h2><p>What BLIP picked for each prompt: {some} "
    yield f"{count}. Open one to see what it was made from.</p>"
    yield '<input type="search" placeholder="Find a prompt" aria-label="Find a prompt">'
    yield '<div class="gallery">'
    for picture in shown:
        prompt = escape(visible(picture.facts.get("prompt", "")))
        facts = {key: visible(value) for key, value in picture.facts.items()}
        yield (
            f'<button data-facts="{escape(json.dumps(facts, ensure_ascii=False))}">'
            f'<img alt="{prompt}" src="{_uri(picture)}" loading="lazy"></button>'
        )
    yield "</div>"


def _latents(run: Run) -> Iterator[str]:
    plots, pictures = run.latents()
    if not any(plots.values()):
        return
    yield "<h2>Latents</h2>"
    yield "<p>Each point is a test picture: point at it, or reach it with Tab and the arrow keys."
    yield "</p>" if pictures else " The pictures are not on this machine.</p>"
    yield '<div class="beside">'
    for method, points in plots.items():
        title = METHODS[method]
        yield f"<figure><figcaption>{escape(title)}</figcaption>{scatter(title, points)}</figure>"
    yield '</div><div class="hidden">'
    for name, picture in pictures.items():
        facts = escape(json.dumps({k: visible(v) for k, v in picture.facts.items()}))
        yield (
            f'<img id="{escape("latent-" + name)}" data-facts="{facts}" loading="lazy" alt="" '
            f'src="{_uri(picture)}">'
        )
    yield "</div>"


def _curves(run: Run) -> Iterator[str]:
    charts = [(title, curves(title, x, lines)) for title, x, lines in run.curves()]
    if not charts:
        return
    yield '<h2>Curves</h2><div class="beside">'
    for title, chart in charts:
        yield f"<figure><figcaption>{escape(title)}</figcaption>{chart}</figure>"
    yield "</div>"


def _uri(picture: Shown) -> str:
    return f"data:image/{picture.kind};base64,{base64.b64encode(picture.content).decode()}"
