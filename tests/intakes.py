"""Runs of `download` for the tests: settings, rows, and the stage as a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
from image_server import TEST_HTTP, encoded, paint
from tiny import yaml

from pipeline.download.intake import Intake, take_in
from pipeline.download.records import Annotations
from pipeline.download.rows import open_rows
from pipeline.download.schema import BadRow, Row, read_rows
from pipeline.download.settings import Data
from pipeline.download.store import DownloadStore
from pipeline.download.tally import COLUMNS, report_rows

REPOSITORY = Path(__file__).resolve().parents[1]
MUSTI = REPOSITORY.parent / "shared" / "data" / "musti" / "musti-train.json"

DATA: dict[str, Any] = {
    "source": "json",
    "sample": {"train": 24, "test": 8, "size": 64},
    "musti": {"train": "", "test": ""},
    "json": {"train": "", "test": "", "columns": {}},
    "folder": {"train": "", "test": "", "columns": {}},
    "webdataset": {"train": "", "test": "", "columns": {}},
    "parquet": {"train": "", "test": "", "columns": {}},
    "watch": ".",
    "languages": ["en"],
    "caption": "title",
    "caption_labels": ["YES", ""],
    "mismatch_labels": ["NO"],
    "val_share": 0.1,
    "test_share": 0.15,
    "limit": 0,
    "min_kept": 0.5,
    "near_duplicate_distance": 16,
    "placeholder_urls": 4,
    "max_pixels": 1_000_000,
    "http": TEST_HTTP.model_dump(),
}
FILES = ("json", "folder", "webdataset", "parquet")
OFF = {"blip": "off", "lpips": "off", "lpips_net": "squeeze", "wordnet": "off"}

# Runs the stage as the launcher does, and tells how much memory it took at most.
DRIVER = """
import sys
from pathlib import Path
from pipeline.errors import UserError
from stages import download
try:
    download.main()
except UserError as error:
    sys.exit(f"error: {error}")
status = Path("/proc/self/status")  # Linux alone has it
peak = status.read_text().split("VmHWM:")[1].split()[0] if status.exists() else 0
print(int(peak) // 1024)
"""


def data(**changes: Any) -> dict[str, Any]:
    """The `data` section with some keys changed; of a source's files, those that are named."""
    files = {name: {**DATA[name], **changes.get(name, {})} for name in FILES}
    return {**DATA, **changes, **files}


def settings(**changes: Any) -> Data:
    """The same as an object."""
    values = json.loads(json.dumps(data(**changes)))
    return Data.model_validate_json(json.dumps(values))


def row(number: int, image: str, **changes: Any) -> dict[str, Any]:
    """A row in MUSTI's schema."""
    return {
        "id": number,
        "image": image,
        "language": "en",
        "subtask1_label": "YES",
        "subtask2_labels": [],
        "text": f"Text {number}.",
        "title": f"Title {number}",
        **changes,
    }


def rows_of(data: bytes, name: str, **options: Any) -> tuple[list[tuple[int, Row]], list[BadRow]]:
    """An annotation file's good rows with their numbers, and the bad ones."""
    entries = list(read_rows(data, name, **options))
    bad = [entry for entry in entries if isinstance(entry, BadRow)]
    return [entry for entry in entries if not isinstance(entry, BadRow)], bad


def take(
    folder: Path,
    train: Sequence[dict[str, Any]],
    test: Sequence[dict[str, Any]] | None = None,
    **changes: Any,
) -> Intake:
    """Take rows in whose pictures lie in `folder` (those missing there are painted first)."""
    parts = {"train": train} if test is None else {"train": train, "test": test}
    files = []
    for part, rows in parts.items():
        for entry in rows:
            image = str(entry["image"])
            if "://" not in image and image.startswith("p") and not (folder / image).exists():
                (folder / image).write_bytes(encoded(paint(image)))
        body = json.dumps({"pairs": rows}).encode()
        files.append(Annotations(part, f"{part}.json", folder / f"{part}.json", body))
    return taken(folder / "store", lambda _: files, settings(**changes))


def taken(
    folder: Path, files: Callable[[DownloadStore], Sequence[Annotations]], chosen: Data
) -> Intake:
    """Take files in, with a store in `folder`; the tables are there as long as the intake is."""
    rows = ExitStack()
    with DownloadStore.open(folder) as store:
        intake = take_in(
            files(store),
            chosen,
            seed=1,
            store=store,
            folder=folder,
            rows=rows.enter_context(open_rows(folder)),
        )
    weakref.finalize(intake, rows.close)
    return intake


def left_out(intake: Intake) -> dict[int | str, str]:
    """Of each row that is left out, though it is one, the reason by its id."""
    return dict(
        intake.rows.execute("SELECT id, reason FROM record WHERE reason NOT IN ('', 'bad_row')")
    )


def report_table(intake: Intake) -> pd.DataFrame:
    """The report's rows as a table."""
    return pd.DataFrame(list(report_rows(intake)), columns=COLUMNS)


def start_stage(
    folder: Path, section: dict[str, Any], pretrained: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start the stage in an own project folder; its scratch folder is there too."""
    folder.mkdir(parents=True, exist_ok=True)
    params = {"seed": 1, "data": section, "pretrained": pretrained or OFF}
    stage = yaml.load(REPOSITORY / "dvc.yaml")["stages"]["download"]
    stages = {"download": {**stage, "deps": []}}  # the code is not in this folder
    (folder / "params.yaml").write_text(json.dumps(params))  # JSON is YAML
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    environment = {
        **{k: v for k, v in os.environ.items() if k != "CODEBRUSH_SCRATCH"},
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run_stage(
    folder: Path, section: dict[str, Any], pretrained: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Run the stage to its end: exit status, stdout, stderr."""
    process = start_stage(folder, section, pretrained)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def outs(folder: Path) -> dict[str, str]:
    """Each file that the stage made, and the hash of its bytes."""
    files = [p for part in ("data", "metrics") for p in (folder / part).rglob("*") if p.is_file()]
    names = {path.relative_to(folder).as_posix(): path for path in files}
    # What a killed run wrote aside stays there under a dotted name, and is no out.
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in names.items()
        if "/." not in name
    }
