"""The Markdown that a run's report is written in, as HTML: every word escaped, then marked up.

It knows what `pipeline.evaluation.report` writes, no more: headings, paragraphs, tables, lists,
pictures; bold, slanted, code and links in a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape
from itertools import groupby

Figure = Callable[[str, str], str]  # (what it shows, its path) → HTML

INLINE = (
    (re.compile(r"\*\*(.+?)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"(?<!\w)\*([^*\s][^*]*)\*(?!\w)"), r"<em>\1</em>"),
    (re.compile(r"`([^`]+)`"), r"<code>\1</code>"),
    (re.compile(r"\[([^\]]+)\]\((https?://[^)\s]+)\)"), r'<a href="\2">\1</a>'),
    (re.compile(r"\[([^\]]+)\]\([^)\s]+\)"), r"\1"),  # beside the report, which lies alone here
)
PICTURE = re.compile(r"!\[(.*)\]\(([^)]+)\)")


def html_of(text: str, figure: Figure) -> Iterator[str]:
    """Yield the HTML of each block."""
    blocks = (list(lines) for full, lines in groupby(text.splitlines(), key=bool) if full)
    for block in blocks:
        yield _block(block, figure)


def inline(text: str) -> str:
    """A line's words, escaped, with its marks."""
    marked = escape(text)
    for pattern, markup in INLINE:
        marked = pattern.sub(markup, marked)
    return marked


def _block(lines: list[str], figure: Figure) -> str:
    first = lines[0]
    if heading := re.match(r"(#{1,4}) (.*)", first):
        level = len(heading[1])
        return f"<h{level}>{inline(heading[2])}</h{level}>"
    if picture := PICTURE.fullmatch(first):
        return figure(picture[1], picture[2])
    if first.startswith("|"):
        return _table(lines)
    if first.startswith("- "):
        items = "".join(f"<li>{inline(line.removeprefix('- '))}</li>" for line in lines)
        return f"<ul>{items}</ul>"
    return f"<p>{inline(' '.join(lines))}</p>"


def _table(lines: list[str]) -> str:
    heads, _, *rows = [_cells(line) for line in lines]
    head = "".join(f'<th scope="col">{inline(cell)}</th>' for cell in heads)
    body = "".join(
        f'<tr><th scope="row">{inline(first)}</th>'
        + "".join(f"<td>{inline(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    # Focusable, so that a wide one can be scrolled with the keys.
    return f'<div class="wide" tabindex="0" role="region" aria-label="Table">{table}</div>'


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
