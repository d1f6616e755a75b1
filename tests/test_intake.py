"""From rows to pairs: what is kept, what is not and why, captions, titles, splits."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from image_server import ImageServer, encoded, paint
from intakes import left_out, report_table, row, settings, take

from pipeline.data.pairs import Pair
from pipeline.download.intake import Intake
from pipeline.download.tally import (
    check_enough,
    data_metrics,
    flat,
    headlines,
    kept_share,
    reasons,
    write_report,
)
from pipeline.download.texts import choose_title, normalise_text, normalise_title
from pipeline.errors import UserError


def by_id(intake: Intake) -> dict[int, Pair]:
    return {pair.id: pair for pair in intake.pairs}


def many(count: int = 20, **changes: Any) -> list[dict[str, Any]]:
    return [row(n, f"p{n}.jpg", **changes) for n in range(1, count + 1)]


def test_every_row_is_in_the_report_once_kept_or_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "words.jpg").write_bytes(b"<html></html>")
    rows = [
        *many(),
        row(30, "p1.jpg", language="de"),
        row(31, "missing.jpg"),
        row(32, "words.jpg"),
        row(33, "../secret.jpg"),
        row(34, "/etc/passwd"),
        row(35, "file:///etc/passwd"),
        row(36, "p1.jpg", text="Text 1."),
        row(37, "p1.jpg", subtask1_label="MAYBE"),
        row(38, "a\x00b.jpg"),
        row(39, "x" * 5000),
        row(40, "images"),
    ]
    (tmp_path / "images").mkdir()
    intake = take(tmp_path, rows)
    table = report_table(intake)
    assert table["id"].tolist() == [r["id"] for r in rows]
    said = dict(zip(table["id"], table["reason"], strict=True))
    assert {n: said[n] for n in range(30, 41)} == {
        30: "language",
        31: "no_file",
        32: "not_a_picture",
        33: "bad_path",
        34: "bad_path",
        35: "bad_url",
        36: "repeated",
        37: "bad_row",
        38: "bad_path",
        39: "no_file",
        40: "no_file",
    }
    assert (table["kept"] == "yes").sum() == len(intake.pairs) == 20
    assert "subtask1_label = 'MAYBE'" in table.loc[table["id"] == 37, "detail"].item()
    assert reasons(intake)["bad_path"] == 3
    assert data_metrics(intake)["rows"] == len(rows)


def test_a_second_row_with_an_id_is_left_out(tmp_path: Path) -> None:
    texts = [row("a.1", "p1.jpg"), row(1, "p1.jpg"), row("a.1", "p2.jpg", text="Other.")]
    table = report_table(take(tmp_path, [*many(), *texts]))
    bad = table[table["reason"] == "bad_row"]
    assert bad["row"].tolist() == [22, 23]
    assert bad["detail"].tolist() == [
        "id = 1: row 1 has it already", "id = a.1: row 21 has it already",
    ]  # fmt: skip
    assert set(bad["text"]) == {""}, "a row that is no row of the schema says nothing"


def test_one_picture_in_many_rows_is_one_file_and_on_one_side(tmp_path: Path) -> None:
    rows = [row(n, f"p{n % 10}.jpg") for n in range(60)]
    intake = take(tmp_path, rows)
    assert len(intake.pictures) == 10
    sides = {(pair.image, pair.split) for pair in intake.pairs}
    assert len(sides) == 10
    assert {split for _, split in sides} == {"train", "val", "test"}


def test_the_same_bytes_under_two_names_are_stored_once(tmp_path: Path) -> None:
    (tmp_path / "copy.jpg").write_bytes(encoded(paint("p1.jpg")))
    intake = take(tmp_path, [*many(), row(50, "copy.jpg")])
    pairs = by_id(intake)
    assert pairs[50].image == pairs[1].image
    assert len(intake.pictures) == 20


def test_near_duplicates_are_never_on_two_sides(tmp_path: Path) -> None:
    rows = many()
    for n in range(1, 21):
        (tmp_path / f"again{n}.jpg").write_bytes(
            encoded(paint(f"p{n}.jpg").resize((200, 200)), quality=50)
        )
        rows.append(row(100 + n, f"again{n}.jpg"))
    intake = take(tmp_path, rows)
    pairs = by_id(intake)
    assert all(pairs[n].split == pairs[100 + n].split for n in range(1, 21))
    assert all(pairs[n].image != pairs[100 + n].image for n in range(1, 21))
    assert data_metrics(intake)["near_duplicates"] == {"largest_group": 2, "pictures": 40}


def test_a_training_picture_that_is_in_the_test_file_too_leaves_training(tmp_path: Path) -> None:
    (tmp_path / "again.png").write_bytes(encoded(paint("p3.jpg").resize((60, 60)), "PNG"))
    intake = take(tmp_path, many(), [row(101, "p2.jpg"), row(102, "again.png")])
    assert left_out(intake) == {2: "in_test", 3: "in_test"}
    assert {p.id for p in intake.pairs if p.split == "test"} == {101, 102}


def test_ids_that_both_files_use_are_told_apart(tmp_path: Path) -> None:
    intake = take(tmp_path, many(12), [row(1, "pa.jpg"), row(5, "pb.jpg")])
    assert {p.id for p in intake.pairs if p.split == "test"} == {101, 105}
    assert len(by_id(intake)) == 14


def test_repeated_pairs_are_folded_and_yes_stands_against_no(tmp_path: Path) -> None:
    repeated = [
        row(50, "p1.jpg", text="Same", subtask1_label="NO"),
        row(51, "p1.jpg", text=" Same ", subtask1_label="YES", subtask2_labels=["dog"]),
        row(52, "p1.jpg", text="Same", subtask1_label="", subtask2_labels=[" smoke", "dog"]),
        row(53, "p1.jpg", text="Other", subtask1_label="NO"),
    ]
    intake = take(tmp_path, [*many(), *repeated])
    pairs = by_id(intake)
    assert left_out(intake) == {51: "repeated", 52: "repeated"}
    assert (pairs[50].match, pairs[50].objects) == ("YES", ("dog", "smoke"))
    assert pairs[53].match == "NO"
    assert kept_share(intake) == 1.0


def test_a_picture_has_one_title_and_its_caption_stands_once(tmp_path: Path) -> None:
    rows = [
        row(50, "p1.jpg", title="A ship"),
        row(51, "p1.jpg", title="A ship in a storm"),
        row(52, "p1.jpg", title="A ship "),
        row(53, "p1.jpg", title="nan"),
        row(54, "p1.jpg", title="Another picture", subtask1_label="NO"),
        row(55, "p1.jpg", title="Ein Schiff", language="de"),
    ]
    intake = take(tmp_path, [*many()[1:], *rows], languages=["en", "de"])
    pairs = by_id(intake)
    assert {pairs[n].title for n in range(50, 55)} == {"A ship"}
    assert [pairs[n].caption for n in range(50, 56)] == ["A ship", "", "", "", "", "Ein Schiff"]


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("title", ["A ship", "", ""]),
        ("text", ["One.", "Two.", ""]),
        ("title_or_text", ["A ship", "Two.", ""]),
    ],
)
def test_the_params_choose_what_is_painted_from(
    tmp_path: Path, caption: str, expected: list[str]
) -> None:
    rows = [
        row(50, "pa.jpg", title="A ship", text="One."),
        row(51, "pb.jpg", title="nan", text="Two."),
        row(52, "pc.jpg", title="nan", text=""),
    ]
    pairs = by_id(take(tmp_path, [*many(), *rows], caption=caption))
    assert [pairs[n].caption for n in (50, 51, 52)] == expected


def test_mismatched_pairs_are_never_painted_from(tmp_path: Path) -> None:
    rows = [*many(), row(50, "pa.jpg", subtask1_label="NO"), row(51, "pb.jpg", subtask1_label="")]
    pairs = by_id(take(tmp_path, rows))
    assert (pairs[50].caption, pairs[51].caption) == ("", "Title 51")
    only_yes = by_id(take(tmp_path, rows, caption_labels=["YES"]))
    assert (only_yes[50].caption, only_yes[51].caption) == ("", "")


def test_a_limit_keeps_so_many_pictures_and_always_the_same(tmp_path: Path) -> None:
    rows = [row(n, f"p{n % 20}.jpg") for n in range(40)]
    intake = take(tmp_path, rows, limit=12)
    assert len(intake.pictures) == 12
    assert len(intake.pairs) == 24
    again = take(tmp_path, rows[::-1], limit=12)
    assert [name for name, _ in again.pictures] == [name for name, _ in intake.pictures]
    assert kept_share(intake) == 1.0


def test_a_placeholder_that_is_served_for_many_pictures_is_left_out(tmp_path: Path) -> None:
    with ImageServer() as server:
        rows = [row(50 + n, server.url("placeholder", f"{n}.jpg")) for n in range(5)]
        intake = take(tmp_path, [*many(), *rows])
        assert left_out(intake) == dict.fromkeys(range(50, 55), "placeholder")
        kept = take(tmp_path, [*many(), *rows], placeholder_urls=0)
        assert len(kept.pictures) == 21


def test_what_is_no_picture_is_fetched_again_by_the_next_run(tmp_path: Path) -> None:
    with ImageServer() as server:
        rows = [*many(), row(50, server.url("html", "a.jpg")), row(51, server.url("good", "a.jpg"))]
        for _ in range(2):
            assert left_out(take(tmp_path, rows)) == {50: "not_a_picture"}
        assert server.visits == {"/html/a.jpg": 2, "/good/a.jpg": 1}


def test_too_much_loss_fails_with_the_reasons(tmp_path: Path) -> None:
    rows = [*many(12), *(row(50 + n, f"missing{n}.jpg") for n in range(8))]
    intake = take(tmp_path, rows)
    check_enough(intake, min_kept=0.6)
    with pytest.raises(UserError, match=r"data\.min_kept = 0\.7: only 60\.0% .* \(8 no_file\)"):
        check_enough(intake, min_kept=0.7)


def test_a_source_with_nothing_to_learn_from_fails_with_one_line(tmp_path: Path) -> None:
    for rows, message in [
        ([], "no usable pair"),
        (many(language="de"), "no usable pair: 20 language"),
        (many(subtask1_label="NO"), "no caption to paint from among the train pictures"),
        (many(1), "no caption to paint from among the val pictures"),
        (many(title="Still life"), "only one caption to paint from among the test pictures"),
    ]:
        with pytest.raises(UserError, match=message):
            check_enough(take(tmp_path, rows), min_kept=0.0)


def test_a_file_without_one_good_row_is_reported_and_refused_in_one_line(tmp_path: Path) -> None:
    for rows in ([], [row(True, "p1.jpg"), row(-2, "p2.jpg")]):
        intake = take(tmp_path, rows)
        table = report_table(intake)
        assert table["reason"].tolist() == ["bad_row"] * len(rows)
        assert {"id", "http_status", "picture"} <= set(table.columns)
        with pytest.raises(UserError, match="no usable pair"):
            check_enough(intake, min_kept=0.0)


def test_labels_for_captions_and_for_mismatches_must_differ() -> None:
    with pytest.raises(ValueError, match="both hold 'NO'"):
        settings(caption_labels=["YES", "NO"])


def test_texts_are_cleared_of_what_scanning_left() -> None:
    assert normalise_text("the trades , making ( so ) it") == "the trades, making (so) it"
    assert normalise_text("his subsistence subsistence . And") == "his subsistence. And"
    assert normalise_text("ver¬ lassen, wei\u00adter") == "verlassen, weiter"
    assert normalise_text("the trader 's proﬁt, aſ it was") == "the trader's profit, as it was"
    assert normalise_text("very very good, that that") == "very very good, that that"
    assert normalise_text("Cafe\u0301 \x00\u200b■ bar\n\tx") == "Café bar x"


def test_titles_that_say_nothing_are_none() -> None:
    assert [normalise_title(t) for t in ("nan", " NaN ", "", "Nan's house")] == [
        "",
        "",
        "",
        "Nan's house",
    ]


def test_a_title_is_the_one_that_most_matching_rows_bear() -> None:
    assert choose_title(["B", "A", "B", ""], ["A", "A"]) == "B"
    assert choose_title(["A", "A longer"], []) == "A longer"
    assert choose_title(["B", "A"], []) == "A"
    assert choose_title(["", ""], ["A", "A", ""]) == "A"
    assert choose_title([], ["A", "B"]) == ""


def test_the_table_keeps_the_report_readable_by_machines(tmp_path: Path) -> None:
    intake = take(tmp_path, [*many(), row(50, "p1.jpg", text='Lines\nand "quotes", commas')])
    path = tmp_path / "report.csv"
    write_report(path, intake)
    import pandas as pd

    table = pd.read_csv(path, keep_default_na=False)
    assert table["text"].iloc[-1] == 'Lines\nand "quotes", commas'
    assert Counter(table["kept"]) == {"yes": 21}
    counts = data_metrics(intake)
    assert json.loads(json.dumps(counts))["pairs"]["train"] > 0
    assert {"count": "pairs.train", "value": counts["pairs"]["train"]} in list(flat(counts))
    assert set(headlines(counts)) == {"rows", "kept_share", "pictures"}


@pytest.mark.parametrize("odd", [None, "1979.486.1"])
def test_the_report_s_bytes_are_those_of_a_table_written_at_once(
    tmp_path: Path, odd: str | None
) -> None:
    quoted = [row(50, "p1.jpg", text='"Lines"\nand\rmore, é'), row(51, "no.jpg")]
    intake = take(tmp_path, [*many(), *quoted, {**row(52, "p2.jpg"), "id": odd}, row(50, "p3.jpg")])
    write_report(tmp_path / "report.csv", intake)
    table = report_table(intake).astype({"http_status": "Int64"})
    expected = table.to_csv(index=False, lineterminator="\n").encode()
    assert (tmp_path / "report.csv").read_bytes() == expected


def test_a_profile_that_was_not_used_is_told_beside_its_picture(tmp_path: Path) -> None:
    (tmp_path / "odd.png").write_bytes(encoded(paint("odd"), "PNG", icc_profile=b"\x07" * 300))
    table = report_table(take(tmp_path, [*many(), row(50, "odd.png")]))
    kept = table[table["id"] == 50]
    assert (kept["kept"].item(), kept["reason"].item()) == ("yes", "")
    assert "profile" in kept["detail"].item()
