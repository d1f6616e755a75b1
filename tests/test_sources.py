"""Sources of one's own: museums' open tables, folders of pictures, odd names, what DVC watches."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from image_server import TEST_HTTP, ImageServer, encoded, paint
from intakes import left_out, report_table, row, settings, take, taken

from pipeline.data.pairs import Pair
from pipeline.download.intake import Intake
from pipeline.download.pictures import locate
from pipeline.download.sources import open_source
from pipeline.download.tally import check_enough, write_report
from pipeline.errors import UserError

COUNT = 40
# The columns of the public tables, in their order.
TATE = [
    "id", "accession_number", "artist", "artistRole", "artistId", "title", "dateText", "medium",
    "creditLine", "year", "acquisitionYear", "dimensions", "width", "height", "depth", "units",
    "inscription", "thumbnailCopyright", "thumbnailUrl", "url",
]  # fmt: skip
MOMA = [
    "Title", "Artist", "ConstituentID", "ArtistBio", "Nationality", "BeginDate", "EndDate",
    "Gender", "Date", "Medium", "Dimensions", "CreditLine", "AccessionNumber", "Classification",
    "Department", "DateAcquired", "Cataloged", "ObjectID", "URL", "ImageURL", "OnView",
    "Circumference (cm)", "Depth (cm)", "Diameter (cm)", "Height (cm)", "Length (cm)",
    "Weight (kg)", "Width (cm)", "Seat Height (cm)", "Duration (sec.)",
]  # fmt: skip
MET = [
    "Object Number", "Is Highlight", "Is Timeline Work", "Is Public Domain", "Object ID",
    "Gallery Number", "Department", "AccessionYear", "Object Name", "Title", "Culture", "Period",
    "Dynasty", "Reign", "Portfolio", "Constituent ID", "Artist Role", "Artist Prefix",
    "Artist Display Name", "Artist Display Bio", "Artist Suffix", "Artist Alpha Sort",
    "Artist Nationality", "Artist Begin Date", "Artist End Date", "Artist Gender",
    "Artist ULAN URL",
    "Artist Wikidata URL", "Object Date", "Object Begin Date", "Object End Date", "Medium",
    "Dimensions", "Credit Line", "Geography Type", "City", "State", "County", "Country", "Region",
    "Subregion", "Locale", "Locus", "Excavation", "River", "Classification",
    "Rights and Reproduction", "Link Resource", "Object Wikidata URL", "Metadata Date",
    "Repository", "Tags", "Tags AAT URL", "Tags Wikidata URL",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(store_in: Path, source: str, **changes: Any) -> Intake:
    section = settings(source=source, http=TEST_HTTP.model_dump(), **changes)
    return taken(
        store_in / "store", lambda store: open_source(section, seed=1, store=store), section
    )


def table(columns: list[str], rows: list[dict[str, object]], **options: Any) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", **options)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def titled(intake: Intake) -> dict[str, Pair]:
    assert left_out(intake) == {}
    check_enough(intake, min_kept=1.0)
    return {pair.title: pair for pair in intake.pairs}


def test_tate_s_table_is_read_by_a_mapping_alone(tmp_path: Path) -> None:
    with ImageServer() as server:
        rows = [
            {
                "id": 1000 + n, "accession_number": f"A{n:05}", "artist": "Blake, Robert",
                "artistRole": "artist", "title": f"A Figure Bowing, study {n}", "medium": "Ink",
                "dateText": "date not known", "units": "mm", "year": "",
                "thumbnailUrl": server.url("good", f"A{n:05}_8.jpg"),
                "url": f"http://www.tate.org.uk/art/artworks/{n}",
            }
            for n in range(COUNT)
        ]  # fmt: skip
        (tmp_path / "artwork_data.csv").write_text(table(TATE, rows), encoding="utf-8")
        columns = {
            "image": "thumbnailUrl",
            "title": "title",
            "text": "{artist}: {title} ({medium})",
        }
        intake = read(tmp_path, "json", json={"train": "artwork_data.csv", "columns": columns})
    pairs = titled(intake)
    assert len(pairs) == COUNT
    pair = pairs["A Figure Bowing, study 7"]
    assert (pair.id, pair.caption) == (1007, pair.title)
    assert pair.text == "Blake, Robert: A Figure Bowing, study 7 (Ink)"


def test_moma_s_table_is_read_by_a_mapping_alone_as_csv_and_as_json(tmp_path: Path) -> None:
    with ImageServer() as server:
        rows = [
            {
                "Title": f"Ferdinandsbrücke Project, Vienna, no. {n}", "Artist": "Otto Wagner",
                "AccessionNumber": f"{885 + n}.1996", "Classification": "Architecture",
                "Date": "1896", "ObjectID": n + 2, "ImageURL": server.url("good", f"{n}.jpg"),
            }
            for n in range(COUNT)
        ]  # fmt: skip
        (tmp_path / "Artworks.csv").write_text(table(MOMA, rows), encoding="utf-8-sig")
        (tmp_path / "Artworks.json").write_text(json.dumps(rows), encoding="utf-8")
        columns = {
            "id": "AccessionNumber", "image": "ImageURL", "title": "Title",
            "subtask2_labels": "Classification",
        }  # fmt: skip
        for name in ("Artworks.csv", "Artworks.json"):
            intake = read(tmp_path, "json", json={"train": name, "columns": columns})
            pairs = titled(intake)
            pair = pairs["Ferdinandsbrücke Project, Vienna, no. 3"]
            assert (pair.id, pair.objects) == (4, ("Architecture",))  # texts as ids: rows count
            write_report(tmp_path / "report.csv", intake)
            again = pd.read_csv(tmp_path / "report.csv", dtype=str)
            assert again["id"].tolist() == [r["AccessionNumber"] for r in rows]


def test_the_met_s_table_is_read_by_a_mapping_alone(tmp_path: Path) -> None:
    # It names no pictures: those that its interface gives are saved under the object's number.
    (tmp_path / "img").mkdir()
    rows: list[dict[str, object]] = []
    for n in range(COUNT):
        (tmp_path / "img" / f"{436_000 + n}.jpg").write_bytes(encoded(paint(f"met{n}")))
        rows.append(
            {
                "Object Number": f"29.100.{n}", "Is Highlight": "False", "Object ID": 436_000 + n,
                "Is Public Domain": "True", "Title": f"Boating, {n}",
                "Artist Display Name": "Manet",
                "Medium": "Oil on canvas", "Classification": "Paintings", "Tags": "Boats|Men",
            }
        )  # fmt: skip
    (tmp_path / "MetObjects.csv").write_text(table(MET, rows), encoding="utf-8-sig")
    columns = {
        "id": "Object ID", "image": "img/{Object ID}.jpg", "title": "Title",
        "text": "{Title}, {Medium}", "subtask2_labels": "Tags",
    }  # fmt: skip
    pairs = titled(read(tmp_path, "json", json={"train": "MetObjects.csv", "columns": columns}))
    assert len(pairs) == COUNT
    assert pairs["Boating, 5"].id == 436_005
    assert pairs["Boating, 5"].text == "Boating, 5, Oil on canvas"
    assert pairs["Boating, 5"].objects == ("Boats", "Men")


def pictures(folder: Path, count: int = 12) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"p{n}.png" for n in range(count)]
    for name in names:
        (folder / name).write_bytes(encoded(paint(name), "PNG"))
    return names


def test_a_folder_of_pictures_with_texts_beside_them_is_a_source(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for name in pictures(folder) + [f"more/{n}" for n in pictures(folder / "more", 0)]:
        (folder / name).with_suffix(".txt").write_text(f"Title of\n{name} ", encoding="utf-8")
    (folder / "odd").mkdir()
    (folder / "odd" / "é.JPG").write_bytes(encoded(paint("odd")))
    decomposed = unicodedata.normalize("NFD", "é.txt")
    (folder / "odd" / decomposed).write_bytes("Café".encode("cp1252"))
    (folder / "silent.png").write_bytes(encoded(paint("silent"), "PNG"))
    for hidden in (".DS_Store", "._p1.png", "__MACOSX/p1.png"):
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).write_bytes(b"x")
    intake = read(tmp_path, "folder", folder={"train": "photos"})
    pairs = titled(intake)
    assert set(pairs) == {"Café", *(f"Title of p{n}.png" for n in range(12))}
    assert "odd/é.JPG" in report_table(intake)["id"].tolist()


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("caption", ["text", "caption"])
def test_a_hugging_face_imagefolder_is_a_source(tmp_path: Path, kind: str, caption: str) -> None:
    for part, count in (("train", 12), ("test", 4)):
        names = pictures(tmp_path / "set" / part, count)
        rows = [{"file_name": name, caption: f"Motif {part} {name}", "width": 80} for name in names]
        if part == "test":  # other pictures than those of training
            for name in names:
                (tmp_path / "set" / part / name).write_bytes(encoded(paint(f"t{name}"), "PNG"))
        text = table(list(rows[0]), rows)
        if kind == "jsonl":
            text = "\n".join(map(json.dumps, rows))
        (tmp_path / "set" / part / f"metadata.{kind}").write_text(text, encoding="utf-8")
    pairs = titled(read(tmp_path, "folder", folder={"train": "set/train", "test": "set/test"}))
    assert {pairs[f"Motif test p{n}.png"].split for n in range(4)} == {"test"}
    assert len(pairs) == 16


def test_a_folder_that_is_no_source_is_one_line(tmp_path: Path) -> None:
    pictures(tmp_path / "bare")
    (tmp_path / "set" / "train").mkdir(parents=True)
    (tmp_path / "set" / "train" / "metadata.jsonl").write_text("{}")
    (tmp_path / "mute").mkdir()
    (tmp_path / "mute" / "metadata.csv").write_text("file_name,size\na.png,3\n")
    for name, said in [
        ("", r"data\.folder\.train = ''"),
        ("none", r"data\.folder\.train = 'none': no such folder"),
        ("bare", "no picture with a .txt beside it"),
        ("set", "set/train has one: name that"),
        ("mute", r"none of text, caption, .* \(file_name, size\)"),
    ]:
        with pytest.raises(UserError, match=said):
            read(tmp_path, "folder", folder={"train": name})


def test_names_are_found_composed_decomposed_in_one_s_home_and_with_backslashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    folder = home / unicodedata.normalize("NFD", "Gemälde")
    folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    name = unicodedata.normalize("NFD", "Café (été).png")
    (folder / name).write_bytes(encoded(paint("cafe"), "PNG"))
    (home / "table.json").write_text(
        json.dumps({"pairs": [row(n, i) for n, i in enumerate((
            "Gemälde/Café (été).png", f"Gemälde/{name} ", "Gemälde\\Café (été).png",
        ))]})
    )  # fmt: skip
    intake = read(tmp_path, "json", json={"train": "~/table.json"})
    assert (len(intake.pairs), left_out(intake)) == (3, {})


def test_a_url_without_a_scheme_is_https(tmp_path: Path) -> None:
    assert locate(" //upload.example.org/a.jpg", tmp_path / "x.json").url == (
        "https://upload.example.org/a.jpg"
    )
    assert locate("//h.example/a.jpg", "http://base.example/x.json").url == "http://h.example/a.jpg"


def test_one_line_says_what_dvc_does_not_watch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "annotations").mkdir()
    pictures(tmp_path)
    body = json.dumps({"pairs": [row(n, f"p{n}.png") for n in range(12)]})
    (tmp_path / "mine.json").write_text(body)
    (tmp_path / "annotations" / "mine.json").write_text(body)
    read(tmp_path, "json", watch="annotations", json={"train": "mine.json"})
    assert "DVC looks for changes in data.watch = annotations only" in capsys.readouterr().err
    for watch, at in [("annotations", "annotations/mine.json"), ("mine.json", "mine.json")]:
        read(tmp_path, "json", watch=watch, json={"train": at})
        assert "DVC" not in capsys.readouterr().err


def test_a_museum_number_as_id_is_in_the_report_and_the_pairs_are_numbered(tmp_path: Path) -> None:
    rows = [row(n, f"p{n}.jpg") for n in range(1, 13)]
    rows[4]["id"] = "1979.486.1"
    intake = take(tmp_path, rows)
    assert sorted(pair.id for pair in intake.pairs) == list(range(1, 13))
    assert report_table(intake)["id"].tolist()[4] == "1979.486.1"
