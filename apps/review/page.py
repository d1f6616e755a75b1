"""A page before anybody has decided how to write it: words, tables, pictures.

Words of ours are plain `str`; words of a run are `Foreign`, and a renderer may never take them for
markup.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field


class Foreign(str):
    """Text from a run: a name, a value, a path, a caption. Whatever it holds is shown, not done."""


class Strong(str):
    """Ours, and what a reader must not miss."""


Words = str | tuple[str, ...]  # a tuple mixes ours and foreign ones


@dataclass(frozen=True)
class Table:
    """Rows under heads.

    Attributes:
        title: ours.
        folded: does a reader have to open it?
        note: what stands above the rows.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Words]]
    folded: bool = False
    note: Words = ""


@dataclass(frozen=True)
class Pair:
    """One picture of both runs; None where a run does not have it."""

    title: Foreign
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True)
class Pictures:
    """Pictures that differ, before beside after.

    Attributes:
        title: ours.
        pairs: PNGs; a title is its path in the repository if `in_git`.
        commits: that hold them, before and after; None for a run that lies in a folder.
        in_git: can a forge show them by path and commit?
        shown: how many of them a reader sees without opening anything.
    """

    title: str
    pairs: Sequence[Pair]
    commits: tuple[str | None, str | None] = (None, None)
    in_git: bool = True
    note: Words = ""
    shown: int = 2


@dataclass
class Page:
    """A title, lines below it, then tables and pictures from the most important on."""

    title: Words
    lines: list[Words] = field(default_factory=list)
    parts: list[Table | Pictures] = field(default_factory=list)


def visible(text: str) -> str:
    """The text in one line, with what cannot be seen written out: newlines, marks of direction."""
    return "".join(
        repr(c)[1:-1] if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" else c
        for c in text
    )
