"""New folders that a command writes: whole or not there, and never in the place of something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import replacing


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill, which on success is `path`.

    Raises:
        UserError: `path` already holds something, or whoever calls stands in it.
    """
    expected = "expected a new or an empty folder"
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path}: holds something already; {expected}")
    if path.resolve() == Path.cwd():
        raise UserError(f"{path}: you are in it; {expected} elsewhere")
    with replacing(path.resolve()) as aside:
        aside.mkdir()
        yield aside
