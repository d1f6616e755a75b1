"""From annotation files to pairs: every row is kept, or left out for a stated reason.

The rules in their order, with the `reason` that the report gives a row:

1. `bad_row`: the row is not in the schema, or an earlier row has its id.
2. `language`: the row's language is not asked for.
3. `bad_url`, `bad_path`: what it says of its picture is nowhere that we may look.
4. `limit`: the file has more pictures than are asked for; the seed chooses those that stay.
5. The picture could not be had (`http_404`, `timeout`, `no_file`, ...), is none (`not_a_picture`,
   `broken`, `too_many_pixels`, ...), or is what a server shows in many pictures' place
   (`placeholder`).
6. `repeated`: an earlier row has the same picture and text. Their labels are joined; of labels that
   contradict each other YES stands: somebody saw that the two belong together, while NO pairs were
   put together blindly and may meet such a pair by accident.
7. `in_test`: a training picture that is, or nearly is, one of the test file's pictures.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from pipeline.data.pairs import Pair
from pipeline.download.dedupe import Signatures, near_duplicate_groups
from pipeline.download.pictures import bring, examine, leave_out_placeholders
from pipeline.download.records import Annotations, add_file, distinct
from pipeline.download.rows import Selected, the_one
from pipeline.download.settings import Data
from pipeline.download.splits import split_groups
from pipeline.download.store import DownloadStore
from pipeline.download.texts import choose_title, normalise_title

LABEL_ORDER = ("YES", "NO", "")  # of repeated rows' labels the first stands


@dataclass(frozen=True)
class Intake:
    """What a source gave; nothing of it is in memory.

    Attributes:
        rows: the tables with every row, kept or not; `open_rows` has them.
        pairs: the table of pairs, in the order of their ids.
        pictures: the name of each picture of it and the path of its bytes, in the order in which
            it first names them.
    """

    rows: sqlite3.Connection
    pairs: Selected[Pair]
    pictures: Selected[tuple[str, str]]


def take_in(
    files: Sequence[Annotations],
    settings: Data,
    *,
    seed: int,
    store: DownloadStore,
    folder: Path,
    rows: sqlite3.Connection,
) -> Intake:
    """Apply all the rules to annotation files.

    Args:
        folder: for what grows with the pictures.
        rows: see `open_rows`; empty.

    Raises:
        UserError: a file as a whole is not what its name says.
    """
    for file in files:
        add_file(rows, file, languages=settings.languages)
    if settings.limit:
        _leave_out_beyond(rows, settings.limit, seed)
    signatures = _get_pictures(rows, settings, store, folder)
    _fold_repeated(rows)
    _find_near_duplicates(rows, signatures, settings.near_duplicate_distance)
    _keep_test_apart(rows)
    _set_titles_and_captions(rows, settings)
    has_test = the_one(rows, "SELECT EXISTS (SELECT 1 FROM kept WHERE part = 'test')")
    split_groups(
        rows,
        val_share=settings.val_share,
        test_share=0.0 if has_test else settings.test_share,
        seed=seed,
    )
    _tell_ids_apart(rows)
    return Intake(
        rows,
        Selected(
            rows,
            "SELECT id, image, split, caption, text, title, label, labels FROM pairs ORDER BY id",
            _pair,
        ),
        Selected(
            rows,
            "SELECT image, body FROM pairs GROUP BY picture ORDER BY min(id)",
            lambda name, body: (name, os.fsdecode(body)),
        ),
    )


def _pair(
    id: int, image: str, split: str, caption: str, text: str, title: str, label: str, labels: str
) -> Pair:
    return Pair(id, image, split, caption, text, title, label, tuple(json.loads(labels)))


def _leave_out_beyond(rows: sqlite3.Connection, limit: int, seed: int) -> None:
    """Rule 4, before anything is fetched."""
    for part in ("train", "test"):
        here = "FROM kept JOIN place USING (place) WHERE part = :part"
        # As its last row names it, which may be in another way than the first.
        named = f"""
            SELECT place, CASE url WHEN '' THEN image ELSE url END AS at, max(record)
            {here} GROUP BY place"""
        rows.execute(
            f"""
            UPDATE record SET reason = 'limit',
                detail = :limit || ' of ' || (SELECT count(DISTINCT place) {here})
                    || ' pictures stay'
            WHERE record IN (SELECT record {here}) AND place NOT IN (
                SELECT place FROM ({named}) ORDER BY shuffle_key(:seed, at) LIMIT :limit)
            """,
            {"part": part, "limit": limit, "seed": str(seed)},
        )


def _get_pictures(
    rows: sqlite3.Connection, settings: Data, store: DownloadStore, folder: Path
) -> Signatures:
    """Rule 5: find, fetch and decode."""
    bring(rows, store, settings.http)
    signatures = examine(rows, max_pixels=settings.max_pixels, folder=folder)
    leave_out_placeholders(rows, most=settings.placeholder_urls)
    for (url,) in rows.execute(
        "SELECT url FROM place WHERE url != '' AND body IS NOT NULL AND name IS NULL"
    ):
        store.forget(url)  # perhaps the server does better the next time
    rows.execute(
        """
        INSERT INTO picture (name, body, signature)
        SELECT name, body, signature FROM place WHERE name IS NOT NULL
        GROUP BY name ORDER BY min(place)
        """
    )
    rows.execute(
        """
        UPDATE record SET (picture, status, reason, detail) = (
            SELECT picture, status, reason, detail FROM place LEFT JOIN picture USING (name)
            WHERE place.place = record.place)
        WHERE reason = ''
        """
    )
    return signatures


class _Repeatable(NamedTuple):
    """What decides whether a row repeats another, and what is joined if it does."""

    picture: int
    record: int
    id: int | str
    part: str
    language: str
    text: str
    label: str
    labels: str


def _fold_repeated(rows: sqlite3.Connection) -> None:
    """Rule 6."""
    for of_picture in _by_picture(rows, _Repeatable, "kept"):
        first: dict[tuple[str, str, str], _Repeatable] = {}
        for row in of_picture:
            key = row.part, row.language, row.text
            kept = first.setdefault(key, row)
            if kept is row:
                continue
            detail = f"same picture and text as id {kept.id}"
            if {kept.label, row.label} == {"YES", "NO"}:
                detail += "; their labels contradict each other, YES stands"
            rows.execute(
                "UPDATE record SET reason = 'repeated', detail = ? WHERE record = ?",
                (detail, row.record),
            )
            label = min(kept.label, row.label, key=LABEL_ORDER.index)
            labels = json.dumps(distinct([*json.loads(kept.labels), *json.loads(row.labels)]))
            rows.execute(
                "UPDATE record SET label = ?, labels = ? WHERE record = ?",
                (label, labels, kept.record),
            )
            first[key] = kept._replace(label=label, labels=labels)


R = TypeVar("R", "_Repeatable", "_Titled")


def _by_picture(rows: sqlite3.Connection, kind: type[R], table: str) -> Iterator[list[R]]:
    """Each picture's rows, in their order."""
    query = f"SELECT {', '.join(kind._fields)} FROM {table} ORDER BY picture, record"
    for _, found in groupby(rows.execute(query), key=itemgetter(0)):
        yield [kind(*row) for row in found]


def _find_near_duplicates(rows: sqlite3.Connection, signatures: Signatures, distance: int) -> None:
    """Put pictures into groups, each called after the first of its members' names."""
    found = rows.execute("SELECT picture, signature FROM picture ORDER BY name")
    named = np.fromiter(found, [("picture", np.int64), ("signature", np.int64)])
    groups = near_duplicate_groups(signatures, named["signature"], distance)
    rows.executemany(
        "UPDATE picture SET alike = ? WHERE picture = ?",
        (
            (int(first), int(picture))
            for first, picture in zip(named["picture"][groups], named["picture"], strict=True)
        ),
    )


def _keep_test_apart(rows: sqlite3.Connection) -> None:
    """Rule 7."""
    rows.execute("CREATE TABLE tested (alike INTEGER PRIMARY KEY, picture INTEGER, id)")
    rows.execute(
        """
        INSERT INTO tested SELECT alike, picture, id FROM (
            SELECT alike, picture, id, max(record)
            FROM kept JOIN picture USING (picture) WHERE part = 'test' GROUP BY alike)
        """
    )
    twins = rows.execute(
        """
        SELECT kept.picture = tested.picture, tested.id, record
        FROM tested JOIN picture USING (alike) JOIN kept ON kept.picture = picture.picture
        WHERE part = 'train' ORDER BY record
        """
    )
    rows.executemany(
        "UPDATE record SET reason = 'in_test', detail = ? WHERE record = ?",
        (
            (f"{'the' if same else 'nearly the'} picture of id {id} in the test file", record)
            for same, id, record in twins
        ),
    )


class _Titled(NamedTuple):
    """What a picture's title and captions are made of; a row's part in them."""

    picture: int
    record: int
    language: str
    said_title: str
    said_label: str
    text: str
    label: str
    reason: str


def _set_titles_and_captions(rows: sqlite3.Connection, settings: Data) -> None:
    """Give a picture's rows of one language one title, and those that may be painted from captions.

    `choose_title` has the rule. A caption stands once a picture.
    """

    def titled() -> Iterator[tuple[str, str, int]]:
        # A row that repeats a picture's text still bears witness to its title.
        witnesses = "record WHERE reason IN ('', 'repeated')"
        for of_picture in _by_picture(rows, _Titled, witnesses):
            by_language: dict[str, list[_Titled]] = {}
            for row in of_picture:
                by_language.setdefault(row.language, []).append(row)
            titles = {
                language: _title(some, settings.mismatch_labels)
                for language, some in by_language.items()
            }
            seen: set[str] = set()
            for row in of_picture:
                if row.reason:
                    continue
                title, caption = titles[row.language], ""
                if row.label in settings.caption_labels:
                    caption = {
                        "title": title,
                        "text": row.text,
                        "title_or_text": title or row.text,
                    }[settings.caption]
                yield title, "" if caption in seen else caption, row.record
                seen.add(caption)

    rows.executemany("UPDATE record SET title = ?, caption = ? WHERE record = ?", titled())


def _title(rows: Sequence[_Titled], mismatch_labels: Collection[str]) -> str:
    """The one title of a picture's rows in one language."""
    titles = [(normalise_title(row.said_title), row.said_label) for row in rows]
    return choose_title(
        [title for title, label in titles if label not in mismatch_labels],
        [title for title, label in titles if label in mismatch_labels],
    )


def _tell_ids_apart(rows: sqlite3.Connection) -> None:
    """Add a power of ten to the test file's ids if both files use the same ones."""
    ids = "FROM kept WHERE part = "
    if the_one(
        rows,
        f"SELECT EXISTS (SELECT 1 {ids} 'test' AND pair IN (SELECT pair {ids} 'train'))",
    ):
        most = the_one(rows, f"SELECT max(pair) {ids} 'train'")
        rows.execute("UPDATE file SET shift = ? WHERE part = 'test'", (10 ** len(str(most)),))
