"""The tables of a source's rows: on the disk, gone with their process, a full disk in one line."""

from __future__ import annotations

import errno
import json
import os
import tracemalloc
from pathlib import Path

import pytest
from intakes import row, settings

from pipeline.download.intake import take_in
from pipeline.download.records import Annotations
from pipeline.download.rows import CACHE, open_rows
from pipeline.download.store import DownloadStore

MORE_THAN_FITS = 2 * 1024 * CACHE  # bytes


def fill(folder: Path, count: int) -> int:
    """Take in `count` rows without a picture; the most bytes that Python held meanwhile."""
    lines = folder / "rows.jsonl"
    with lines.open("w", encoding="utf-8") as stream:
        for number in range(count):
            stream.write(json.dumps(row(number, f"gone{number}.jpg", text="word " * 100)) + "\n")
    file = Annotations("train", "rows.jsonl", lines, b"", lines=lines)
    with DownloadStore.open(folder / "store") as store, open_rows(folder) as rows:
        tracemalloc.start()
        intake = take_in([file], settings(), seed=1, store=store, folder=store.folder, rows=rows)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert intake.rows.execute("SELECT reason, count(*) FROM record").fetchall() == [
            ("no_file", count)
        ]
    return most


def test_ten_times_as_many_rows_take_no_more_memory(tmp_path: Path) -> None:
    few = fill(tmp_path, 300)
    assert fill(tmp_path, 3000) < few + 100_000


def test_the_tables_are_files_of_their_folder_that_no_killed_process_leaves(tmp_path: Path) -> None:
    with open_rows(tmp_path) as rows:
        rows.execute("INSERT INTO place (path) VALUES (zeroblob(?))", (MORE_THAN_FITS,))
        if os.name != "nt":  # there it has a name until it is closed
            assert list(tmp_path.iterdir()) == []
        if Path("/proc/self/fd").exists():
            opened = [fd for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
            assert any(str(fd.readlink()).startswith(f"{tmp_path}{os.sep}") for fd in opened)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_is_told_as_everywhere(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match="No space left on device") as caught,
        open_rows(tmp_path) as rows,
    ):
        rows.execute("PRAGMA max_page_count = 40")
        rows.execute("INSERT INTO place (path) VALUES (zeroblob(?))", (MORE_THAN_FITS,))
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path))
