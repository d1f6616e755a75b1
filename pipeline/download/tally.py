"""What became of every row: the report's table, the metrics, the lines on the terminal."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.data.pairs import SPLITS
from pipeline.download.intake import Intake
from pipeline.download.records import Record, Refused
from pipeline.errors import UserError
from pipeline.files import replacing

# Left out by choice; whatever else is missing was lost.
CHOSEN = ("language", "limit", "repeated", "in_test")
NOT_ASKED_FOR = ("language", "limit")

COLUMNS = (
    "file", "row", "id", "language", "image", "label", "kept", "reason", "http_status", "detail",
    "split", "picture", "title", "text",
)  # fmt: skip


def report_rows(intake: Intake) -> Iterator[dict[str, Any]]:
    """A row for each row of the sources, in order: what it said, whether it was kept, why not.

    The id is the source's own, a whole number or a text; the pairs have whole numbers.
    """
    entries: list[Record | Refused] = [*intake.records, *intake.refused]
    files = list(dict.fromkeys(entry.file.name for entry in entries))
    entries.sort(key=lambda entry: (files.index(entry.file.name), _number(entry)))
    return map(_report_row, entries)


def _number(entry: Record | Refused) -> int:
    return entry.bad.number if isinstance(entry, Refused) else entry.number


def _report_row(entry: Record | Refused) -> dict[str, Any]:
    if isinstance(entry, Refused):
        return {
            "file": entry.file.name,
            "row": entry.bad.number,
            "id": entry.bad.id,
            "image": entry.bad.image,
            "kept": "no",
            "reason": "bad_row",
            "detail": entry.bad.problem,
        }
    return {
        "file": entry.file.name,
        "row": entry.number,
        "id": entry.row.id,
        "language": entry.row.language,
        "image": entry.row.image,
        "label": entry.row.subtask1_label,
        "kept": "yes" if entry.kept else "no",
        "reason": entry.reason,
        "http_status": entry.status,
        "detail": entry.detail,
        "split": entry.split,
        "picture": entry.image,
        "title": entry.row.title,
        "text": entry.row.text,
    }


def write_report(path: Path, intake: Intake) -> None:
    """Write `report_rows` as CSV, one in memory at a time."""
    ids = {type(row["id"]) for row in report_rows(intake)}
    with replacing(path) as aside, aside.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in report_rows(intake):
            if ids == {int, type(None)} and row["id"] is not None:
                row["id"] = float(row["id"])  # as tables write a column of numbers that has gaps
            writer.writerow(row)


def reasons(intake: Intake) -> dict[str, int]:
    """How many rows were left out for each reason, the most frequent first."""
    counts = Counter(record.reason for record in intake.records if not record.kept)
    counts["bad_row"] += len(intake.refused)
    return {reason: count for reason, count in counts.most_common() if count}


def kept_share(intake: Intake) -> float:
    """Of the rows that were asked for, the share that was not lost; folding loses nothing."""
    counts = reasons(intake)
    asked = len(intake.records) + len(intake.refused) - sum(counts.get(r, 0) for r in NOT_ASKED_FOR)
    lost = sum(count for reason, count in counts.items() if reason not in CHOSEN)
    return 1.0 - lost / asked if asked else 0.0


def data_metrics(intake: Intake) -> dict[str, Any]:
    """Every count: of what is there, and of what is missing by reason."""
    by_split = {split: [p for p in intake.pairs if p.split == split] for split in SPLITS}
    labels = Counter({"YES": "yes", "NO": "no", "": "unknown"}[p.match] for p in intake.pairs)
    return {
        "rows": len(intake.records) + len(intake.refused),
        "kept_share": kept_share(intake),
        "pairs": {split: len(pairs) for split, pairs in by_split.items()},
        "pictures": {split: len({p.image for p in pairs}) for split, pairs in by_split.items()},
        "captions": {split: sum(bool(p.caption) for p in ps) for split, ps in by_split.items()},
        "labels": {name: labels[name] for name in ("yes", "no", "unknown")},
        "left_out": reasons(intake),
        "near_duplicates": {
            "pictures": sum(size for size in intake.group_sizes if size > 1),
            "largest_group": max(intake.group_sizes, default=0),
        },
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


def summary(intake: Intake) -> list[str]:
    """Lines for the terminal: what is there, and what is missing by reason."""
    metrics = data_metrics(intake)
    lines = [f"{metrics['rows']} rows read, {len(intake.pairs)} kept"]
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
    if not intake.pairs:
        left = ", ".join(f"{n} {reason}" for reason, n in left_out)
        raise UserError(f"no usable pair: {left or 'the source is empty'}")
    for split in SPLITS:
        captions = {pair.caption for pair in intake.pairs if pair.split == split} - {""}
        if len(captions) < 1 + (split == "test"):  # one alone has no other to be told from
            found = "only one caption" if captions else "no caption"
            raise UserError(
                f"{found} to paint from among the {split} pictures: see data.caption, "
                "data.caption_labels, data.val_share and data.test_share"
            )
