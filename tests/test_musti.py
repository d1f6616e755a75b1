"""The English MUSTI, on pictures that servers on this machine make, through all stages."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_server import ImageServer
from intakes import MUSTI
from test_download_stage import moved_to
from tiny import make_project, run, stages_run


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with ImageServer() as server:
        yield server


def test_the_english_musti_becomes_pictures_and_metrics(tmp_path: Path, server: ImageServer):
    if not MUSTI.is_file():
        pytest.skip("needs ../shared/data/musti, which MediaEval gives out")
    rows = json.loads(MUSTI.read_text())["pairs"]
    rows = [{**r, "image": moved_to([server], r["image"], "good")} for r in rows]
    server.files["train.json"] = json.dumps({"pairs": rows}).encode()
    source = {
        "source": "musti",
        "musti": {"train": server.url("file", "train.json"), "test": ""},
        "caption": "title_or_text",
        "http": {"allow_private": True},
    }
    project = tmp_path / "codebrush"
    make_project(project, data=source, blip={"max_text_length": 64}, evaluate={"labels": 3})
    done = run(project, "dvc", "repro")
    assert len(stages_run(done.stdout)) == 12

    with (project / "metrics" / "data.tsv").open() as stream:
        counts = csv.DictReader(stream, delimiter="\t")
        data = {row["count"]: float(row["value"]) for row in counts}
    assert data["rows"] == len(rows)
    assert data["pairs.train"] + data["pairs.val"] + data["pairs.test"] == 795
    assert data["pictures.train"] + data["pictures.val"] + data["pictures.test"] == 205
    # Passages that are labelled NO are no captions, but BLIP is asked about them.
    assert data["labels.no"] > 2 * data["labels.yes"] > 0
    blip = json.loads((project / "metrics" / "blip.json").read_text())
    assert set(blip["subtask1"]) == {"f1_macro"}
    assert set(blip["bleu"]) >= {"unranked"}
    report = (project / "metrics" / "report.md").read_text()
    assert "a judge knows the sample's titles alone, and data.source is musti" in report
    assert (project / "metrics" / "pictures" / "generated.png").stat().st_size > 1000
