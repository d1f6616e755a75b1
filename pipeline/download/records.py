"""A row of an annotation file on its way to becoming a pair, or to a reason why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.data.pairs import Pair
from pipeline.data.texts import normalise
from pipeline.download.pictures import Location, Picture
from pipeline.download.schema import BadRow, Row, read_rows
from pipeline.download.texts import normalise_text


@dataclass(frozen=True)
class Annotations:
    """An annotation file.

    Attributes:
        part: "train" or "test".
        name: as messages and the report call it; its ending tells the format.
        base: its URL, or its path; pictures are looked for beside it.
        data: its bytes.
        lines: or JSON Lines on this machine, which are read one by one.
        columns: MUSTI's field → the column that holds it; see `read_rows`.
        problems: what is no row of it, known before it is read.
    """

    part: str
    name: str
    base: str | Path
    data: bytes
    columns: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[BadRow, ...] = ()
    lines: Path | None = None


@dataclass(slots=True)
class Record:
    """A good row of an annotation file; `intake` fills in the rest, rule by rule.

    Attributes:
        number: of the row in its file, from 1.
        id: a whole number, unique in its file: the row's own id, or `number` in a file of which
            any id is a text.
        reason: "" while the row is kept; `detail` says more.
        status: the HTTP status of its picture, if a server answered.
        text, label, labels, title, caption, split: of the pair that it becomes; `row` keeps what
            the source wrote.
    """

    file: Annotations
    number: int
    id: int
    row: Row
    text: str
    label: str
    labels: tuple[str, ...]
    title: str = ""
    caption: str = ""
    split: str = ""
    reason: str = ""
    detail: str = ""
    status: int | None = None
    location: Location | None = None
    picture: Picture | None = None

    @property
    def kept(self) -> bool:
        """Whether no rule has left the row out."""
        return not self.reason

    @property
    def image(self) -> str:
        """The picture's name in the shards; two locations of the same bytes share it."""
        return self.picture.name if self.picture is not None else ""

    def leave_out(self, reason: str, detail: str = "") -> None:
        """Note why the row is not kept."""
        self.reason, self.detail = reason, detail

    def to_pair(self, *, id_offset: int) -> Pair:
        """The pair that a kept row becomes."""
        return Pair(
            id=self.id + id_offset,
            image=self.image,
            split=self.split,
            caption=self.caption,
            text=self.text,
            title=self.title,
            match=self.label,
            objects=self.labels,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that is not in the schema."""

    file: Annotations
    bad: BadRow


def read_records(file: Annotations) -> tuple[list[Record], list[Refused]]:
    """Read a file's rows, with their texts and labels normalised.

    Raises:
        UserError: the file as a whole is not what its name says.
    """
    rows, bad = read_rows(file.data, file.name, columns=file.columns, lines=file.lines)
    numbered = all(isinstance(row.id, int) for _, row in rows)
    records = [
        Record(
            file=file,
            number=number,
            id=row.id if numbered and isinstance(row.id, int) else number,
            row=row,
            text=_same(normalise_text(row.text), row.text),
            label=row.subtask1_label,
            labels=distinct(normalise(label) for label in row.subtask2_labels),
        )
        for number, row in rows
    ]
    return records, [Refused(file, entry) for entry in [*bad, *file.problems]]


def _same(text: str, other: str) -> str:
    """The text; as the very same object where the other is equal, for one takes half the memory."""
    return other if text == other else text


def distinct(words: Iterable[str]) -> tuple[str, ...]:
    """The words that are not empty, once each, in their order."""
    return tuple(dict.fromkeys(word for word in words if word))
