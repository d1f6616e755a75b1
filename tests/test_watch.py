"""DVC sees a change of the annotations where `data.watch` says."""

from __future__ import annotations

import json
from pathlib import Path

from image_server import encoded, paint
from intakes import row
from tiny import make_project, run


def test_dvc_reads_annotations_inside_the_repository_anew_when_they_change(tmp_path: Path) -> None:
    make_project(tmp_path, data={"source": "json", "json": {"train": "annotations/mine.json"}})
    (tmp_path / "annotations" / "images").mkdir()
    rows = [row(n, f"images/{n}.png") for n in range(20)]
    for entry in rows:
        path = tmp_path / "annotations" / entry["image"]
        path.write_bytes(encoded(paint(entry["image"]), "PNG"))
    table = tmp_path / "annotations" / "mine.json"
    table.write_text(json.dumps({"pairs": rows}))
    run(tmp_path, "dvc", "repro", "-q", "download")
    assert run(tmp_path, "dvc", "status", "download").stdout.strip().endswith("up to date.")
    rows[0]["title"] = "Another title"
    table.write_text(json.dumps({"pairs": rows}))
    assert "annotations" in run(tmp_path, "dvc", "status", "download").stdout
