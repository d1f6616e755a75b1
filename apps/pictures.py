"""`codebrush pictures`: the pictures that a run learns from, as files in a folder to look at."""

from __future__ import annotations

from pathlib import Path

from pipeline.data.picture_shards import pictures_in, shards_in
from pipeline.errors import UserError
from pipeline.files import replacing
from stages import layout


def unpack(run: Path, to: Path) -> int:
    """Write every picture of a run's shards into the folder `to`, as it came; returns how many.

    Raises:
        UserError: there are none, one is damaged, or `to` already holds something.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"{to}: holds something already; expected a new or an empty folder")
    count = 0
    shards = shards_in(run / layout.IMAGES)
    with replacing(to) as aside:
        aside.mkdir()
        for shard in shards:
            for name, data in pictures_in(shard):
                (aside / name).write_bytes(data)
                count += 1
    return count
