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

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import numpy as np

from pipeline.data.pairs import Pair
from pipeline.download.dedupe import Signatures, near_duplicate_groups
from pipeline.download.fetch import FetchError
from pipeline.download.pictures import Location, Picture, bring, examine, locate
from pipeline.download.records import Annotations, Record, Refused, distinct, read_records
from pipeline.download.settings import Data
from pipeline.download.splits import shuffle_key, split_groups
from pipeline.download.store import DownloadStore
from pipeline.download.texts import choose_title, normalise_title

LABEL_ORDER = ("YES", "NO", "")  # of repeated rows' labels the first stands


@dataclass(frozen=True)
class Intake:
    """What a source gave.

    Attributes:
        records: the rows in the schema, kept or not.
        refused: the rows that are not.
        group_sizes: how many pictures of the table each group of near-duplicates has.
        pairs: the table.
        pictures: those of the table, once each, in the order in which it first names them.
    """

    records: list[Record]
    refused: list[Refused]
    group_sizes: list[int]
    pairs: list[Pair]
    pictures: list[Picture]


def take_in(
    files: Sequence[Annotations], settings: Data, *, seed: int, store: DownloadStore, folder: Path
) -> Intake:
    """Apply all the rules to annotation files.

    Args:
        folder: for what grows with the pictures.

    Raises:
        UserError: a file as a whole is not what its name says.
    """
    records: list[Record] = []
    refused: list[Refused] = []
    for file in files:
        good, bad = read_records(file)
        records += good
        refused += bad

    _choose(records, settings, seed)
    signatures = _get_pictures(records, settings, store, folder)
    _fold_repeated(_kept(records))
    pictures = {r.image: r.picture for r in _kept(records) if r.picture is not None}
    groups = _near_duplicates(pictures, signatures, settings.near_duplicate_distance)
    _keep_test_apart(_kept(records), groups)
    # A row that repeats a picture's text still bears witness to its title.
    _set_titles([r for r in records if r.kept or r.reason == "repeated"], settings)
    _set_captions(_kept(records), settings)
    _set_splits(_kept(records), groups, settings, seed)

    kept = _kept(records)
    offset = _test_id_offset(kept)
    pairs = [r.to_pair(id_offset=offset if r.file.part == "test" else 0) for r in kept]
    names = dict.fromkeys(pair.image for pair in sorted(pairs, key=lambda pair: pair.id))
    return Intake(
        records,
        refused,
        list(Counter(groups[name] for name in names).values()),
        pairs,
        [pictures[name] for name in names],
    )


def _kept(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.kept]


def _choose(records: Sequence[Record], settings: Data, seed: int) -> None:
    """Rules 2 to 4, before anything is fetched."""
    asked = {language.lower() for language in settings.languages}
    for record in records:
        # A file that does not say its language is in the one that is asked for.
        if record.row.language and record.row.language not in asked:
            record.leave_out("language", record.row.language)
            continue
        try:
            record.location = locate(record.row.image, record.file.base)
        except FetchError as error:
            record.leave_out(error.reason, error.detail)
    if not settings.limit:
        return
    for part in ("train", "test"):
        here = [r for r in _kept(records) if r.file.part == part]
        named = {r.location: r.location.url or r.row.image for r in here if r.location}
        order = sorted(named, key=lambda at: shuffle_key(seed, named[at]))
        chosen = set(order[: settings.limit])
        for record in here:
            if record.location not in chosen:
                record.leave_out("limit", f"{settings.limit} of {len(order)} pictures stay")


def _get_pictures(
    records: Sequence[Record], settings: Data, store: DownloadStore, folder: Path
) -> Signatures:
    """Rule 5: find, fetch and decode."""
    wanted = [r.location for r in _kept(records) if r.location is not None]
    sources = bring(dict.fromkeys(wanted), store, settings.http)
    pictures, signatures = examine(
        sources,
        max_pixels=settings.max_pixels,
        placeholder_urls=settings.placeholder_urls,
        folder=folder,
    )
    for at, picture in pictures.items():
        if at.url and sources[at].file and not picture.name:
            store.forget(at.url)  # perhaps the server does better the next time
    for record in _kept(records):
        picture = pictures[_location(record)]
        record.location = None  # the picture knows its file
        record.picture, record.status = picture, picture.source.status
        if not picture.name:
            record.leave_out(picture.source.reason, picture.source.detail)
        else:
            record.detail = picture.source.detail
    return signatures


def _location(record: Record) -> Location:
    if record.location is None:
        raise ValueError(f"row {record.number} has no location")
    return record.location


def _fold_repeated(records: Sequence[Record]) -> None:
    """Rule 6."""
    for rows in _by_picture(records):
        first: dict[tuple[str, str, str], Record] = {}
        for record in rows:
            kept = first.setdefault((record.file.part, record.row.language, record.text), record)
            if kept is record:
                continue
            record.leave_out("repeated", f"same picture and text as id {kept.row.id}")
            if {kept.label, record.label} == {"YES", "NO"}:
                record.detail += "; their labels contradict each other, YES stands"
            kept.label = min(kept.label, record.label, key=LABEL_ORDER.index)
            kept.labels = distinct([*kept.labels, *record.labels])


def _by_picture(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Each picture's records, in their order."""
    for _, rows in groupby(sorted(records, key=attrgetter("image")), key=attrgetter("image")):
        yield list(rows)


def _near_duplicates(
    pictures: dict[str, Picture], signatures: Signatures, distance: int
) -> dict[str, str]:
    """Picture → its group, which bears the first of its members' names."""
    names = sorted(pictures)
    rows = np.array([pictures[name].row for name in names], dtype=np.int64)
    groups = near_duplicate_groups(signatures, rows, distance)
    return {name: names[group] for name, group in zip(names, groups, strict=True)}


def _keep_test_apart(records: Sequence[Record], groups: dict[str, str]) -> None:
    """Rule 7."""
    tested = {groups[record.image]: record for record in records if record.file.part == "test"}
    for record in records:
        twin = tested.get(groups[record.image])
        if record.file.part == "train" and twin is not None:
            same = "the" if twin.image == record.image else "nearly the"
            record.leave_out("in_test", f"{same} picture of id {twin.row.id} in the test file")


def _set_titles(records: Sequence[Record], settings: Data) -> None:
    """Give all rows of one picture and language the same title; `choose_title` has the rule."""
    for of_picture in _by_picture(records):
        for language in {record.row.language for record in of_picture}:
            rows = [record for record in of_picture if record.row.language == language]
            titles = [(normalise_title(r.row.title), r.row.subtask1_label) for r in rows]
            title = choose_title(
                [t for t, label in titles if label not in settings.mismatch_labels],
                [t for t, label in titles if label in settings.mismatch_labels],
            )
            for record in rows:
                # The very same object where it is equal: texts are most of what rows hold.
                record.title = record.text if title == record.text else title


def _set_captions(records: Sequence[Record], settings: Data) -> None:
    """Give rows whose pictures may be painted from text their caption, once a picture."""
    for rows in _by_picture(records):
        seen: set[str] = set()
        for record in rows:
            if record.label not in settings.caption_labels:
                continue
            caption = {
                "title": record.title,
                "text": record.text,
                "title_or_text": record.title or record.text,
            }[settings.caption]
            if caption not in seen:
                seen.add(caption)
                record.caption = caption


def _set_splits(
    records: Sequence[Record], groups: dict[str, str], settings: Data, seed: int
) -> None:
    """Deal the training file's pictures out; the test file's, if there is one, are the test."""
    has_test = any(record.file.part == "test" for record in records)
    ours = [record for record in records if record.file.part == "train"]
    splits = split_groups(
        {record.image: groups[record.image] for record in ours},
        captioned={record.image for record in ours if record.caption},
        val_share=settings.val_share,
        test_share=0.0 if has_test else settings.test_share,
        seed=seed,
    )
    for record in records:
        record.split = "test" if record.file.part == "test" else splits[record.image]


def _test_id_offset(records: Sequence[Record]) -> int:
    """What is added to the test file's ids: 0, or a power of ten if both files use the same ids."""
    ids: dict[str, set[int]] = {"train": set(), "test": set()}
    for record in records:
        ids[record.file.part].add(record.id)
    if not ids["train"] & ids["test"]:
        return 0
    return int(10 ** len(str(max(ids["train"]))))
