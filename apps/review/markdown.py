"""A page as Markdown for a forge's comment: under its limit, and safe whatever a run's names hold.

Foreign words stand in code spans. There nothing is markup, a link, a mention or a reference; what
could end the span (a backtick) is met by a longer fence, and what could end a table's cell (a pipe,
a newline) is written out, as is a dollar, which with a backtick begins a formula on some forges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from apps.review.page import Foreign, Page, Pair, Pictures, Strong, Table, Words, visible

LIMIT = 60_000  # bytes; GitHub takes 65,536 characters in a comment
CELL = 160  # characters of one foreign word; the HTML page has it whole


def markdown(page: Page, *, pictures: str | None = None, rest: str | None = None) -> str:
    """Write the page.

    Args:
        pictures: a URL with `{commit}` and `{path}`, where the forge shows a file; None: nowhere.
        rest: where the whole page can be found; None: in the HTML page.
    """
    lines = [f"## {_words(page.title)}", ""]
    for line in page.lines:
        lines += [_words(line), ""]
    where = f"[the whole page]({rest})" if rest else "the HTML page"
    # What a table leaves of its share is the next one's, so a long one cannot push out the others.
    left = LIMIT - _size(lines) - 500
    for number, part in enumerate(page.parts):
        share = left // (len(page.parts) - number)
        if isinstance(part, Table):
            written = _table(part, share, where)
        else:
            written = list(_pictures(part, pictures, where))
        if _size(written) > left:
            written = [f"*{part.title}: {where}.*", ""]
        lines += written
        left -= _size(written)
    lines.append(f"*Everything, with all pictures: {where}.*")
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """Foreign text as a code span that holds in a table, too."""
    shown = visible(text).replace("|", "\\x7c").replace("$", "\\x24")
    if len(shown) > CELL:
        shown = shown[: CELL - 1] + "…"
    if not shown.strip():
        return "(empty)" if not shown else "(blank)"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    # A space inside keeps backticks of the text from the fence; a renderer drops one of each side.
    gap = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{gap}{shown}{gap}{fence}"


def _table(table: Table, share: int, where: str) -> list[str]:
    """The table in `share` bytes; the rows that do not fit are counted."""
    lines, end = [f"### {table.title}", ""], [""]
    if table.folded:
        # A blank line after the tag: what follows is Markdown again.
        summary = f"<summary>{table.title} ({len(table.rows)})</summary>"
        lines, end = ["<details>", summary, ""], ["", "</details>", ""]
    if table.note:
        lines += [_words(table.note), ""]
    lines += [_row(table.heads), _row(["---"] * len(table.heads))]
    share -= _size([*lines, *end, where]) + 30
    for number, cells in enumerate(table.rows):
        row = _row([_words(cell) for cell in cells])
        share -= _size([row])
        if share < 0:
            lines += ["", f"*{len(table.rows) - number} more rows: {where}.*"]
            break
        lines.append(row)
    return [*lines, *end]


def _pictures(part: Pictures, url: str | None, where: str) -> Iterator[str]:
    if not part.in_git:  # a forge cannot show them
        return
    yield from (f"### {part.title}", "")
    if part.note:
        yield from (_words(part.note), "")
    if url is None:
        names = ", ".join(_words(pair.title) for pair in part.pairs)
        yield from (f"{names}: before and after in {where}.", "")
        return
    for number, pair in enumerate(part.pairs):
        if number == part.shown:
            yield from ("<details>", f"<summary>More ({len(part.pairs) - number})</summary>", "")
        yield from (_words(pair.title), "", _row(("before", "after")), _row(("---", "---")))
        yield from (_row(_beside(pair, part.commits, url)), "")
    if len(part.pairs) > part.shown:
        yield from ("</details>", "")


def _beside(pair: Pair, commits: tuple[str | None, str | None], url: str) -> Iterator[str]:
    for side, content, commit in zip(
        ("before", "after"), (pair.before, pair.after), commits, strict=True
    ):
        if content is None:
            yield "–"
        elif commit is None:
            yield "not in git"
        else:
            path = quote(pair.title.encode("utf-8", "surrogateescape"))
            place = url.replace("{commit}", commit).replace("{path}", path)
            yield f"![{side}]({place})"


def _words(words: Words) -> str:
    return "".join(map(_word, words if isinstance(words, tuple) else (words,)))


def _word(word: str) -> str:
    if isinstance(word, Foreign):
        return code(word)
    return f"**{word}**" if isinstance(word, Strong) else word


def _row(cells: Sequence[str] | Iterator[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _size(lines: Sequence[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)
