"""A page as one HTML file: its pictures lie inside, and nothing in it runs."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from html import escape

from apps.review.page import Foreign, Page, Pictures, Strong, Table, Words, visible

# Even if a run's words got through the escaping, a browser would neither run nor load anything.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #202024; max-width: 75rem; margin: 2rem auto;
       padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse } th { background: #f3f3f6; text-align: left }
th, td { border: 1px solid #d8d8de; padding: .25rem .6rem; vertical-align: top }
code { font: 13px ui-monospace, monospace; background: #f3f3f6; padding: .1rem .25rem;
       border-radius: .2rem; overflow-wrap: break-word }
summary { cursor: pointer; font-weight: 600; margin: 1rem 0 .5rem }
img { min-width: 8rem; max-width: 100%; display: block; image-rendering: pixelated }
"""


def html(page: Page) -> str:
    """Write the page."""
    return "\n".join(_page(page)) + "\n"


def _page(page: Page) -> Iterator[str]:
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>Review</title><style>{STYLE}</style></head><body>"
    yield f"<h1>{_words(page.title)}</h1>"
    yield from (f"<p>{_words(line)}</p>" for line in page.lines)
    for part in page.parts:
        yield from _table(part) if isinstance(part, Table) else _pictures(part)
    yield "</body></html>"


def _table(table: Table) -> Iterator[str]:
    if table.folded:
        yield f"<details><summary>{escape(table.title)} ({len(table.rows)})</summary>"
    else:
        yield f"<h2>{escape(table.title)}</h2>"
    if table.note:
        yield f"<p>{_words(table.note)}</p>"
    yield "<table><thead><tr>"
    yield from (f"<th>{escape(head)}</th>" for head in table.heads)
    yield "</tr></thead><tbody>"
    for row in table.rows:
        yield "<tr>" + "".join(f"<td>{_words(cell)}</td>" for cell in row) + "</tr>"
    yield "</tbody></table>"
    if table.folded:
        yield "</details>"


def _pictures(part: Pictures) -> Iterator[str]:
    yield f"<h2>{escape(part.title)}</h2>"
    if part.note:
        yield f"<p>{_words(part.note)}</p>"
    yield "<table><thead><tr><th></th><th>before</th><th>after</th></tr></thead><tbody>"
    for pair in part.pairs:
        sides = "".join(f"<td>{_image(content)}</td>" for content in (pair.before, pair.after))
        yield f"<tr><td>{_words(pair.title)}</td>{sides}</tr>"
    yield "</tbody></table>"


def _image(content: bytes | None) -> str:
    if content is None:
        return "–"
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(content).decode()}">'


def _words(words: Words) -> str:
    return "".join(map(_word, words if isinstance(words, tuple) else (words,)))


def _word(word: str) -> str:
    if isinstance(word, Foreign):
        return f"<code>{escape(visible(word))}</code>"
    return f"<strong>{escape(word)}</strong>" if isinstance(word, Strong) else escape(word)
