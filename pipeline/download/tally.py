"""What became of every row: the report's table, the metrics, the lines on the terminal."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.data.pairs import SPLITS
from pipeline.download.intake import Intake
from pipeline.download.rows import the_one
from pipeline.errors import UserError
from pipeline.files import replacing

# Left out by choice; whatever else is missing was lost.
CHOSEN = ("language", "limit", "repeated", "in_test")
NOT_ASKED_FOR = ("language", "limit")

COLUMNS = (
    "file", "row", "id", "language", "image", "label", "kept", "reason", "http_status", "detail",
    "split", "picture", "title", "text",
)  # fmt: skip


REPORT = """
SELECT file.name, number, id, language, image, said_label,
    CASE reason WHEN '' THEN 'yes' ELSE 'no' END, reason, status, detail,
    CASE reason WHEN '' THEN split ELSE '' END, picture.name, said_title, said_text
FROM record JOIN file USING (file) LEFT JOIN picture USING (picture) ORDER BY record
"""


def report_rows(intake: Intake) -> Iterator[tuple[Any, ...]]:
    """A row for each row of the sources, in order: what it said, whether it was kept, why not.

    The id is the source's own, a whole number or a text; the pairs have whole numbers.
    """
    return intake.rows.execute(REPORT)


def write_report(path: Path, intake: Intake) -> None:
    """Write `report_rows` as CSV, one in memory at a time."""
    kinds = {kind for (kind,) in intake.rows.execute("SELECT DISTINCT typeof(id) FROM record")}
    at = COLUMNS.index("id")
    with replacing(path) as aside, aside.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in report_rows(intake):
            if kinds == {"integer", "null"} and row[at] is not None:
                # As tables write a column of numbers that has gaps.
                row = (*row[:at], float(row[at]), *row[at + 1 :])
            writer.writerow(row)


def reasons(intake: Intake) -> dict[str, int]:
    """How many rows were left out for each reason, the most frequent first."""
    return dict(
        intake.rows.execute(
            """
            SELECT reason, count(*) AS count FROM record WHERE reason != ''
            GROUP BY reason ORDER BY count DESC, reason = 'bad_row', min(record)
            """
        )
    )


def kept_share(intake: Intake) -> float:
    """Of the rows that were asked for, the share that was not lost; folding loses nothing."""
    counts = reasons(intake)
    asked = _rows(intake) - sum(counts.get(reason, 0) for reason in NOT_ASKED_FOR)
    lost = sum(count for reason, count in counts.items() if reason not in CHOSEN)
    return 1.0 - lost / asked if asked else 0.0


def _rows(intake: Intake) -> int:
    return int(the_one(intake.rows, "SELECT count(*) FROM record"))


def data_metrics(intake: Intake) -> dict[str, Any]:
    """Every count: of what is there, and of what is missing by reason."""
    counts = intake.rows.execute(
        "SELECT split, count(*), count(DISTINCT picture), sum(caption != '') FROM pairs "
        "GROUP BY split"
    )
    by_split = {**dict.fromkeys(SPLITS, (0, 0, 0)), **{split: each for split, *each in counts}}
    labels = dict(intake.rows.execute("SELECT label, count(*) FROM pairs GROUP BY label"))
    sizes = "SELECT count(DISTINCT picture) AS size FROM pairs GROUP BY alike"
    alike, largest = intake.rows.execute(
        f"SELECT coalesce(sum(size * (size > 1)), 0), coalesce(max(size), 0) FROM ({sizes})"
    ).fetchone()
    return {
        "rows": _rows(intake),
        "kept_share": kept_share(intake),
        "pairs": {split: pairs for split, (pairs, _, _) in by_split.items()},
        "pictures": {split: pictures for split, (_, pictures, _) in by_split.items()},
        "captions": {split: captions for split, (_, _, captions) in by_split.items()},
        "labels": {
            name: labels.get(label, 0)
            for name, label in {"yes": "YES", "no": "NO", "unknown": ""}.items()
        },
        "left_out": reasons(intake),
        "near_duplicates": {"pictures": alike, "largest_group": largest},
    }


def headlines(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The counts that a reviewer sees in a diff; the rest is in a table beside them."""
    return {name: metrics[name] for name in ("rows", "kept_share", "pictures")}


def flat(metrics: Mapping[str, Any], before: str = "") -> Iterator[dict[str, Any]]:
    """Every count as a row of a table, by its dotted name."""
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        else:
            yield {"count": f"{before}{name}", "value": value}


def summary(metrics: Mapping[str, Any]) -> list[str]:
    """Lines for the terminal: what is there, and what is missing by reason."""
    lines = [f"{metrics['rows']} rows read, {sum(metrics['pairs'].values())} kept"]
    lines += [f"  left out {count:6d}  {reason}" for reason, count in metrics["left_out"].items()]
    if "rate_limited" in metrics["left_out"]:
        lines.append(
            "  rate_limited: raise data.http.deadline, or run again with `dvc repro --force "
            "--single-item download`, which asks for these pictures alone"
        )
    lines += [
        f"  {split}: {metrics['pairs'][split]} pairs, {metrics['pictures'][split]} pictures, "
        f"{metrics['captions'][split]} captions"
        for split in SPLITS
    ]
    return lines


def check_enough(intake: Intake, *, min_kept: float) -> None:
    """Refuse a source of which too much was lost, or with nothing to learn from.

    Raises:
        UserError: fewer than the share `min_kept` of the rows that were asked for could be had, no
            row is left, a split has no caption, or the test pictures have but one between them.
    """
    share = kept_share(intake)
    left_out = reasons(intake).items()
    if share < min_kept:
        lost = ", ".join(f"{n} {reason}" for reason, n in left_out if reason not in CHOSEN)
        raise UserError(
            f"data.min_kept = {min_kept}: only {share:.1%} of the rows asked for could be had "
            f"({lost}); data/report.csv has a line for each"
        )
    if not len(intake.pairs):
        left = ", ".join(f"{n} {reason}" for reason, n in left_out)
        raise UserError(f"no usable pair: {left or 'the source is empty'}")
    for split in SPLITS:
        captions = intake.rows.execute(
            "SELECT DISTINCT caption FROM pairs WHERE split = ? AND caption != '' LIMIT 2",
            (split,),
        ).fetchall()
        if len(captions) < 1 + (split == "test"):  # one alone has no other to be told from
            found = "only one caption" if captions else "no caption"
            raise UserError(
                f"{found} to paint from among the {split} pictures: see data.caption, "
                "data.caption_labels, data.val_share and data.test_share"
            )
